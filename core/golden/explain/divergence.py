"""Where two answers to one question part, what each model held for likely there, and whether it is more than noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from core.calls.events import TokenLogprob
from core.calls.requests import GenerationRequest
from core.calls.scoring import MOST_ALTERNATIVES, Score, ScoredToken, ScoreRequest
from core.golden.explain.asking import Ask, Trace
from core.golden.explain.noise import REFERENCE, NoiseFloor, measure, text_of
from core.golden.plan import IN_FLIGHT
from core.golden.rates import is_greedy

SHOWN = 5
"""Candidates of each side."""


class Kind(StrEnum):
    """What two answers come to, token by token."""

    SAME = "same"
    PARTED = "parted"
    CUT = "cut"
    """One goes on where the other was cut off: up to there they are the same."""
    UNLIKE = "unlike"
    """The models share no vocabulary."""


@dataclass(frozen=True)
class Side:
    """One answer at the place where they part: its token and the other's, both as its own model has it.

    `sampled` says that the token was drawn by chance, with what was in force for it in `sampling`.
    """

    trace: Trace
    said: ScoredToken
    other: ScoredToken
    floor: NoiseFloor
    sampled: bool

    @property
    def margin(self) -> float:
        """Nats by which its own token was likelier than the other's; negative where it was not."""
        return self.said.logprob - self.other.logprob

    @property
    def within_noise(self) -> bool:
        return abs(self.margin) <= self.floor.nats

    @property
    def candidates(self) -> tuple[TokenLogprob, ...]:
        """The likeliest tokens of the place, with both that were said, best first."""
        known = {token.token_id: token for token in (*self.said.top[:SHOWN], self.said, self.other)}
        return tuple(sorted(known.values(), key=lambda token: -token.logprob))

    def to_json(self) -> dict[str, Any]:
        candidates = [{"id": one.token_id, "text": one.text, "logprob": one.logprob} for one in self.candidates]
        return {
            "model": self.trace.request.model,
            "said": {"id": self.said.token_id, "logprob": self.said.logprob, "rank": self.said.rank},
            "other": {"id": self.other.token_id, "logprob": self.other.logprob, "rank": self.other.rank},
            "margin_nats": self.margin,
            "within_noise_floor": self.within_noise,
            "noise_floor": self.floor.to_json(),
            "sampled": self.sampled,
            "candidates": candidates,
        }


@dataclass(frozen=True)
class Divergence:
    """Two answers, token by token. `position` is how many tokens they have in common, and `before` the text of these;
    `sides` are there where they part."""

    kind: Kind
    position: int
    before: str = ""
    sides: tuple[Side, Side] | None = None

    @property
    def margin(self) -> float | None:
        """The smaller of both sides' margins, without their signs."""
        return min(abs(side.margin) for side in self.sides) if self.sides else None

    @property
    def within_noise(self) -> bool:
        """Whether one of the two might as well have said what the other did."""
        return self.sides is not None and any(side.within_noise for side in self.sides)

    @property
    def verdict(self) -> str:
        """What it means, in a sentence."""
        if self.sides is None:
            return _UNPARTED[self.kind]
        left, right = self.sides
        if self.within_noise:
            return "This is within the noise floor: what else was in the batch can decide it, and nothing else need."
        if any(side.sampled for side in self.sides):
            return "This is beyond the noise floor, and the tokens were drawn by chance: other seeds draw others."
        if left.trace.request.model != right.trace.request.model:
            return "This is beyond the noise floor: the models differ here."
        return (
            "This is beyond the noise floor, and the same model chose its likeliest token both times: the prompts, the "
            "penalties in force or the model's files were not the same."
        )

    def to_json(self) -> dict[str, Any]:
        """As `first_divergence` of an attempt has it, and each side in full."""
        found: dict[str, Any] = {"kind": self.kind.value, "pos": self.position, "before": self.before}
        if self.sides is not None:
            left, right = self.sides
            found |= {
                "was": left.said.text,
                "now": right.said.text,
                "margin_nats": self.margin,
                "within_noise_floor": self.within_noise,
                "left": left.to_json(),
                "right": right.to_json(),
            }
        return found | {"verdict": self.verdict}


_UNPARTED = {
    Kind.SAME: "The answers are the same, token for token.",
    Kind.CUT: "Up to where the shorter one was cut off, the answers are the same, token for token.",
    Kind.UNLIKE: "The models share no vocabulary, so that there is no first token at which their answers part.",
}


def first_divergence(ask: Ask, left: Trace, right: Trace) -> Divergence:
    """Where two answers part, and what both models make of it; each is held under the other's up to there (teacher
    forcing). Raises what `ask` raises."""
    rows = max(IN_FLIGHT, *(int((one.attempt.witness or {}).get("batch_size", 1)) for one in (left, right)))
    one, floor = measure(ask, left.request, left.answer, rows)
    alike = left.request == _as(left, right)
    if alike:
        two, other_floor = ask(_reference(right, right.answer)), floor
    else:
        two, other_floor = measure(ask, right.request, right.answer, rows)
    if one.vocabulary_sha256 != two.vocabulary_sha256:
        return Divergence(Kind.UNLIKE, 0)
    ids, others = _ids(one), _ids(two)
    place = next((at for at, (a, b) in enumerate(zip(ids, others, strict=False)) if a != b), min(len(ids), len(others)))
    before = text_of(one.tokens[:place])
    if place == min(len(ids), len(others)):
        return Divergence(Kind.SAME if len(ids) == len(others) else Kind.CUT, place, before)
    if alike:
        theirs, ours = two.tokens[place], one.tokens[place]
    else:
        theirs = ask(_reference(left, others[: place + 1])).tokens[place]
        ours = ask(_reference(right, ids[: place + 1])).tokens[place]
    sides = (
        Side(left, one.tokens[place], theirs, floor, not is_greedy(left.attempt)),
        Side(right, two.tokens[place], ours, other_floor, not is_greedy(right.attempt)),
    )
    return Divergence(Kind.PARTED, place, before, sides)


def _as(left: Trace, right: Trace) -> GenerationRequest:
    """The right one's request with what has no part in a score taken from the left one's."""
    return replace(right.request, id=left.request.id, sampling=left.request.sampling)


def _reference(trace: Trace, answer: str | tuple[int, ...]) -> ScoreRequest:
    return ScoreRequest(trace.request, answer, MOST_ALTERNATIVES, conditions=REFERENCE)


def _ids(score: Score) -> tuple[int, ...]:
    return tuple(token.token_id for token in score.tokens)


def spelled(token: TokenLogprob) -> str:
    """A token with its spaces and line ends visible."""
    return repr(token.text)[1:-1] if token.text.strip() == token.text and token.text else repr(token.text)
