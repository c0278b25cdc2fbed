"""A record's verdict: its checks, its limits, known failures, and for controls what they are held against.

Everything here is told from the record alone, so that a kept answer can be judged anew without a model.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from core.calls.events import FinishReason
from core.golden.checks import Answer, Call, Check, check, holds
from core.golden.conversation import stuck
from core.golden.expressions import AllOf, Answered, AnyOf, Expression, Leaf, Not, describe, leaves
from core.golden.patterns import CannotJudge
from core.golden.plan import Planned
from core.golden.results import Attempt, Status, Verdict
from core.golden.suite import Control, KnownFailure, Limits

WARM_SHARE = 0.5
"""Part of a prompt that may come from the cache where a limit on time is judged: beyond it, the time says little of
how long the prompt takes."""
CACHED = "cached"
"""The warmth of an attempt of whose prompt more than that was in the cache."""
NOT_JUDGED = "not_judged"
"""Says in a limit's `expr` why an attempt can tell nothing of it."""

WITHHELD = {
    Control.SWAP: "another image was shown",
    Control.BLIND: "no image was shown",
    Control.NO_SYSTEM: "the system prompt was withheld",
}


def weigh(planned: Planned, record: Attempt, shown: Sequence[Attempt] = ()) -> Attempt:
    """The record with its checks and verdict, by what the suite expects now. `shown` are the case's own attempts, which
    a control is held against."""
    if record.status is not Status.OK:
        return record
    expected, broken = _expected(planned, record)
    answer = as_answer(record)
    checks = (*check(expected, answer, planned.case.tools), *broken, *_earlier(planned, record))
    if planned.control is None:
        checks += tuple(_limits(planned.case.limits.get(planned.tier, Limits()), record))
        verdict, why = _verdict(planned, checks, answer)
    elif planned.control is Control.SEED:
        verdict, why = _seed_verdict(record, shown)
    else:
        wanted = AnyOf(()) if broken else expected  # nothing holds of an answer that was never asked for
        verdict, why = _control_verdict(planned.control, wanted, answer, shown)
    return replace(record, checks=checks, verdict=verdict, why=why)


def _expected(planned: Planned, record: Attempt) -> tuple[Expression, tuple[Check, ...]]:
    """What the answer must be, and a check that fails where the conversation ended before its last turn: the answer is
    that to an earlier one then."""
    case, reached = planned.case, len(record.turns)
    if reached >= len(case.turns):
        return case.expected(planned.tier), ()
    turn = case.turns[reached]
    why = stuck(turn, [str(call["name"]) for call in record.tool_calls]) or "the conversation ended there"
    return turn.expected_before(planned.tier), (Check("turns", {"turns": len(case.turns) + 1}, False, (), (why,)),)


def _earlier(planned: Planned, record: Attempt) -> Iterator[Check]:
    """The checks of the answers before the last, named after their turn. They tell no places: those of the last answer
    alone are shown in a text."""
    for number, (turn, came) in enumerate(zip(planned.case.turns, record.turns, strict=False), 1):
        answer = as_answer(replace(record, **came))
        for one in check(turn.expected_before(planned.tier), answer, planned.case.tools):
            failed = tuple(f"turn {number}: {phrase}" for phrase in one.failed)
            yield replace(one, name=f"turn {number}: {one.name}", hits=(), failed=failed)


def as_answer(record: Attempt) -> Answer:
    """What is judged of a record: its last answer."""
    reason = record.finish or ""
    known = reason in list(FinishReason)
    calls = (
        Call(str(call["name"]), call["arguments"] if isinstance(call["arguments"], Mapping) else None)
        for call in record.tool_calls
    )
    return Answer(
        record.answer,
        FinishReason(reason) if known else FinishReason.OTHER,
        tuple(calls),
        "" if known else reason,
        record.graded,
    )


def _verdict(planned: Planned, checks: tuple[Check, ...], answer: Answer) -> tuple[Verdict, str]:
    passed = all(item.passed for item in checks)
    known = planned.case.xfail.get(planned.tier) or planned.case.xfail.get(planned.route)
    phrases = "; ".join(phrase for item in checks if not item.passed for phrase in item.failed)
    if known is None:
        return (Verdict.PASS, "") if passed else (Verdict.FAIL, phrases)
    if passed:
        return Verdict.XPASS, f"passed, though: {known.reason}"
    if known.checks and not _explains(known, planned.case.expected(planned.tier), checks, answer):
        return Verdict.FAIL, f"{phrases} (known to fail are {', '.join(known.checks)} alone)"
    return Verdict.XFAIL, known.reason


def _explains(known: KnownFailure, expected: Expression, checks: tuple[Check, ...], answer: Answer) -> bool:
    """Whether nothing failed but what is known to."""
    failed = {item.name for item in checks if not item.passed} - set(known.checks)
    if not failed:
        return True
    if failed != {"expect"}:
        return False
    excused = [leaf for leaf in dict.fromkeys(leaves(expected)) if describe(leaf) in known.checks]
    settings = itertools.product((True, False), repeat=len(excused))
    try:
        return any(holds(_with(expected, dict(zip(excused, values, strict=True))), answer) for values in settings)
    except CannotJudge:
        return False


def _with(expression: Expression, settled: Mapping[Leaf, bool]) -> Expression:
    """The expectation with some leaves taken to hold, or not to."""
    match expression:
        case AnyOf(of):
            return AnyOf(tuple(_with(part, settled) for part in of))
        case AllOf(of):
            return AllOf(tuple(_with(part, settled) for part in of))
        case Not(of):
            return Not(_with(of, settled))
        case leaf if leaf in settled:
            return AllOf(()) if settled[leaf] else AnyOf(())
        case leaf:
            return leaf


def _control_verdict(
    control: Control, expected: Expression, answer: Answer, shown: Sequence[Attempt]
) -> tuple[Verdict, str]:
    """Such a control passes when the check fails of an answer that is one."""
    try:
        held = holds(expected, answer)
    except CannotJudge as reason:
        return Verdict.INCONCLUSIVE, str(reason)
    if held:
        return Verdict.FAIL, f"the check holds although {WITHHELD[control]}"
    ended = check(Answered(), answer)
    if any(not item.passed for item in ended if item.name != "calls"):
        why = "; ".join(phrase for item in ended for phrase in item.failed)
        return Verdict.INCONCLUSIVE, f"the model gave no whole answer ({why}): that its check fails shows nothing"
    if not shown or any(one.verdict not in (Verdict.PASS, Verdict.XPASS) for one in shown):
        return Verdict.INCONCLUSIVE, "the case itself did not pass: that its check fails here shows nothing"
    return Verdict.PASS, ""


def _seed_verdict(again: Attempt, shown: Sequence[Attempt]) -> tuple[Verdict, str]:
    """Whether the first repeat's seed gave its answer again, and other seeds gave others."""
    answered = sorted((one for one in shown if one.status is Status.OK), key=lambda one: one.repeat)
    if not answered or answered[0].repeat != again.repeat:
        return Verdict.INCONCLUSIVE, "the attempt with this seed did not come about"
    said = [(one.answer, repr(one.tool_calls)) for one in answered]
    seed = answered[0].sent.get("seed")
    if (again.answer, repr(again.tool_calls)) != said[0]:
        return Verdict.FAIL, f"seed {seed} gave {said[0][0]!r} first and {again.answer!r} when it was asked again"
    if len(said) < 2:
        return Verdict.INCONCLUSIVE, "no other seed was answered"
    if len(set(said)) == 1:
        return Verdict.FAIL, f"{len(said)} seeds gave one answer: the seed has no effect"
    return Verdict.PASS, ""


def _limits(limits: Limits, record: Attempt) -> Iterator[Check]:
    """A check for each limit. One of which the attempt can tell nothing holds, and says so in its `expr`."""
    cached = f"{record.usage.get('cached')} of {record.usage.get('prompt')} prompt tokens were cached"
    warm = cached if record.perf.get("warmth") == CACHED else ""
    short = "" if record.perf.get("decode_tps") is not None else "the answer is too short for a rate"
    wanted = (
        ("ttft_s", limits.ttft_s, warm),
        ("total_s", limits.total_s, warm),
        ("decode_tps", limits.decode_tps, short),
    )
    for name, limit, untold in wanted:
        if limit is not None:
            value = float(record.perf.get(name) or 0.0)
            over = name != "decode_tps"
            broken = not untold and (value > limit if over else value < limit)
            phrase = f"{name} is {value:.2f}, {'over' if over else 'under'} {limit:g}" if broken else ""
            expr = {"limit": {name: limit}} | ({NOT_JUDGED: untold} if untold else {})
            yield Check(name, expr, not broken, (), (phrase,) if broken else ())
