"""POST /v1/rerank: which of some texts answer a query best, told by an embeddings model.

The shape is that of Jina, Cohere and vLLM. A score is the cosine of the angle between the vectors of the query and the
text, -1 to 1, the greatest first.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from core.calls.embedding import EmbeddingResult
from core.calls.requests import EmbeddingRequest
from server.body import Body, Items, Name, to_json_by_pieces, unknown_fields, warning_header
from server.decoded import ineffective
from server.openai.embeddings import embedded
from server.reading import JsonRoute

router = APIRouter(route_class=JsonRoute)


class Document(Body):
    text: str


class RerankBody(Body):
    """`documents` are texts, or objects with a `text`; `top_n` of them are told of, all without it."""

    model: Name
    query: str
    documents: Annotated[Items[str | Document], Field(min_length=1)]
    top_n: Annotated[int | None, Field(ge=1)] = None
    return_documents: bool | None = None


@router.post("/v1/rerank", response_model=None)
async def rerank(request: Request, body: RerankBody) -> Response:
    """Order texts by how near they are to a query."""
    texts = [document if isinstance(document, str) else document.text for document in body.documents]
    model, result = await embedded(
        request, body.model, lambda model: EmbeddingRequest(model, (body.query, *texts), source="openai")
    )
    data = await asyncio.to_thread(lambda: to_json_by_pieces(_encoded(body, texts, model, result)))
    headers = warning_header(ineffective(unknown_fields(body)))
    return Response(data, headers=headers, media_type="application/json")


def _encoded(body: RerankBody, texts: list[str], model: str, result: EmbeddingResult) -> dict[str, Any]:
    query, *vectors = result.vectors
    # The vectors have the length 1: their product is the cosine.
    scores = [sum(a * b for a, b in zip(query, vector, strict=True)) for vector in vectors]
    order = sorted(range(len(texts)), key=lambda place: -scores[place])[: body.top_n]
    return {
        "id": f"rerank-{uuid.uuid4().hex}",
        "object": "list",
        "model": model,
        "results": [
            {"index": place, "relevance_score": round(scores[place], 6)}
            | ({"document": {"text": texts[place]}} if body.return_documents else {})
            for place in order
        ],
        "usage": {"prompt_tokens": result.prompt_tokens, "total_tokens": result.prompt_tokens},
    }
