"""The endpoints of the Anthropic protocol."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from core.calls.events import PromptCount
from server.answer import answer, read_request
from server.anthropic.decode import decode_count, decode_messages, image_urls, thinking_shown
from server.anthropic.encode import MessageStream, message_body, message_id
from server.anthropic.schema import CountRequest, MessagesRequest
from server.body import to_json, warning_header
from server.follow import while_connected
from server.reading import JsonRoute

router = APIRouter(route_class=JsonRoute)


@router.post("/v1/messages", response_model=None)
async def messages(request: Request, body: MessagesRequest) -> Response:
    """Answer a conversation."""
    decoded = await read_request(
        request, body.model, lambda: image_urls(body), lambda images: decode_messages(body, images)
    )
    id, model, show = message_id(), decoded.request.model, thinking_shown(body)
    encoder = MessageStream(id, model, request.state.request_id, show_thinking=show)
    return await answer(
        request,
        request.app.state.engine,
        decoded,
        encoder=encoder if body.stream else None,
        whole=lambda results: message_body(id, model, results[0], show_thinking=show),
    )


@router.post("/v1/messages/count_tokens", response_model=None)
async def count_tokens(request: Request, body: CountRequest) -> Response:
    """Count the tokens of a prompt: system, tools and images included."""
    decoded = await read_request(
        request, body.model, lambda: image_urls(body), lambda images: decode_count(body, images)
    )
    counting = await asyncio.to_thread(request.app.state.engine.count_tokens, decoded.request)

    async def counted() -> PromptCount:
        # Shielded: the engine will answer its future, and must not find it cancelled.
        return await asyncio.shield(asyncio.wrap_future(counting))

    count = await while_connected(request, counted())
    headers = warning_header([*decoded.warnings, *count.notes])
    return Response(to_json({"input_tokens": count.tokens}), headers=headers, media_type="application/json")
