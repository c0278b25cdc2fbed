"""Whether the server is well, whether it takes requests, and what it is: what monitors and people ask first."""

from __future__ import annotations

import asyncio
import platform
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from server.body import to_json

router = APIRouter()


@router.get("/health")
@router.head("/health", include_in_schema=False)
async def health(request: Request) -> Response:
    """200 while the engine works, else 503. What it is at is told to those who have a key."""
    status = request.app.state.engine.status()
    body: dict[str, Any] = {"status": "ok" if status.alive else "unavailable"}
    if request.state.has_key:
        body |= {
            "engine": {
                "device": status.device,
                "machine": status.machine,
                "models": len(status.models),
                "memory_bytes": status.active_memory,
                "memory_budget_bytes": status.memory_budget,
            },
            "queue": {
                "running": status.running,
                "waiting": status.waiting,
                "limit": request.app.state.settings.max_queue,
            },
        }
    return _json(body, 200 if status.alive else 503)


@router.get("/ready")
@router.head("/ready", include_in_schema=False)
async def ready(request: Request) -> Response:
    """200 when a request that comes now would be taken; 503 without an engine, or while the queue is full."""
    status, limit = request.app.state.engine.status(), request.app.state.settings.max_queue
    if not status.alive:
        reason = "the engine does not work"
    elif status.waiting >= limit:
        reason = f"the queue is full ({status.waiting:,} requests wait)"
    else:
        return _json({"status": "ready"}, 200)
    return _json({"status": "unavailable", "reason": reason}, 503)


@router.get("/version")
async def version(request: Request) -> Response:
    """Which program answers, with which libraries; "" for what is not installed."""
    from core.figures.recorder import versions

    told = await asyncio.to_thread(versions)
    body = {
        "version": told.assay,
        "mlx": told.mlx,
        "mlx_lm": told.mlx_lm,
        "mlx_vlm": told.mlx_vlm,
        "python": platform.python_version(),
        "device": request.app.state.engine.status().device,
    }
    return _json(body, 200)


@router.head("/")
async def root() -> Response:
    """What Claude Code asks before its first request."""
    return Response()


def _json(body: dict[str, Any], status: int) -> Response:
    return Response(to_json(body), status, media_type="application/json")
