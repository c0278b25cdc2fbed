"""One request for embeddings on its way through the engine, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.calls.awaited import Awaited
from core.calls.events import Timing
from core.calls.requests import EmbeddingRequest


@dataclass(frozen=True)
class EmbeddingResult:
    """A vector of length 1 for each input, in the order of the inputs; `prompt_tokens` counts all inputs together."""

    vectors: list[list[float]]
    prompt_tokens: int
    timing: Timing = field(default_factory=Timing)


class Embedding(Awaited[EmbeddingRequest, EmbeddingResult]):
    """Vectors on their way."""
