"""What clients asked and were answered, for the owner's programs: listed, and followed as it comes."""

from __future__ import annotations

import asyncio
import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from server.body import to_json_by_pieces
from server.errors import ApiError, error_response
from server.exchange_json import exchange_to_json
from server.follow import while_connected
from server.reading import JsonRoute
from server.wire import WireEntry, WireRecord

router = APIRouter(prefix="/admin", route_class=JsonRoute)

PAGE_BYTES = 8_000_000
"""About what one answer holds of what was said; at least one request."""
LONGEST_WAIT_S = 60.0
NOW = "now"
"""In place of a cursor: nothing of what was before."""
_PROCESS = uuid.uuid4().hex[:12]
"""Numbers of another process's record mean nothing here."""


@router.get("/exchanges", response_model=None)
async def exchanges(
    request: Request, after: str = "", wait_s: Annotated[float, Query(ge=0, le=LONGEST_WAIT_S)] = 0.0
) -> Response:
    """Requests for an answer that have ended and are kept, in the order in which they ended; `next` is the cursor for
    `after`, and `lost` how many ended meanwhile and are not kept (any more).

    Without `after`, from the oldest that is kept. If there is none, it is waited for at most `wait_s` seconds.
    """
    record: WireRecord = request.app.state.record
    if not record.evidence.on:
        why = (
            "wire_mb is 0 in the settings" if not record.evidence.can_be_on else "it was switched off in the Wire pane"
        )
        error = ApiError(409, f"What clients ask and are answered is not kept here: {why}.", "not_kept")
        return error_response(error, request.state.protocol, request.state.request_id)
    start = _number(after, record)
    if record.evidence.ended == start and wait_s:
        await while_connected(request, _more(request, start, wait_s))
    told = await asyncio.to_thread(lambda: to_json_by_pieces(_page(record, start)))
    return Response(told, media_type="application/json")


def _number(cursor: str, record: WireRecord) -> int:
    """After how many requests to begin; 0 for the cursor of a record that is no more."""
    if cursor == NOW:
        return record.evidence.ended
    process, _, number = cursor.partition(".")
    known = process == _PROCESS and number.isdecimal() and len(number) < 20
    return min(int(number), record.evidence.ended) if known else 0


async def _more(request: Request, start: int, wait_s: float) -> None:
    """Wait until another request for an answer has ended, the server is to end, or the time is over."""
    record: WireRecord = request.app.state.record
    loop, heard = asyncio.get_running_loop(), asyncio.Event()

    def listener(entry: WireEntry) -> None:
        if entry.state.over and record.evidence.ended > start:
            loop.call_soon_threadsafe(heard.set)

    forget = record.listen(listener)
    waits = [asyncio.ensure_future(event.wait()) for event in (heard, request.app.state.ending)]
    try:
        await asyncio.wait(waits, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        forget()
        for wait in waits:
            wait.cancel()


def _page(record: WireRecord, start: int) -> dict[str, Any]:
    ended = record.evidence.ended
    found = [(record.entry(id), exchange) for id, exchange in record.evidence.since(start) if exchange.ended <= ended]
    page: list[dict[str, Any]] = []
    size, last = 0, ended
    for entry, exchange in found:
        if entry is None:  # it has given way this very moment
            continue
        size += exchange.nbytes
        if page and size > PAGE_BYTES:
            last = exchange.ended - 1
            break
        page.append(exchange_to_json(entry, exchange))
    return {"object": "list", "data": page, "next": f"{_PROCESS}.{last}", "lost": last - start - len(page)}
