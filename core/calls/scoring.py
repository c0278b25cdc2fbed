"""One request for the probabilities of a given answer on its way through the engine, and what comes of it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.calls.awaited import Awaited
from core.calls.events import Timing, TokenLogprob
from core.calls.requests import GenerationRequest

MOST_ALTERNATIVES = 20
"""For each token, as for the tokens of an answer."""
MOST_COPIES = 64
"""Rows that are computed side by side."""


@dataclass(frozen=True)
class Conditions:
    """How an answer is computed. What comes out is the same but for rounding, which is what can be measured with it.

    `rows` None lets it share a batch with whatever else is scored, 1 keeps it alone, and more compute it that often
    side by side. Without `kept` nothing that is known of the prompt is used. `pace` is how many tokens are read at
    once at most, 1 as when an answer is written; None leaves that to the engine.
    """

    rows: int | None = None
    kept: bool = True
    pace: int | None = None


@dataclass(frozen=True)
class ScoreRequest:
    """An answer whose tokens are to be scored after a prompt: how likely the model would have written each of them.

    `prompt` is what was asked, with its images and tools; its sampling has no effect, since the model's own
    distribution is meant. `answer` is a text or the ids of tokens, whatever they are, end tokens and thinking included.
    `top` is how many alternatives are told for each token. With `against`, the id of a model with the same vocabulary,
    that model scores the same tokens in the same steps, and the divergence of both is told (see `Score.kl`).
    """

    prompt: GenerationRequest
    answer: str | tuple[int, ...]
    top: int = 5
    against: str | None = None
    conditions: Conditions = Conditions()
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def model(self) -> str:
        """The model that is asked."""
        return self.prompt.model

    @property
    def models(self) -> tuple[str, ...]:
        """It, and the one that it is held against."""
        return (self.model,) if self.against is None else (self.model, self.against)


@dataclass(frozen=True)
class ScoredToken(TokenLogprob):
    """A token of the answer with its natural-log probability; `rank` 1 is the likeliest of all tokens.

    `special` tokens, such as the end of a turn, are no text. `top` are the likeliest tokens, itself perhaps among them.
    """

    rank: int = 1
    special: bool = False


@dataclass(frozen=True)
class Score:
    """What one model makes of an answer. Digests as in `core.calls.witness`; `prompt_tokens` are the prompt's.

    `cached_tokens` of the prompt came from an earlier request, and `rows` is the largest number of rows that were
    computed together with it. `vocabulary_sha256` is the same for models whose token ids mean the same.
    """

    model: str
    tokens: tuple[ScoredToken, ...]
    prompt_tokens: int
    prompt_sha256: str
    vocabulary_sha256: str
    fingerprint: Mapping[str, str]
    precision: str
    cached_tokens: int = 0
    rows: int = 1
    notes: tuple[str, ...] = ()
    timing: Timing = field(default_factory=Timing)
    against: Score | None = None
    """The same of the other model."""
    kl: tuple[float, ...] = ()
    """For each token KL(against || model) in nats, over the whole vocabulary: what the other model's distribution at
    that place loses when this model stands in for it, as llama.cpp and others tell it of a quantisation."""


class Scoring(Awaited[ScoreRequest, Score]):
    """A score on its way."""

    def __init__(self, request: ScoreRequest) -> None:
        super().__init__(request)
        self.shared: Any = None
        """What two models have between them while they are at it. It belongs to the MLX thread."""

    @property
    def models(self) -> tuple[str, ...]:
        return self.request.models
