"""Which models there are, in both protocols."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from core.calls.witness import ASKS, FINGERPRINT
from core.catalog import ModelInfo, ModelKind, fingerprint, short
from core.catalog.audio_tasks import AudioTask, audio_task
from core.errors import ModelNotFound
from server.body import to_json
from server.errors import ApiError, Protocol, error_response
from server.invalid import cut
from server.models import loaded_ids, named_model

if TYPE_CHECKING:
    from core.engine import Engine

router = APIRouter()


@router.get("/v1/models")
async def models(
    request: Request, limit: int | None = None, after_id: str | None = None, before_id: str | None = None
) -> Response:
    """Every model that can be loaded; in Anthropic's shape, with its paging, when anthropic-version is sent."""
    engine = request.app.state.engine
    infos = await asyncio.to_thread(_loadable, engine)
    loaded = set(loaded_ids(engine))
    if request.state.protocol is Protocol.ANTHROPIC:
        body = anthropic_page(infos, limit, after_id, before_id)
    else:
        body = {"object": "list", "data": [openai_model(info, info.id in loaded) for info in infos]}
    return Response(to_json(body), media_type="application/json")


@router.get("/v1/models/{model_id:path}")
async def model(request: Request, model_id: str) -> Response:
    """One model; its id may hold slashes. Raises ModelNotFound."""
    engine = request.app.state.engine
    info = await asyncio.to_thread(named_model, engine, model_id)
    if info.problem is not None:
        raise ModelNotFound(f"{info.id} cannot be loaded: {info.problem}.")
    if request.state.protocol is Protocol.ANTHROPIC:
        body = anthropic_model(info)
    else:
        body = openai_model(info, info.id in loaded_ids(engine))
    if ASKS in request.headers:
        body |= {FINGERPRINT: short(await asyncio.to_thread(fingerprint, info))}
    return Response(to_json(body), media_type="application/json")


@router.delete("/v1/models/{model_id:path}")
async def refuse_deletion(request: Request, model_id: str) -> Response:
    """Nobody deletes files over the network."""
    error = ApiError(
        403,
        f"{cut(model_id)} is not deleted over the API: files go on the machine itself, with `assay models delete` or x "
        "in the workbench. POST /admin/models/unload frees a model's memory.",
        "deletion_refused",
    )
    return error_response(error, request.state.protocol, request.state.request_id)


def _loadable(engine: Engine) -> list[ModelInfo]:
    """Looks at the disk again: what was downloaded since the server started is listed too."""
    return [info for info in engine.catalog.refresh() if info.problem is None]


def _created(info: ModelInfo) -> int:
    """When the model came to this disk, in seconds since the epoch; 0 if that cannot be told."""
    try:
        return int(info.path.stat().st_mtime)
    except OSError:
        return 0


def openai_model(info: ModelInfo, loaded: bool) -> dict[str, Any]:
    """A model in OpenAI's shape; `loaded` and what follows it are ours."""
    return {
        "id": info.id,
        "object": "model",
        "created": _created(info),
        "owned_by": info.id.partition("/")[0] if "/" in info.id else "local",
        "loaded": loaded,
        "kind": info.kind.value,
        "context_length": info.context_length,
        "capabilities": _capabilities(info),
    }


def _capabilities(info: ModelInfo) -> list[str]:
    task = audio_task(info)
    told = (
        ("images", info.images),
        ("tools", info.tools),
        ("thinking", info.thinking),
        ("embeddings", info.kind is ModelKind.EMBEDDINGS),
        ("reranking", info.kind is ModelKind.RERANKER),
        ("speech", task is AudioTask.SPEAK),
        ("transcription", task is AudioTask.TRANSCRIBE),
    )
    return [name for name, has in told if has]


def anthropic_model(info: ModelInfo) -> dict[str, Any]:
    """A model in Anthropic's shape."""
    return {
        "type": "model",
        "id": info.id,
        "display_name": info.id,
        "created_at": datetime.fromtimestamp(_created(info), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
        "max_input_tokens": info.context_length,
        "max_tokens": info.context_length,
    }


def anthropic_page(
    infos: Sequence[ModelInfo], limit: int | None, after_id: str | None, before_id: str | None
) -> dict[str, Any]:
    """A page of models: at most `limit`, after or before an id. Without a limit, all of them."""
    ids = [info.id for info in infos]
    start = ids.index(after_id) + 1 if after_id in ids else 0
    end = ids.index(before_id) if before_id in ids else len(ids)
    rest = infos[start:end]
    size = len(rest) if limit is None else max(1, limit)
    page = rest[-size:] if before_id in ids else rest[:size]
    return {
        "data": [anthropic_model(info) for info in page],
        "has_more": len(page) < len(rest),
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }
