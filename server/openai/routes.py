"""The endpoints of the OpenAI protocol."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from core.media.images import ImageData
from server.answer import answer, fetch_images
from server.decoded import Decoded
from server.follow import while_connected
from server.models import find_model
from server.openai import audio_speech, audio_transcriptions, embeddings
from server.openai.decode import decode_chat, decode_completion, image_urls
from server.openai.encode import ChatStream, Head, chat_body
from server.openai.encode_completion import CompletionStream, completion_body
from server.openai.responses import routes as responses
from server.openai.schema import ChatRequest, CompletionRequest

router = APIRouter()
for part in (embeddings, audio_speech, audio_transcriptions, responses):
    router.include_router(part.router)


@router.post("/v1/chat/completions", response_model=None)
async def chat_completions(request: Request, body: ChatRequest) -> Response:
    """Answer a conversation."""
    engine, settings = request.app.state.engine, request.app.state.settings

    def decode(images: dict[str, ImageData]) -> Decoded:
        decoded = decode_chat(body, images)
        model = find_model(engine, settings, body.model, images=bool(decoded.request.images))
        return decoded.for_model(model.id)

    images = await while_connected(request, fetch_images(image_urls(body), settings))
    decoded = await asyncio.to_thread(decode, images)
    head = Head(decoded.request.model)
    include_usage = body.stream_options is not None and body.stream_options.include_usage
    return await answer(
        request,
        engine,
        decoded,
        encoder=ChatStream(head, include_usage=include_usage) if body.stream else None,
        whole=lambda results: chat_body(head, results),
        choices=body.n or 1,
    )


@router.post("/v1/completions", response_model=None)
async def completions(request: Request, body: CompletionRequest) -> Response:
    """Continue a plain prompt, without a chat template."""
    engine, settings = request.app.state.engine, request.app.state.settings

    def decode() -> Decoded:
        return decode_completion(body).for_model(find_model(engine, settings, body.model, images=False).id)

    decoded = await asyncio.to_thread(decode)
    head = Head(decoded.request.model, "cmpl")
    include_usage = body.stream_options is not None and body.stream_options.include_usage
    echo = body.prompt[0] if body.echo else ""
    return await answer(
        request,
        engine,
        decoded,
        encoder=CompletionStream(head, include_usage=include_usage, echo=echo) if body.stream else None,
        whole=lambda results: completion_body(head, results, echo),
        choices=body.n or 1,
    )
