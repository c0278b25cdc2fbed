"""How much a model's probabilities change when nothing changes but how they are computed: the noise floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.calls.requests import GenerationRequest
from core.calls.scoring import MOST_ALTERNATIVES, MOST_COPIES, Conditions, Score, ScoredToken, ScoreRequest
from core.golden.explain.asking import Ask

REFERENCE = Conditions(rows=1, kept=False)
"""What is held against the others: alone in the batch, nothing known of the prompt, as many tokens at once as fit."""


@dataclass(frozen=True)
class NoiseFloor:
    """The largest change of a margin in nats, by what was done otherwise, over `tokens` places of an answer.

    A margin is how far the likeliest token of a place lies before the second.
    """

    by: Mapping[str, float]
    tokens: int

    @property
    def nats(self) -> float:
        return max(self.by.values(), default=0.0)

    def to_json(self) -> dict[str, Any]:
        return {"nats": self.nats, "by": dict(self.by), "tokens": self.tokens}


def measure(ask: Ask, request: GenerationRequest, answer: str | tuple[int, ...], rows: int) -> tuple[Score, NoiseFloor]:
    """The score of an answer under the reference conditions, and how much others change it: the prompt's prefix kept,
    `rows` computed side by side, and the tokens read one by one, as when an answer is written."""

    def scored(conditions: Conditions) -> Score:
        return ask(ScoreRequest(request, answer, MOST_ALTERNATIVES, conditions=conditions))

    reference = scored(REFERENCE)
    found = {"prefix kept": change(reference, scored(replace(REFERENCE, kept=True)))}
    beside = scored(replace(REFERENCE, rows=min(rows, MOST_COPIES)))
    if beside.rows > 1:  # some models take no second row
        found[f"batch of {beside.rows}"] = change(reference, beside)
    found["token by token"] = change(reference, scored(replace(REFERENCE, pace=1)))
    return reference, NoiseFloor(found, len(reference.tokens))


def change(reference: Score, other: Score) -> float:
    """The largest change of a margin between two scores of the same tokens."""
    pairs = zip(reference.tokens, other.tokens, strict=True)
    return max((_changed(one, two) for one, two in pairs if len(one.top) > 1), default=0.0)


def _changed(reference: ScoredToken, other: ScoredToken) -> float:
    first, second = reference.top[:2]
    there = {token.token_id: token.logprob for token in (*other.top, other)}
    least = min(there.values())
    margin = there.get(first.token_id, least) - there.get(second.token_id, least)
    return abs(margin - (first.logprob - second.logprob))


def text_of(tokens: Sequence[ScoredToken]) -> str:
    """What tokens add to a text, marks left out."""
    return b"".join(bytes(token.raw or b"") for token in tokens if not token.special).decode("utf-8", "replace")
