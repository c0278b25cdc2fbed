"""Administration: which models are in memory and which requests run, and the hands on both. For the owner's key."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from core.errors import InvalidRequest, ModelUnloaded
from core.status import LoadedModel
from server.body import Body, Name, to_json, unknown_fields, warning_header
from server.decoded import ineffective
from server.errors import ApiError, error_response
from server.follow import found_while_connected
from server.models import named_model
from server.reading import JsonRoute
from server.wire import WireEntry

if TYPE_CHECKING:
    from core.engine import Engine

router = APIRouter(prefix="/admin", route_class=JsonRoute)


class ModelBody(Body):
    """`model` is an id as GET /v1/models lists it."""

    model: Name


class LoadBody(ModelBody):
    pin: bool = False


class UnloadBody(ModelBody):
    cancel: bool = False
    """End its requests, instead of waiting for them."""


@router.get("/models")
async def models(request: Request) -> Response:
    """The models in memory and on their way into it, and what memory there is, in bytes."""
    status = request.app.state.engine.status()
    memory = {
        "active": status.active_memory,
        "kept": status.kept_memory,
        "cache": status.cache_memory,
        "peak": status.peak_memory,
        "budget": status.memory_budget,
    }
    return _json({"object": "list", "data": [asdict(model) for model in status.models], "memory_bytes": memory})


@router.post("/models/load", response_model=None)
async def load(request: Request, body: LoadBody) -> Response:
    """Load a model, and answer when it is in memory. A client that leaves gives the load up, if nobody else waits."""
    engine = request.app.state.engine
    await asyncio.to_thread(named_model, engine, body.model)
    loading = await asyncio.to_thread(engine.load, body.model, pin=body.pin)
    await found_while_connected(request, loading)
    return _told(engine, body)


@router.post("/models/unload", response_model=None)
async def unload(request: Request, body: UnloadBody) -> Response:
    """Free a model when its requests have ended, or at once."""
    engine = request.app.state.engine
    if _in_memory(engine, body.model) is None:
        await asyncio.to_thread(named_model, engine, body.model)
    await found_while_connected(request, await asyncio.to_thread(engine.unload, body.model, cancel=body.cancel))
    return _json({"id": body.model, "unloaded": True}, body)


@router.post("/models/pin", response_model=None)
async def pin(request: Request, body: ModelBody) -> Response:
    """Keep a model that is in memory from being evicted."""
    engine = request.app.state.engine
    await asyncio.to_thread(_resident, engine, body.model)
    await found_while_connected(request, await asyncio.to_thread(engine.load, body.model, pin=True))
    return _told(engine, body)


@router.post("/models/unpin", response_model=None)
async def unpin(request: Request, body: ModelBody) -> Response:
    """Let a model be evicted again."""
    engine = request.app.state.engine
    await asyncio.to_thread(_resident, engine, body.model)
    await found_while_connected(request, engine.unpin(body.model))
    return _told(engine, body)


@router.get("/requests")
async def requests(request: Request) -> Response:
    """What clients are being answered now, the oldest first, without this request."""
    live = request.app.state.record.live
    own = request.state.request_id
    return _json({"object": "list", "data": [_entry(entry) for entry in live if entry.id != own]})


@router.delete("/requests/{request_id}")
async def stop(request: Request, request_id: str) -> Response:
    """Stop a request: its client hears that it was stopped on this side."""
    if request.app.state.record.kill(request_id):
        return _json({"id": request_id, "stopped": True})
    error = ApiError(
        404,
        f"No request {request_id[:100]!r} is being answered. GET /admin/requests lists those that are.",
        "not_found",
    )
    return error_response(error, request.state.protocol, request.state.request_id)


def _resident(engine: Engine, model_id: str) -> LoadedModel:
    """A model in memory. Raises ModelNotFound for none on this machine, InvalidRequest for one on disk alone."""
    found = _in_memory(engine, model_id)
    if found is None:
        named_model(engine, model_id)
        raise InvalidRequest(f"{model_id} is not in memory. POST /admin/models/load brings it there.", "model")
    return found


def _in_memory(engine: Engine, model_id: str) -> LoadedModel | None:
    return next((model for model in engine.status().models if model.id == model_id), None)


def _told(engine: Engine, body: ModelBody) -> Response:
    found = _in_memory(engine, body.model)
    if found is None:
        raise ModelUnloaded(f"{body.model} was unloaded meanwhile.")
    return _json(asdict(found), body)


def _entry(entry: WireEntry) -> dict[str, Any]:
    told = asdict(entry)
    return {name: told[name] for name in told if name not in ("status", "error")}


def _json(value: dict[str, Any], body: Body | None = None) -> Response:
    headers = warning_header(ineffective(unknown_fields(body))) if body is not None else {}
    return Response(to_json(value), headers=headers, media_type="application/json")
