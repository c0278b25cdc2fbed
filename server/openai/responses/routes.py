"""The endpoints of /v1/responses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from core.errors import ContextOverflow, InvalidRequest
from core.settings import Settings
from server.answer import answer, count, read_request
from server.body import to_json, warning_header
from server.decoded import Decoded, own_names
from server.errors import ApiError, Protocol, error_response
from server.openai.responses.conversation import Conversation, gathered
from server.openai.responses.decode import PARAMS, decode_response
from server.openai.responses.encode import ResponseStream
from server.openai.responses.items import image_urls
from server.openai.responses.schema import CountRequest, ResponsesRequest
from server.openai.responses.store import ResponseStore
from server.reading import JsonRoute
from server.wire import WireCall

MB = 2**20
FILE = "responses.sqlite"
LONGEST_PAGE = 100

router = APIRouter(route_class=JsonRoute)


@dataclass(frozen=True)
class Live:
    """A response that is being made; `call` can stop it."""

    stream: ResponseStream
    call: WireCall
    conversation: Conversation


class Responses:
    """The responses of one application: those that are kept, and those that are being made."""

    def __init__(self, settings: Settings) -> None:
        path = settings.data_dir / FILE if settings.responses_on_disk and settings.responses_mb else None
        self.kept = ResponseStore(path, int(settings.responses_mb * MB))
        self._live: dict[str, Live] = {}

    def begin(self, live: Live) -> None:
        """Let a response be found while it is made; those whose clients have left are forgotten."""
        for id, other in list(self._live.items()):
            if other.call.entry.state.over:
                self.end(id)
        self._live[live.stream.id] = live

    def end(self, id: str) -> None:
        self._live.pop(id, None)

    def running(self, id: str) -> Live | None:
        """The response of that id, if it is being made."""
        live = self._live.get(id)
        return live if live is not None and not live.call.entry.state.over else None

    def close(self) -> None:
        """Let go of what is kept."""
        self.kept.close()


@router.post("/v1/responses", response_model=None)
async def create(request: Request, body: ResponsesRequest) -> Response:
    """Answer a conversation."""
    responses: Responses = request.app.state.responses
    with _own_names():
        conversation, decoded = await _decoded(request, body)
        kept = responses.kept
        keeping = body.store is not False and conversation.size <= kept.limit and kept.limit > 0
        if body.store and not keeping:
            warning = (
                f"store: this response is not kept, since its conversation takes {conversation.size / MB:.1f} MB and "
                f"responses_mb is {request.app.state.settings.responses_mb:g}"
            )
            decoded = replace(decoded, warnings=(*decoded.warnings, warning))

        def keep(response: dict[str, Any]) -> None:
            responses.end(response["id"])
            if keeping:
                kept.put_soon(response, conversation.pieces)

        stream = ResponseStream(body, decoded.request.model, keep, stored=keeping)
        responses.begin(Live(stream, request.state.call, conversation))
        return await answer(
            request,
            request.app.state.engine,
            decoded,
            encoder=stream if body.stream else None,
            whole=lambda _: stream.whole(),
            collector=stream.collector,
        )


@router.post("/v1/responses/input_tokens", response_model=None)
async def input_tokens(request: Request, body: CountRequest) -> Response:
    """Count the tokens of a request's input: instructions, tools and images included."""
    with _own_names():
        _, decoded = await _decoded(request, body)
        counted = await count(request, request.app.state.engine, decoded)
    headers = warning_header([*decoded.warnings, *counted.notes])
    return _json({"object": "response.input_tokens", "input_tokens": counted.tokens}, headers)


@router.get("/v1/responses/{response_id}", response_model=None)
async def retrieve(request: Request, response_id: str, stream: bool = False) -> Response:
    """A response as it stands. Raises InvalidRequest for a stream of what was streamed already."""
    responses: Responses = request.app.state.responses
    if stream:
        raise InvalidRequest(
            "stream is not supported here: the events of a response are sent once, to the request that made it. Leave "
            "stream out to get the response as it stands.",
            "stream",
        )
    live = responses.running(response_id)
    if live is not None:
        return _json(live.stream.response())
    kept = await asyncio.to_thread(responses.kept.get, response_id)
    return _missing(request, response_id) if kept is None else _json(kept.response)


@router.delete("/v1/responses/{response_id}", response_model=None)
async def delete(request: Request, response_id: str) -> Response:
    """Forget a response."""
    responses: Responses = request.app.state.responses
    if not await asyncio.to_thread(responses.kept.delete, response_id):
        return _missing(request, response_id)
    return _json({"id": response_id, "object": "response", "deleted": True})


@router.post("/v1/responses/{response_id}/cancel", response_model=None)
async def cancel(request: Request, response_id: str) -> Response:
    """Stop a response that is being made; one that has ended comes back as it is."""
    responses: Responses = request.app.state.responses
    live = responses.running(response_id)
    if live is not None and live.call.kill():
        return _json(live.stream.response() | {"status": "cancelled"})
    kept = await asyncio.to_thread(responses.kept.get, response_id)
    return _missing(request, response_id) if kept is None else _json(kept.response)


@router.get("/v1/responses/{response_id}/input_items", response_model=None)
async def input_items(
    request: Request,
    response_id: str,
    limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = 20,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
) -> Response:
    """A page of the items that a response answered, those of the responses before it included."""
    responses: Responses = request.app.state.responses
    live = responses.running(response_id)
    if live is not None:
        items = list(live.conversation.listed)
    else:
        kept = await asyncio.to_thread(responses.kept.get, response_id)
        if kept is None:
            return _missing(request, response_id)
        items = kept.input
    if order == "desc":
        items.reverse()
    ids = [item["id"] for item in items]
    if after is not None and after not in ids:
        raise InvalidRequest(f"after is {after[:100]!r}, which is no item of this response.", "after")
    rest = items[ids.index(after) + 1 if after is not None else 0 :]
    page = rest[:limit]
    return _json(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else "",
            "last_id": page[-1]["id"] if page else "",
            "has_more": len(page) < len(rest),
        }
    )


async def _decoded(request: Request, body: ResponsesRequest) -> tuple[Conversation, Decoded]:
    """The conversation and what is asked of it, for a model of the catalog, with what it points to fetched."""
    responses: Responses = request.app.state.responses
    conversation = await asyncio.to_thread(gathered, body, responses.kept)
    decoded = await read_request(
        request,
        body.model,
        lambda: image_urls(item for _, item in conversation.items),
        lambda images: decode_response(body, conversation.items, images),
    )
    return conversation, decoded


@contextmanager
def _own_names() -> Iterator[None]:
    """Errors name fields as they are called here."""
    try:
        with own_names(PARAMS):
            yield
    except ContextOverflow as error:
        error.param = "input"
        raise


def _json(body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(to_json(body), headers=headers, media_type="application/json")


def _missing(request: Request, id: str) -> Response:
    told = ApiError(
        404,
        f"There is no response {id[:100]!r} here: it was not to be kept, has made room for newer ones, was deleted, or "
        "the API was switched off since. Make it again, with store = true.",
        "response_not_found",
    )
    return error_response(told, Protocol.OPENAI, request.state.request_id)
