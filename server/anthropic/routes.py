"""The endpoints of the Anthropic protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from core.media.images import ImageData
from server.answer import answer, count, fetch_images
from server.anthropic.decode import decode_count, decode_messages, image_urls, thinking_shown
from server.anthropic.encode import MessageStream, message_body, message_id
from server.anthropic.schema import CountRequest, MessagesRequest
from server.body import to_json, warning_header
from server.decoded import Decoded
from server.follow import while_connected
from server.models import find_model

router = APIRouter()


@router.post("/v1/messages", response_model=None)
async def messages(request: Request, body: MessagesRequest) -> Response:
    """Answer a conversation."""
    decoded = await _decoded(request, body, lambda images: decode_messages(body, images))
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
    decoded = await _decoded(request, body, lambda images: decode_count(body, images))
    counted = await count(request, request.app.state.engine, decoded)
    headers = warning_header([*decoded.warnings, *counted.notes])
    return Response(to_json({"input_tokens": counted.tokens}), headers=headers, media_type="application/json")


async def _decoded(
    request: Request, body: CountRequest, decode: Callable[[Mapping[str, ImageData]], Decoded]
) -> Decoded:
    """Fetch what the body points to, then decode it and find its model, off the event loop."""
    engine, settings = request.app.state.engine, request.app.state.settings
    images = await while_connected(request, fetch_images(image_urls(body), settings))

    def found() -> Decoded:
        decoded = decode(images)
        return decoded.for_model(find_model(engine, settings, body.model, images=bool(decoded.request.images)).id)

    return await asyncio.to_thread(found)
