"""All that is told of why two answers differ, or of how likely models find one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.catalog import short
from core.golden.explain.asking import Ask, Trace
from core.golden.explain.divergence import Divergence, first_divergence
from core.golden.explain.likelihood import Likelihood, likelihoods


@dataclass(frozen=True)
class Explanation:
    """Two answers to a case, or one. `likelihoods` are of the first answer, or of `text` where that was given, its own
    model first."""

    left: Trace
    right: Trace | None
    divergence: Divergence | None
    likelihoods: tuple[Likelihood, ...]
    text: str
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "v": 1,
            "case": self.left.attempt.case,
            "left": _told(self.left),
            "right": _told(self.right) if self.right else None,
            "first_divergence": self.divergence.to_json() if self.divergence else None,
            "likelihood": {"text": self.text, "models": [one.to_json() for one in self.likelihoods]},
            "notes": list(self.notes),
        }


def explain(
    ask: Ask, left: Trace, right: Trace | None = None, under: Sequence[str] = (), text: str | None = None
) -> Explanation:
    """Hold two answers against each other, and score the first under its own model, the other's, and those `under`
    which it is wanted; `text` is an answer to be scored in its place, such as the accepted one.

    Raises EngineError where an answer's own model cannot be asked.
    """
    divergence = first_divergence(ask, left, right) if right is not None else None
    models = dict.fromkeys([left.request.model, *([right.request.model] if right else []), *under])
    request, tokens = left.request, left.tokens
    if left.attempt.reasoning or text is not None:  # a text of its own is no thought
        tokens = None
        request = replace(request, thinking=False)
    scored = left.attempt.answer if text is None else text
    found = tuple(likelihoods(ask, request, scored, tokens, list(models)))
    notes = [*_notes(left, found), *(_notes(right, found) if right else [])]
    if left.attempt.reasoning and text is None:
        notes.append(
            "The first answer was thought over: its likelihood is that of the final answer, asked without thinking."
        )
    return Explanation(left, right, divergence, found, scored, tuple(dict.fromkeys(notes)))


def _notes(trace: Trace, found: Sequence[Likelihood]) -> Iterator[str]:
    """What makes the figures tell less than they seem to."""
    attempt, witness = trace.attempt, trace.attempt.witness
    if trace.tokens is None:
        yield f"The record of {attempt.id} tells no tokens: they are made of its text anew, and may be others."
    score = next((one.score for one in found if one.model == trace.request.model), None)
    if score is None:
        return
    if (known := attempt.model.get("fingerprint")) and known != short(score.fingerprint):
        yield f"The files of {trace.request.model} have changed since {attempt.id} was written."
    elif witness and not attempt.reasoning and witness["prompt_sha256"] != score.prompt_sha256:
        yield f"The prompt of {attempt.id} comes to other tokens now than when it was answered."
    if witness and any(_shapes(name, witness["sampling"].get(name)) for name in _PENALTIES):
        yield f"Penalties were in force for {attempt.id}: the figures are the model's own, before them."


_PENALTIES = {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "logit_bias": None}
"""What changes the likeliest token, with the value at which it does not."""


def _shapes(name: str, value: Any) -> bool:
    return bool(value) and value != _PENALTIES[name]


def _told(trace: Trace) -> dict[str, Any]:
    attempt = trace.attempt
    return {
        "id": attempt.id,
        "model": trace.request.model,
        "tier": attempt.tier,
        "route": attempt.route,
        "repeat": attempt.repeat,
        "answer": attempt.answer,
        "tokens_told": trace.tokens is not None,
    }
