"""How likely models find one answer: bits per byte across vocabularies, and divergence by token within one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.calls.requests import GenerationRequest
from core.calls.scoring import Score, ScoredToken, ScoreRequest
from core.errors import EngineError
from core.golden.explain.asking import Ask
from core.golden.explain.noise import text_of

LEVELS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Nats from which a place of the strip is drawn one step higher: each is about three times the one before."""
BLOCKS = " ▁▂▃▄▅▆▇█"

Piece = tuple[str, float]
"""A piece of the answer's text, and by how many nats two models part there."""


@dataclass(frozen=True)
class Likelihood:
    """What one model makes of the answer; with an `error`, nothing.

    `as_written` says that the tokens are those that were written, not made of the text anew. `kl` are nats by token,
    of the answer's own model against this one; None where they share no vocabulary, or do not fit the memory together
    (`note` says so). `pieces` are the answer in order with the nats by which the two part: by token where there is
    `kl`, else by character, as far as both read the same text.
    """

    model: str
    score: Score | None = None
    as_written: bool = False
    kl: tuple[float, ...] | None = None
    pieces: tuple[Piece, ...] = ()
    note: str = ""
    error: str = ""

    @property
    def nats(self) -> float:
        """The negative log-probability of the text: marks such as the end of the turn are left out."""
        return -sum(token.logprob for token in self._text)

    @property
    def bits_per_byte(self) -> float:
        """Of the answer's text in UTF-8, which no vocabulary changes."""
        size = sum(len(token.raw or b"") for token in self._text)
        return self.nats / math.log(2) / size if size else 0.0

    @property
    def _text(self) -> Sequence[ScoredToken]:
        return [token for token in self.score.tokens if not token.special] if self.score else ()

    @property
    def elsewhere(self) -> int | None:
        """The first place at which the model would rather have said something else; None where it would nowhere."""
        tokens = self.score.tokens if self.score else ()
        return next((place for place, token in enumerate(tokens) if token.rank > 1), None)

    @property
    def mean_kl(self) -> float | None:
        return sum(self.kl) / len(self.kl) if self.kl else None

    def to_json(self) -> dict[str, Any]:
        if self.score is None:
            return {"model": self.model, "error": self.error}
        tokens = [
            {"id": token.token_id, "text": token.text, "logprob": token.logprob, "rank": token.rank}
            | ({"kl": self.kl[place]} if self.kl else {})
            for place, token in enumerate(self.score.tokens)
        ]
        return {
            "model": self.model,
            "as_written": self.as_written,
            "bits_per_byte": self.bits_per_byte,
            "nats": self.nats,
            "elsewhere": self.elsewhere,
            "kl": {"mean": self.mean_kl, "max": max(self.kl)} if self.kl else None,
            "tokens": tokens,
            "note": self.note or None,
        }


def likelihoods(
    ask: Ask, request: GenerationRequest, text: str, tokens: tuple[int, ...] | None, models: Sequence[str]
) -> list[Likelihood]:
    """The answer `text` under each model, with the images in sight; the first of them is held against the others.

    `tokens` are the ids in which the first model wrote it, if they are known: models that share its vocabulary are
    given the same, others the text. What goes wrong with one model stands in its place, and keeps no other from its.
    """
    own, *others = models
    reference = _scored(ask, replace(request, model=own), text if tokens is None else tokens)
    if reference.score is None:
        return [reference]
    written = text_of(reference.score.tokens)
    reference = replace(reference, as_written=tokens is not None)
    found = [reference]
    for model in others:
        other = _scored(ask, replace(request, model=model), text or written)
        found.append(_beside(ask, request, other, reference) if other.score else other)
    return found


def _scored(ask: Ask, request: GenerationRequest, answer: str | tuple[int, ...]) -> Likelihood:
    try:
        return Likelihood(request.model, ask(ScoreRequest(request, answer)))
    except EngineError as error:
        return Likelihood(request.model, error=str(error))


def _beside(ask: Ask, request: GenerationRequest, other: Likelihood, reference: Likelihood) -> Likelihood:
    """What is told of a model by holding it against the first one."""
    assert other.score is not None
    assert reference.score is not None
    if other.score.vocabulary_sha256 != reference.score.vocabulary_sha256:
        return replace(other, pieces=_by_character(other.score, reference.score))
    answer = tuple(token.token_id for token in reference.score.tokens)
    pair = ScoreRequest(replace(request, model=other.model), answer, against=reference.model)
    try:
        score = ask(pair)
    except EngineError as error:
        alone = _scored(ask, pair.prompt, answer)
        return replace(alone, as_written=reference.as_written, note=f"No divergence is told: {error}")
    pieces = tuple((text_of([token]), nats) for token, nats in zip(score.tokens, score.kl, strict=True))
    return Likelihood(other.model, score, reference.as_written, score.kl, pieces)


def _by_character(one: Score, other: Score) -> tuple[Piece, ...]:
    """By how much the models' surprise at each character differs; nothing where they do not read the same text."""
    text = text_of(one.tokens).strip()
    if text != text_of(other.tokens).strip():
        return ()
    ours, theirs = _by_byte(one), _by_byte(other)
    pieces: list[Piece] = []
    at = 0
    for character in text:
        size = len(character.encode("utf-8", "replace"))
        pieces.append((character, abs(sum(ours[at : at + size]) - sum(theirs[at : at + size]))))
        at += size
    return tuple(pieces)


def _by_byte(score: Score) -> list[float]:
    """The surprise of each byte in nats: that of its token, in equal parts. White space before the text has none."""
    found: list[float] = []
    for token in score.tokens:
        if raw := b"" if token.special else token.raw:
            found += [-token.logprob / len(raw)] * len(raw)
    text = text_of(score.tokens)
    return found[len(text) - len(text.lstrip()) :]


def level(nats: float) -> str:
    """The character that stands for so many nats in a strip."""
    return BLOCKS[sum(nats >= bound for bound in LEVELS)]
