"""POST /tokenize and /detokenize, in vLLM's shape: a prompt as the tokens that a model reads, and the way back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from core.calls.events import PromptTokens
from core.calls.requests import GenerationRequest
from core.errors import InvalidRequest
from core.media.images import ImageData
from server.answer import read_request
from server.body import MAX_MESSAGES, Body, Items, Name, to_json_by_pieces, unknown_fields, warning_header
from server.decoded import Decoded, ineffective
from server.follow import found_while_connected
from server.openai.decode import decode_chat, image_urls
from server.openai.schema import ChatMessage, ChatRequest
from server.reading import JsonRoute

MAX_TOKENS = 1_000_000
"""Token numbers in a request."""

router = APIRouter(route_class=JsonRoute)


class PromptBody(ChatRequest):
    """A conversation, through the chat template, with all that a request for an answer may have; or a plain `prompt`,
    which no template is put round."""

    messages: Items[ChatMessage] = Field(default_factory=list, max_length=MAX_MESSAGES)
    prompt: str | None = None
    return_token_strs: bool = False


class TokensBody(Body):
    model: Name
    tokens: Annotated[Items[int], Field(max_length=MAX_TOKENS)]


@router.post("/tokenize", response_model=None)
async def tokenize(request: Request, body: PromptBody) -> Response:
    """The tokens of a prompt; without the model's weights."""
    if bool(body.messages) == (body.prompt is not None):
        raise InvalidRequest("Send either messages, which go through the chat template, or a prompt.", "messages")

    def decode(fetched: Mapping[str, ImageData]) -> Decoded:
        if body.prompt is None:
            return decode_chat(body, fetched)
        return Decoded(GenerationRequest("", prompt=body.prompt, source="openai"), tuple(_no_effect(body)))

    decoded = await read_request(request, body.model, partial(image_urls, body), decode)
    reading = await asyncio.to_thread(request.app.state.engine.tokenize, decoded.request)
    found: PromptTokens = await found_while_connected(request, reading)
    told: dict[str, Any] = {
        "count": len(found.tokens),
        "max_model_len": found.window,
        "tokens": list(found.tokens),
        "token_strs": [piece.decode("utf-8", "replace") for piece in found.pieces] if body.return_token_strs else None,
    }
    data = await asyncio.to_thread(lambda: to_json_by_pieces(told))
    return Response(data, headers=warning_header(decoded.warnings), media_type="application/json")


@router.post("/detokenize", response_model=None)
async def detokenize(request: Request, body: TokensBody) -> Response:
    """The text of tokens, the model's markup included."""
    decoded = await read_request(
        request, body.model, lambda: (False, []), lambda _: Decoded(GenerationRequest("", prompt=" ", source="openai"))
    )
    writing = await asyncio.to_thread(request.app.state.engine.detokenize, decoded.request.model, body.tokens)
    text: str = await found_while_connected(request, writing)
    data = await asyncio.to_thread(lambda: to_json_by_pieces({"prompt": text}))
    headers = warning_header(_no_effect(body))
    return Response(data, headers=headers, media_type="application/json")


def _no_effect(body: Body) -> list[str]:
    return ineffective(unknown_fields(body))
