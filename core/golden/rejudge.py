"""Kept answers judged by what a suite expects now, without a model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from core.golden.plan import Planned
from core.golden.results import Attempt, Status, Verdict
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
    """The attempts with their verdicts of now. `other` are answers to what the suite does not ask any more, and
    `missing` is how many attempts of the run have not ended: neither can be judged."""

    attempts: tuple[Attempt, ...]
    flips: tuple[Flip, ...]
    other: tuple[Attempt, ...]
    missing: int


def rejudge(suite: Suite, planned: Collection[str], kept: Sequence[Attempt]) -> Rejudged:
    """Judge the answers of a run anew, controls after the attempts that they are held against. `planned` are the keys
    of the run's attempts; records of others were overtaken when it was resumed."""
    cases = {case.id: case for case in suite.cases}
    wanted = set(planned)
    mine = [attempt for attempt in kept if attempt.key in wanted]
    now: dict[str, Attempt] = {}
    other: list[Attempt] = []
    for attempt in sorted(mine, key=lambda one: one.control is not None):
        case = cases.get(attempt.case)
        if case is None or not _asks(case, attempt):
            other.append(attempt)
        elif attempt.status is not Status.OK:
            now[attempt.key] = attempt
        else:
            shown = [one for one in now.values() if one.control is None and _same(one, attempt)]
            now[attempt.key] = weigh(as_planned(case, attempt), attempt, shown)
    judged = [attempt for attempt in mine if attempt.key in now]
    flips = [Flip(one, now[one.key]) for one in judged if one.verdict is not now[one.key].verdict]
    attempts = tuple(now[one.key] for one in judged)
    return Rejudged(attempts, tuple(flips), tuple(other), len(wanted - {one.key for one in mine}))


def judged_now(suite: Suite, kept: Sequence[Attempt]) -> tuple[list[Attempt], dict[str, Verdict]]:
    """The answers to what a suite asks now, those judged anew of which it expects something else than when they came;
    and by their keys, the verdicts that these had."""
    cases = {case.id: case for case in suite.cases}
    mine = [one for one in kept if one.case in cases and cases[one.case].ask_sha == one.ask_sha]
    stale = [one for one in mine if cases[one.case].sha != one.case_sha]
    judged = rejudge(suite, [one.key for one in stale], stale).attempts
    now = {one.key: replace(one, case_sha=cases[one.case].sha) for one in judged}
    left = {one.key for one in stale} - now.keys()
    shown = [now.get(one.key, one) for one in mine if one.key not in left]
    return shown, {one.key: one.verdict for one in stale if one.key in now and one.status is Status.OK}


def _same(one: Attempt, other: Attempt) -> bool:
    """Whether both are of one case, asked of one model in one way."""
    return (one.case, one.tier, one.route, one.model_id) == (other.case, other.tier, other.route, other.model_id)


def _asks(case: Case, attempt: Attempt) -> bool:
    """Whether the suite asks what the attempt answered, its control's pictures included."""
    if case.ask_sha != attempt.ask_sha or (attempt.control and Control(attempt.control) not in case.controls):
        return False
    swapped = [image.sha256 for image in case.swap]
    return attempt.control != Control.SWAP or [item["sha"] for item in attempt.sent.get("images", ())] == swapped


def as_planned(case: Case, attempt: Attempt) -> Planned:
    """As much of the plan as a verdict is told from."""
    control = Control(attempt.control) if attempt.control else None
    return Planned(0, case, Tier(attempt.tier), attempt.route, attempt.repeat, 0, None, control)
