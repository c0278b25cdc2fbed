"""The endpoints of the OpenAI protocol."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from server.answer import answer, read_request
from server.decoded import own_names
from server.openai import audio_speech, audio_transcriptions, embeddings
from server.openai.decode import called, decode_chat, decode_completion, image_urls
from server.openai.encode import ChatStream, Head, chat_body
from server.openai.encode_completion import CompletionStream, completion_body
from server.openai.responses import routes as responses
from server.openai.schema import ChatRequest, CompletionRequest
from server.openai.tools import shape
from server.reading import JsonRoute

router = APIRouter(route_class=JsonRoute)


@router.post("/v1/chat/completions", response_model=None)
async def chat_completions(request: Request, body: ChatRequest) -> Response:
    """Answer a conversation."""
    decoded = await read_request(
        request, body.model, lambda: image_urls(body), lambda images: decode_chat(body, images)
    )
    head = Head(decoded.request.model)
    include_usage, calls = body.stream_options is not None and body.stream_options.include_usage, shape(body)
    with own_names(called(body)):
        return await answer(
            request,
            request.app.state.engine,
            decoded,
            encoder=ChatStream(head, include_usage=include_usage, shape=calls) if body.stream else None,
            whole=lambda results: chat_body(head, results, calls),
            choices=body.n or 1,
        )


@router.post("/v1/completions", response_model=None)
async def completions(request: Request, body: CompletionRequest) -> Response:
    """Continue a plain prompt, without a chat template."""
    decoded = await read_request(request, body.model, lambda: (False, []), lambda _: decode_completion(body))
    head = Head(decoded.request.model, "cmpl")
    include_usage = body.stream_options is not None and body.stream_options.include_usage
    echo = body.prompt[0] if body.echo else ""
    return await answer(
        request,
        request.app.state.engine,
        decoded,
        encoder=CompletionStream(head, include_usage=include_usage, echo=echo) if body.stream else None,
        whole=lambda results: completion_body(head, results, echo),
        choices=body.n or 1,
    )


for part in (responses, embeddings, audio_speech, audio_transcriptions):  # behind the two above: looked through in turn
    router.include_router(part.router)
