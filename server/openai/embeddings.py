"""POST /v1/embeddings: texts to vectors, in the OpenAI protocol."""

from __future__ import annotations

import asyncio
import base64
from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from sys import byteorder
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError
from starlette.requests import Request
from starlette.responses import Response

from core.calls.embedding import EmbeddingResult
from core.calls.embedding_audio_checks import embeddings_models
from core.calls.events import Finished, FinishReason, Usage
from core.calls.requests import EmbeddingRequest
from core.catalog import Catalog, ModelInfo
from core.errors import RequestCancelled
from server.body import Body, Items, Name, to_json_by_pieces, unknown_fields, warning_header
from server.decoded import ineffective
from server.follow import while_connected
from server.models import find_other_model
from server.reading import JsonRoute
from server.wire import WireCall

DIGITS = 9
"""Decimals of a number in JSON: a float32 of a vector of length 1 holds no more; base64 holds it exactly."""

router = APIRouter(route_class=JsonRoute)


def _as_texts(value: Any) -> Any:
    """One text is a list of one; token numbers are refused."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and any(isinstance(item, int | list) for item in value):
        raise PydanticCustomError(
            "tokens",
            "token numbers mean something to the tokenizer alone that made them; send the texts "
            "(in LangChain: check_embedding_ctx_length=False)",
        )
    return value


Result = TypeVar("Result")


class EmbeddingsBody(Body):
    """Fields as in OpenAI's API reference, as far as they have an effect here."""

    model: Name
    input: Annotated[Items[str], BeforeValidator(_as_texts)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None


def decode(body: EmbeddingsBody, model: str) -> EmbeddingRequest:
    """A body as an engine request, for a model of the catalog."""
    return EmbeddingRequest(model, tuple(body.input), body.dimensions, source="openai")


def encode(result: EmbeddingResult, model: str, *, as_base64: bool) -> dict[str, Any]:
    """The list of embeddings; in base64, a vector is its float32 numbers, little-endian."""
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _base64(vector) if as_base64 else _rounded(vector)}
            for index, vector in enumerate(result.vectors)
        ],
        "model": model,
        "usage": {"prompt_tokens": result.prompt_tokens, "total_tokens": result.prompt_tokens},
    }


def _rounded(vector: list[float]) -> list[float]:
    return [round(number, DIGITS) for number in vector]


def _base64(vector: list[float]) -> str:
    numbers = array("f", vector)
    if byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()


@router.post("/v1/embeddings", response_model=None)
async def embeddings(request: Request, body: EmbeddingsBody) -> Response:
    """Turn texts into vectors of length 1."""
    model, result = await embedded(request, body.model, lambda model: decode(body, model))
    as_base64 = body.encoding_format == "base64"
    data = await asyncio.to_thread(lambda: to_json_by_pieces(encode(result, model, as_base64=as_base64)))
    headers = warning_header(ineffective(unknown_fields(body)))
    return Response(data, headers=headers, media_type="application/json")


async def embedded(
    request: Request,
    name: str,
    decode: Callable[[str], EmbeddingRequest],
    suitable: Callable[[Catalog], Sequence[ModelInfo]] = embeddings_models,
    what: str = "embeddings model",
) -> tuple[str, EmbeddingResult]:
    """The vectors of what `decode` makes for the model that `name` means, and that model's id.

    "default" is one of those that are `suitable`, which `what` names. Ended when the client leaves. Raises as
    `find_other_model` and the engine do.
    """
    engine, settings = request.app.state.engine, request.app.state.settings
    call: WireCall = request.state.call

    def submit() -> tuple[str, Future[EmbeddingResult]]:
        model = find_other_model(engine, settings, name, suitable(engine.catalog), what).id
        return model, engine.embed(decode(model))

    model, future = await asyncio.to_thread(submit)
    call.begin(model, False, lambda: _stop(future))
    try:
        result = await while_connected(request, answered(future))
    finally:
        future.cancel()
    call.event(Finished(FinishReason.STOP, Usage(prompt_tokens=result.prompt_tokens), result.timing))
    return model, result


def _stop(future: Future[EmbeddingResult]) -> None:
    future.cancel()


async def answered(future: Future[Result]) -> Result:
    """What a request comes to. Raises RequestCancelled where it was stopped from elsewhere."""
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        raise RequestCancelled("The request was stopped on the server's side before it had finished.") from None
