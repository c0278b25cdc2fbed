"""Kept answers judged by what a suite expects now, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.golden.plan import Planned
from core.golden.results import Attempt, Status
from core.golden.suite import Case, Control, Suite
from core.golden.verdict import weigh
from core.tiers import Tier


@dataclass(frozen=True)
class Flip:
    """An attempt whose verdict is another one now."""

    before: Attempt
    after: Attempt


@dataclass(frozen=True)
class Rejudged:
    """The attempts with their verdicts of now. `other` are those whose case has gone or asks something else now: they
    keep the verdict that they had."""

    attempts: tuple[Attempt, ...]
    flips: tuple[Flip, ...]
    other: tuple[Attempt, ...]


def rejudge(suite: Suite, attempts: Sequence[Attempt]) -> Rejudged:
    """Judge the answers of a run anew, controls after the attempts that they are held against."""
    cases = {case.id: case for case in suite.cases}
    now: dict[str, Attempt] = {}
    other: list[Attempt] = []
    for attempt in sorted(attempts, key=lambda one: one.control is not None):
        case = cases.get(attempt.case)
        if attempt.status is not Status.OK or case is None or case.ask_sha != attempt.ask_sha:
            now[attempt.key] = attempt
            other += [attempt] if attempt.status is Status.OK else []
            continue
        same = (attempt.case, attempt.tier, attempt.route)
        shown = [one for one in now.values() if one.control is None and (one.case, one.tier, one.route) == same]
        now[attempt.key] = weigh(_planned(case, attempt), attempt, shown)
    flips = [Flip(one, now[one.key]) for one in attempts if one.verdict is not now[one.key].verdict]
    return Rejudged(tuple(now[one.key] for one in attempts), tuple(flips), tuple(other))


def _planned(case: Case, attempt: Attempt) -> Planned:
    """As much of the plan as a verdict is told from."""
    control = Control(attempt.control) if attempt.control else None
    return Planned(0, case, Tier(attempt.tier), attempt.route, attempt.repeat, 0, None, control)
