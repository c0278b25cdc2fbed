"""Whether another model would have answered a client as its own did: two answers to one request, compared."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from core.calls.events import FinishReason, GenerationResult, ToolCall
from core.calls.requests import GenerationRequest
from core.golden.checks import Answer, check, final_answer
from core.golden.draft import SMOKE, propose
from core.golden.expressions import describe, parse_expression
from core.golden.outcome import ExitCode


class Likeness(StrEnum):
    """What two answers have in common, the most telling first."""

    TEXT = "same text"
    CALLS = "same calls"
    HOLDS = "checks hold"
    UNTOLD = "cannot be told"
    DIFFERS = "differs"


AS_WELL = (Likeness.TEXT, Likeness.CALLS, Likeness.HOLDS)
"""With these, the other model would have done."""


@dataclass(frozen=True)
class Compared:
    """`expects` words the check that was proposed from the first answer, and `missed` what the other answer lacks."""

    likeness: Likeness
    expects: str = ""
    missed: tuple[str, ...] = ()


def compare(request: GenerationRequest, theirs: GenerationResult, other: GenerationResult) -> Compared:
    """Hold `other` against `theirs`, the answer that the client of `request` got; both have ended.

    Calls count before text, as a program acts on them, and JSON as the value that it says.
    """
    expect = propose(request, theirs)
    expression = parse_expression(expect)
    words = describe(expression)
    checks = check(expression, Answer.of(other), request.tools)
    missed = tuple(phrase for one in checks for phrase in one.failed)
    if theirs.tool_calls or other.tool_calls:
        if [_call(one) for one in theirs.tool_calls] == [_call(one) for one in other.tool_calls]:
            return Compared(Likeness.CALLS, words)
        return Compared(Likeness.DIFFERS, words, missed or ("a call that the other did not make",))
    if _said(theirs) == _said(other) and _reason(theirs) is _reason(other):
        return Compared(Likeness.TEXT, words)
    if request.json_schema is not None:  # it was held to the schema: that it keeps it tells nothing
        return Compared(Likeness.DIFFERS, words, missed or ("another value",))
    if _reason(theirs) is FinishReason.LENGTH:  # what the rest of it would have been is not known
        return Compared(Likeness.UNTOLD, words)
    if not all(one.passed for one in checks):
        return Compared(Likeness.DIFFERS, words, missed)
    if expect == SMOKE:
        return Compared(Likeness.UNTOLD, words)
    return Compared(Likeness.HOLDS, words)


def _call(call: ToolCall) -> tuple[str, Any]:
    return call.name, call.arguments if call.parsed is None else call.parsed


def _said(result: GenerationResult) -> Any:
    text = final_answer(result.text).strip()
    if text.startswith(("{", "[")):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _reason(result: GenerationResult) -> FinishReason | None:
    return result.finished.reason if result.finished else None


def work_s(result: GenerationResult) -> float:
    """Seconds that an answer took, without waiting for its turn and for its model."""
    timing = result.finished.timing if result.finished else None
    return 0.0 if timing is None else max(timing.total_s - timing.queued_s - timing.load_s, 0.0)


def tokens(result: GenerationResult) -> int:
    """Of the answer."""
    return result.finished.usage.completion_tokens if result.finished else 0


def request_digest(request: GenerationRequest) -> str:
    """The same for requests that are equal in all but their number and the protocol they came by."""
    return hashlib.sha256(repr(replace(request, id="", source="")).encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True)
class Pair:
    """A client's request with both answers; without the other one, `error` says why."""

    id: str
    client: str
    request: GenerationRequest
    theirs: GenerationResult
    other: GenerationResult | None = None
    error: str = ""

    @property
    def compared(self) -> Compared | None:
        """None where the other model did not answer."""
        return None if self.other is None else compare(self.request, self.theirs, self.other)

    def to_json(self) -> dict[str, Any]:
        """All that is told of the pair, without images."""
        found = self.compared
        return {
            "id": self.id,
            "client": self.client,
            "model": self.request.model,
            "question": question(self.request),
            "likeness": found.likeness.value if found else "failed",
            "expects": found.expects if found else "",
            "missed": list(found.missed) if found else [],
            "error": self.error,
            "answer": _told(self.theirs),
            "other": _told(self.other) if self.other else None,
        }


def question(request: GenerationRequest) -> str:
    """What was said last, a tool's result where that was it; for the eyes of a person."""
    if not request.messages:
        return request.prompt or ""
    last = request.messages[-1]
    return last.plain_text or f"({last.role.value})"


def _told(result: GenerationResult) -> dict[str, Any]:
    end = result.finished
    return {
        "text": result.text,
        "tool_calls": [{"name": call.name, "arguments": call.arguments} for call in result.tool_calls],
        "finish": end.reason.value if end else None,
        "prompt_tokens": end.usage.prompt_tokens if end else 0,
        "completion_tokens": tokens(result),
        "ttft_s": end.timing.ttft_s if end else None,
        "work_s": work_s(result),
    }


@dataclass(frozen=True)
class Summary:
    """What all pairs come to. `counts` is by likeness; `failed` counts pairs without the other's answer."""

    model: str
    models: tuple[str, ...]
    counts: Counter[Likeness]
    failed: int
    work_s: tuple[float, float]
    tokens: tuple[float, float]
    """Medians of an answer of the clients' and of the other model's, over pairs with both."""

    @classmethod
    def of(cls, model: str, pairs: Sequence[Pair]) -> Summary:
        both = [(pair.theirs, pair.other, pair.compared) for pair in pairs if pair.other is not None]
        counts = Counter(found.likeness for _, _, found in both if found is not None)
        return cls(
            model,
            tuple(dict.fromkeys(pair.request.model for pair in pairs)),
            counts,
            len(pairs) - len(both),
            (_median([work_s(one) for one, _, _ in both]), _median([work_s(other) for _, other, _ in both])),
            (_median([tokens(one) for one, _, _ in both]), _median([tokens(other) for _, other, _ in both])),
        )

    @property
    def compared(self) -> int:
        """Pairs that could be told to be alike or not."""
        return self.counts.total() - self.counts[Likeness.UNTOLD]

    @property
    def as_well(self) -> int:
        """Pairs in which the other model would have done."""
        return sum(self.counts[one] for one in AS_WELL)

    def code(self, at_least: float) -> ExitCode:
        """Whether at least that part would have been answered as well; INFRASTRUCTURE where it cannot be told."""
        if self.compared and self.as_well < at_least * self.compared:
            return ExitCode.FAILED
        return ExitCode.INFRASTRUCTURE if self.failed or not self.compared else ExitCode.HOLDS

    def sentence(self) -> str:
        """Would it have done?"""
        asked = " and ".join(self.models) or "another model"
        if not self.compared:
            return f"Nothing tells whether {self.model} would have answered as {asked} did."
        named = {
            Likeness.TEXT: "with the same text",
            Likeness.CALLS: "with the same calls",
            Likeness.HOLDS: "with another text that meets the checks proposed from the first",
        }
        ways = [f"{self.counts[one]} {words}" for one, words in named.items() if self.counts[one]]
        requests = "request" if self.compared == 1 else "requests"
        return (
            f"{self.model} would have answered {self.as_well} of {self.compared} {requests} as {asked} did"
            f"{': ' + ', '.join(ways) if ways else ''}."
        )

    def to_json(self) -> dict[str, Any]:
        """As numbers."""
        return {
            "model": self.model,
            "models": list(self.models),
            "compared": self.compared,
            "as_well": self.as_well,
            "counts": {one.value: self.counts[one] for one in Likeness},
            "failed": self.failed,
            "median_work_s": list(self.work_s),
            "median_completion_tokens": list(self.tokens),
        }


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0
