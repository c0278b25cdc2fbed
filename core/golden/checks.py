"""Hold an answer against what was expected of it, and say which words hit, where, and what was missing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.calls.events import FinishReason, GenerationResult
from core.calls.requests import Tool
from core.golden.expressions import (
    AllOf,
    Answered,
    AnyOf,
    CallsTool,
    Equals,
    Exact,
    Expression,
    Finishes,
    FitsSchema,
    Matches,
    NoExtraCalls,
    Not,
    NotEmpty,
    Word,
    describe,
    implied,
    to_json,
)
from core.golden.graded.leaves import Graded, Judged, Program, Similar, answer_mark, graded_json
from core.golden.json_answers import json_fault, schema_fault
from core.golden.patterns import CannotJudge, find
from core.golden.words import composed, find_words


@dataclass(frozen=True)
class Call:
    """A tool call of an answer. `arguments` is None when the model wrote no JSON object."""

    name: str
    arguments: Mapping[str, Any] | None


@dataclass(frozen=True)
class Answer:
    """What is judged: the final answer without its thinking, the calls, and why the generation ended.

    `said` is the reason in a server's own words, where it gave one that is none of ours. `grades` are what was said of
    this answer, or of others, for graded checks (`Attempt.graded`).
    """

    text: str
    finish: FinishReason = FinishReason.STOP
    calls: tuple[Call, ...] = ()
    said: str = ""
    grades: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, result: GenerationResult) -> Answer:
        """The answer of a finished generation."""
        finished = result.finished
        reason = finished.reason if finished else FinishReason.CANCELLED
        calls = tuple(Call(call.name, call.parsed) for call in result.tool_calls)
        return cls(final_answer(result.text), reason, calls, finished.said if finished else "")


@dataclass(frozen=True)
class Hit:
    """A text that an expectation named, and where (start, end) it stands in the answer, in characters."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Check:
    """One judgement: the expectation as JSON, whether it holds, what hit, and a phrase for each thing that failed.

    `name` is "expect" for what a person wrote, "answered", "finish" and "calls" for what is asked beside it, and
    "ttft_s", "total_s" and "decode_tps" for limits. `graded` says that it hangs on what a model or a program said of
    the answer: what is exact in the expectation does not decide it.
    """

    name: str
    expr: Any
    passed: bool
    hits: tuple[Hit, ...] = ()
    failed: tuple[str, ...] = ()
    graded: bool = False


def final_answer(text: str) -> str:
    """The text after thinking is taken out: `<think>` blocks, one that never closes, and one that never opened."""
    text = re.sub(r"<think>.*?</think>", "", text, flags=re.DOTALL)
    text = text.rsplit("</think>", 1)[-1]
    return text.split("<think>", 1)[0]


def check(expression: Expression, answer: Answer, tools: Sequence[Tool] = ()) -> tuple[Check, ...]:
    """Judge an answer: the expectation, and what `implied` adds to it. `tools` are those that were offered."""
    checks = [_checked("expect", expression, answer)]
    for name, asked in implied(expression).items():
        if isinstance(asked, NoExtraCalls):
            checks.append(_no_extra_calls(expression, answer, tools))
        else:
            checks.append(_checked(name, asked, answer))
    return tuple(checks)


def holds(expression: Expression, answer: Answer) -> bool:
    """Whether the expectation alone holds, whatever the finish. Raises CannotJudge."""
    return _judge(expression, answer).passed


def _checked(name: str, expression: Expression, answer: Answer) -> Check:
    try:
        verdict = _judge(expression, answer)
    except CannotJudge as reason:
        verdict = _Verdict(False, (), (str(reason),))
    failed = () if verdict.passed else verdict.failed
    return Check(name, to_json(expression), verdict.passed, verdict.hits, failed, _exactly(expression, answer) is None)


def _exactly(expression: Expression, answer: Answer) -> bool | None:
    """Whether the expectation holds by what is exact in it alone; None where that does not decide."""
    match expression:
        case AnyOf(of) | AllOf(of):
            decides = isinstance(expression, AnyOf)
            parts = [_exactly(part, answer) for part in of]
            return decides if decides in parts else None if None in parts else not decides
        case Not(of):
            inner = _exactly(of, answer)
            return None if inner is None else not inner
        case Similar() | Judged() | Program():
            return None
        case _:
            try:
                return _judge(expression, answer).passed
            except CannotJudge:
                return False


def _no_extra_calls(expression: Expression, answer: Answer, tools: Sequence[Tool]) -> Check:
    """A call is one too many if the expectation holds without it; and each must be one that its tool takes."""
    faults: list[str] = []
    if _checked("expect", expression, answer).passed:
        for index, call in enumerate(answer.calls):
            fewer = replace(answer, calls=answer.calls[:index] + answer.calls[index + 1 :])
            if _checked("expect", expression, fewer).passed:
                faults.append(f"called {call.name}, which nothing asks for")
                break
    for call in answer.calls:
        tool = next((tool for tool in tools if tool.name == call.name), None)
        if tool is not None and call.arguments is not None and (fault := _misuse(tool, call.arguments)):
            faults.append(f"{call.name} was called with what it does not take: {fault}")
    return Check("calls", to_json(NoExtraCalls()), not faults, (), tuple(faults))


def _misuse(tool: Tool, arguments: Mapping[str, Any]) -> str | None:
    """Why the tool does not take the arguments, or None."""
    declared = tool.parameters.get("properties", {})
    unknown = [key for key in arguments if key not in declared]
    if unknown and not tool.parameters.get("additionalProperties"):
        return f"it has no {', '.join(unknown)}"
    try:
        return schema_fault(tool.parameters, dict(arguments), as_written=True)
    except CannotJudge as reason:
        return str(reason)


@dataclass(frozen=True)
class _Verdict:
    passed: bool
    hits: tuple[Hit, ...] = ()
    failed: tuple[str, ...] = ()


def _judge(expression: Expression, answer: Answer) -> _Verdict:
    match expression:
        case AnyOf(of):
            parts, open_ones = _parts(of, answer)
            held = [part for part in parts if part.passed]
            if held:
                return _Verdict(True, _merge(held))
            if open_ones:
                raise open_ones[0]
            return _Verdict(False, (), tuple(dict.fromkeys(phrase for part in parts for phrase in part.failed)))
        case AllOf(of):
            parts, open_ones = _parts(of, answer)
            failed = tuple(phrase for part in parts if not part.passed for phrase in part.failed)
            held_all = all(part.passed for part in parts)
            if held_all and open_ones:
                raise open_ones[0]
            return _Verdict(held_all, _merge(parts), failed)
        case Not(of):
            inner = _judge(of, answer)
            where = f" at {inner.hits[0].start}" if inner.hits else ""
            return _Verdict(not inner.passed, (), (f"{describe(of, inner=True)} is there{where}",))
        case Word(text):
            return _found(text, find_words(answer.text, text), f'no word "{text}"')
        case Exact(text):
            return _found(text, find_words(answer.text, text, fold=False), f'no word "{text}" in this case')
        case Equals(text):
            start = len(answer.text) - len(answer.text.lstrip())
            whole = answer.text.strip()
            places = [(start, start + len(whole))] if composed(whole)[0] == composed(text.strip())[0] else []
            return _found(text, places, f'the answer is not "{text}"')
        case Matches(pattern):
            return _found(pattern, find(pattern, answer.text), f"nothing matches /{pattern}/")
        case FitsSchema(schema):
            fault = json_fault(schema, answer.text)
            return _Verdict(fault is None, (), (fault or "",))
        case CallsTool(name, args, _):
            fault = _call_fault(name, args, answer.calls)
            return _Verdict(fault is None, (), (fault or "",))
        case Finishes(reasons):
            ended = answer.said or answer.finish
            if answer.finish is FinishReason.TOOL_CALLS and not answer.calls:
                return _Verdict(False, (), ("finish is tool_calls, and there is no call",))
            return _Verdict(answer.finish in reasons, (), (f"finish is {ended}, not {' or '.join(reasons)}",))
        case NotEmpty():
            return _Verdict(bool(answer.text.strip()), (), ("the answer is empty",))
        case Answered():
            return _Verdict(bool(answer.text.strip() or answer.calls), (), ("the answer is empty",))
        case Similar() | Judged() | Program():
            return _graded(expression, answer)
        case NoExtraCalls():
            raise AssertionError("it is judged with the whole expectation")


def _parts(of: Sequence[Expression], answer: Answer) -> tuple[list[_Verdict], list[CannotJudge]]:
    """What can be said of the parts, and why nothing can of the others, which decide only where those leave it open."""
    parts: list[_Verdict] = []
    open_ones: list[CannotJudge] = []
    for part in of:
        try:
            parts.append(_judge(part, answer))
        except CannotJudge as reason:
            open_ones.append(reason)
    return parts, open_ones


def _graded(leaf: Graded, answer: Answer) -> _Verdict:
    """What was said of this very answer. Raises CannotJudge where nothing was, or nothing clear."""
    mine = (graded_json(leaf), answer_mark(answer.text, ((call.name, call.arguments) for call in answer.calls)))
    said = next((one for one in answer.grades if (one["expr"], one["answer"]) == mine), None)
    if said is None:
        raise CannotJudge(f"not graded: {describe(leaf)} (assay golden run grades)")
    if said["held"] is None:
        raise CannotJudge(str(said["why"]))
    return _Verdict(bool(said["held"]), (), (str(said["why"]),))


def _found(text: str, places: list[tuple[int, int]], missing: str) -> _Verdict:
    return _Verdict(bool(places), tuple(Hit(text, *place) for place in places), (missing,))


def _merge(verdicts: list[_Verdict]) -> tuple[Hit, ...]:
    """The hits of several parts in the order of the answer, each once."""
    hits = dict.fromkeys(hit for verdict in verdicts for hit in verdict.hits)
    return tuple(sorted(hits, key=lambda hit: (hit.start, hit.end)))


def _call_fault(name: str, args: Mapping[str, Any], calls: tuple[Call, ...]) -> str | None:
    """Why no call is the expected one, or None; the nearest call speaks for the rest."""
    if not calls:
        return f"no call of {name}"
    named = [call for call in calls if call.name == name]
    if not named:
        return f"called {', '.join(call.name for call in calls)}, not {name}"
    faults = [_arguments_fault(args, call) for call in named]
    return None if None in faults else faults[0]


def _arguments_fault(args: Mapping[str, Any], call: Call) -> str | None:
    if call.arguments is None:
        return f"the arguments of {call.name} are no JSON object"
    for key, value in args.items():
        if key not in call.arguments:
            return f"{call.name} was called without {key}"
        if not same_json(call.arguments[key], value):
            given = json.dumps(call.arguments[key], ensure_ascii=False)
            return f"{call.name} was called with {key} = {given}, not {json.dumps(value, ensure_ascii=False)}"
    return None


def same_json(left: Any, right: Any) -> bool:
    """Whether two values are the same JSON: 1 equals 1.0, and neither equals true."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same_json(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same_json, left, right))
    if isinstance(left, str) and isinstance(right, str):
        return composed(left)[0] == composed(right)[0]
    return bool(left == right)
