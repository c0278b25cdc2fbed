"""The FastAPI application: routes of both protocols behind the guard, and one place where failures become answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from core.errors import EngineError, RequestCancelled
from core.keys import KeyRing
from core.text_safety import escaped
from server import admin, exchanges, listing, metrics, probes, rerank, tokens
from server.anthropic import routes as anthropic
from server.errors import ApiError, error_response, from_engine
from server.follow import ClientLeft
from server.gathering import Gathering
from server.invalid import invalid_body
from server.openai import routes as openai
from server.openai.responses.routes import Responses
from server.security import Guard, check_exposure
from server.wire import WireRecord, WireState

if TYPE_CHECKING:
    from core.engine import Engine
    from core.settings import Settings


def create_app(
    engine: Engine, settings: Settings, *, key: str | None, record: WireRecord, counted: metrics.Metrics
) -> FastAPI:
    """The API over `engine`. `key` None leaves it open, which is refused (SettingsError) off loopback."""
    check_exposure(settings)
    app = FastAPI(title="Assay", docs_url=None, redoc_url=None)
    app.state.engine = engine
    app.state.settings = settings
    app.state.record = record
    app.state.metrics = counted
    app.state.ending = asyncio.Event()
    app.state.responses = Responses(settings)
    app.state.gathering = Gathering()
    # Looked through in turn: those that answer first.
    for part in (openai, anthropic, rerank, tokens, listing, probes, admin, exchanges, metrics):
        app.include_router(part.router)
    keys = KeyRing(key, settings.data_dir) if key is not None else None
    app.add_middleware(Guard, keys=keys, host=settings.host, allowed_hosts=settings.allowed_hosts, record=record)
    app.add_exception_handler(EngineError, _failed)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(ClientLeft, _left)
    return app


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, EngineError)
    return _answer(request, from_engine(error, request.state.request_id), isinstance(error, RequestCancelled))


async def _unreadable(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [{**fault, "loc": fault["loc"][1:]} for fault in error.errors()]  # the first says where: "query"
    return _answer(request, from_engine(invalid_body(faults), request.state.request_id))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = escaped(request.scope["path"], newlines=True)
    told = {
        404: ApiError(404, f"There is no {request.method} {path} here.", "not_found"),
        405: ApiError(405, f"{path} does not take {request.method}.", "method_not_allowed", headers=_allow(request)),
    }.get(error.status_code, ApiError(error.status_code, str(error.detail), "http_error"))
    return _answer(request, told)


def _allow(request: Request) -> dict[str, str]:
    """All methods that the address takes; Starlette's own Allow is of one route of several."""
    matching = [r for r in iter_route_contexts(request.app.routes) if r.matches(request.scope)[0] is not Match.NONE]
    return {"allow": ", ".join(sorted(set[str]().union(*(route.methods or () for route in matching))))}


async def _left(request: Request, error: Exception) -> Response:
    if (call := getattr(request.state, "call", None)) is not None:
        call.end(WireState.CANCELLED)
    return Response(status_code=499)  # nobody reads it


def _answer(request: Request, error: ApiError, cancelled: bool = False) -> Response:
    call = getattr(request.state, "call", None)
    response = error_response(error, request.state.protocol, request.state.request_id)
    if call is not None:
        state = WireState.CANCELLED if cancelled else WireState.FAILED
        call.end(state, response.status_code, error.details or error.message)
    return response
