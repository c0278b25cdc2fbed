"""POST /v1/rerank: which of some texts answer a query best.

The shape is that of Jina, Cohere and vLLM. A reranker tells 0 to 1 of each text; of an embeddings model it is the
cosine of the angle between the vectors of the query and the text, -1 to 1.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from core.calls.embedding import EmbeddingResult
from core.calls.embedding_audio_checks import MAX_INPUTS, check_reranks, reranking_models
from core.calls.generation_checks import check_sight
from core.calls.requests import EmbeddingRequest
from core.catalog import Catalog, ModelInfo, ModelKind
from core.errors import InvalidRequest
from core.settings import Settings
from server.answer import fetch_images
from server.body import Body, Items, Name, to_json_by_pieces, unknown_fields, warning_header
from server.decoded import ineffective, remote_images
from server.follow import while_connected
from server.openai.decode import image_part
from server.openai.embeddings import embedded
from server.openai.schema import ImageUrl
from server.reading import JsonRoute
from server.rerank_judged import Item, judged, judging_model

router = APIRouter(route_class=JsonRoute)

MAX_TEXTS = MAX_INPUTS - 1
"""Of one request: an embeddings model reads them with the query."""
DIGITS = 6
"""Of a score behind the point. What the rest says depends on which texts were read together."""


class Document(Body):
    """`image` and `image_url` are the same, an address or a data URI."""

    text: str = ""
    image: str | None = None
    image_url: str | ImageUrl | None = None

    @property
    def address(self) -> str | None:
        """The image's, if there is one."""
        return self.image or (self.image_url.url if isinstance(self.image_url, ImageUrl) else self.image_url) or None


class RerankBody(Body):
    """`documents` are texts, or objects with a `text`, an `image`, or both; so is `query`. `top_n` of them are told of,
    all without it.

    `instruction` says what a document has to do with the query, for models that read such.
    """

    model: Name
    query: str | Document
    documents: Annotated[Items[str | Document], Field(min_length=1)]
    top_n: Annotated[int | None, Field(ge=1)] = None
    return_documents: bool | None = None
    instruction: str | None = None


@router.post("/v1/rerank", response_model=None)
async def rerank(request: Request, body: RerankBody) -> Response:
    """Order texts, and images, by how well they answer a query."""
    texts = [document if isinstance(document, str) else document.text for document in body.documents]
    if len(texts) > MAX_TEXTS:
        raise InvalidRequest(
            f"documents has {len(texts)} texts; at most {MAX_TEXTS} are put in order at once. Send the others in "
            "another request: scores of one model can be compared.",
            "documents",
        )
    catalog: Catalog = request.app.state.engine.catalog
    judge = await asyncio.to_thread(judging_model, request, body.model)
    if judge is not None:
        query, *documents = await _items(request, judge, body)
        model, (scores, tokens) = judge.id, await judged(request, judge, query, documents, body.instruction)
    else:
        asked = partial(_asked, body, texts, catalog)
        model, result = await embedded(request, body.model, asked, reranking_models, "reranker")
        scores, tokens = await asyncio.to_thread(_scores, result, len(texts)), result.prompt_tokens
    data = await asyncio.to_thread(lambda: to_json_by_pieces(_encoded(body, texts, model, scores, tokens)))
    headers = warning_header(ineffective(unknown_fields(body)))
    return Response(data, headers=headers, media_type="application/json")


async def _items(request: Request, judge: ModelInfo, body: RerankBody) -> list[Item]:
    """The query and the documents for a model that may see. Raises InvalidRequest for one that is nothing, and as
    `check_sight` and what reads images do."""
    shown: list[tuple[str, str | None]] = []
    for name, one in _named(body):
        shown.append((one, None) if isinstance(one, str) else (one.text, one.address))
        if not isinstance(one, str) and not any(shown[-1]):
            raise InvalidRequest(f"{name} has neither text nor image. Send one of them.", name)
    addresses = [address for _, address in shown if address is not None]
    check_sight(judge, len(addresses))
    remote = remote_images(addresses)
    settings: Settings = request.app.state.settings
    fetched = await while_connected(request, fetch_images(remote, settings)) if remote else {}

    def made() -> list[Item]:
        return [Item(text, None if address is None else image_part(address, fetched).image) for text, address in shown]

    return await asyncio.to_thread(made)


def _named(body: RerankBody) -> Iterator[tuple[str, str | Document]]:
    """The query and the documents, with their places in the body."""
    yield "query", body.query
    for place, document in enumerate(body.documents):
        yield f"documents[{place}]", document


def _asked(body: RerankBody, texts: list[str], catalog: Catalog, model: str) -> EmbeddingRequest:
    info = catalog.get(model)
    check_reranks(info, catalog)
    for name, one in _named(body):
        if isinstance(one, Document) and one.address is not None:
            raise InvalidRequest(f"{name} is an image, and {info.id} reads text: name a Qwen3-VL-Reranker.", name)
    query = body.query if isinstance(body.query, str) else body.query.text
    if body.instruction is not None:
        raise InvalidRequest(
            f"{info.id} reads no instruction beside a query: leave it out, or name a Qwen3-Reranker.", "instruction"
        )
    labels = tuple(f"documents[{place}]" for place in range(len(texts)))
    if info.kind is ModelKind.RERANKER:
        return EmbeddingRequest(info.id, tuple(texts), query=query, labels=labels, source="openai")
    return EmbeddingRequest(info.id, (query, *texts), labels=("query", *labels), source="openai")


def _scores(result: EmbeddingResult, texts: int) -> list[float]:
    """A reranker's own scores, or the cosines of the texts' vectors and the first one, the query's."""
    if len(result.vectors) == texts:
        return [vector[0] for vector in result.vectors]
    query, *vectors = result.vectors
    # The vectors have the length 1: their product is the cosine.
    return [sum(a * b for a, b in zip(query, vector, strict=True)) for vector in vectors]


def _encoded(body: RerankBody, texts: list[str], model: str, scores: list[float], tokens: int) -> dict[str, Any]:
    scores = [round(score, DIGITS) for score in scores]
    order = sorted(range(len(texts)), key=lambda place: -scores[place])[: body.top_n]
    return {
        "id": f"rerank-{uuid.uuid4().hex}",
        "object": "list",
        "model": model,
        "results": [
            {"index": place, "relevance_score": scores[place]}
            | ({"document": _told(body.documents[place])} if body.return_documents else {})
            for place in order
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _told(document: str | Document) -> dict[str, str]:
    if isinstance(document, str):
        return {"text": document}
    shown = {"text": document.text, "image": document.address}
    return {name: value for name, value in shown.items() if value}
