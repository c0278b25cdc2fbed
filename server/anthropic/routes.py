"""The endpoints of the Anthropic protocol."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from server.answer import answer, count, read_request
from server.anthropic.decode import decode_count, decode_messages, image_urls, thinking_shown
from server.anthropic.encode import MessageStream, message_body, message_id
from server.anthropic.schema import CountRequest, MessagesRequest
from server.body import to_json, warning_header
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
    counted = await count(request, request.app.state.engine, decoded)
    headers = warning_header([*decoded.warnings, *counted.notes])
    return Response(to_json({"input_tokens": counted.tokens}), headers=headers, media_type="application/json")
