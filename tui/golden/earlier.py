"""Earlier runs of a suite, and two of them held against each other; without widgets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from core.catalog import ModelInfo
from core.golden.baselines.files import read_accepted
from core.golden.baselines.standing import accepted_side
from core.golden.compare.comparison import Balance, CaseChange, Comparison, compare
from core.golden.compare.sides import PREVIOUS, Side, open_sides
from core.golden.compare.statistics import SIGNIFICANT
from core.golden.explain.asking import Trace, trace
from core.golden.explain.picking import pick
from core.golden.history.index import RunIndex, RunLine
from core.golden.results import Attempt
from core.golden.suite import Suite

Find = Callable[[str], ModelInfo]
Traces = tuple[Trace, Trace | None]
ACCEPTED = "accepted"
"""Stands for the accepted answers as the earlier run."""


def earlier_runs(runs: Path, suite: Suite, most: int) -> list[RunLine]:
    """The latest runs of a suite, the latest first. Raises HistoryError."""
    if not runs.is_dir():
        return []
    with RunIndex(runs) as index:
        return index.runs(suite.path.resolve(), most)


def compared(runs: Path, suite: Suite, base: str, run: str) -> Comparison:
    """A run held against an earlier one, or against what is accepted in the suite. Raises NoSuchRun."""
    if base == ACCEPTED:
        _, after, later = open_sides(runs, run, run)
        before = accepted_side(suite, read_accepted(suite.path)[0], later.as_planned())
    else:
        before, after, _ = open_sides(runs, base or PREVIOUS, run)
    return compare(before, after)


def held_words(run: RunLine, tier: str) -> str:
    """`7/8` cases of a tier held; "" where it answered none."""
    held = run.held.get(tier)
    return f"{held[0]}/{held[1]}" if held else ""


def balance_line(balance: Balance) -> str:
    """What the cases come to, with the exact test and the interval."""
    before, now = balance.held
    where = f"{balance.label}: " if balance.label else ""
    moved = f"{balance.fell} held less often and {balance.rose} more often"
    figures = f"{balance.difference:+.0%} (95 % {balance.low:+.0%} to {balance.high:+.0%})"
    verdict = "more than luck" if balance.p < SIGNIFICANT else "may be luck"
    exact = f"McNemar exact p = {balance.p:.2g}: {verdict}"
    if not balance.fell and not balance.rose:
        moved, exact = "none held less or more often", "no case differs"
    return f"{where}{before} of {balance.cases} held, now {now}; {moved}, {figures}; {exact}."


def traces(suite: Suite, case: str, base: Sequence[Attempt], run: Sequence[Attempt], find: Find) -> Traces:
    """The answers of both sides to a case that tell most, ready to be explained; `find` knows the models on disk.

    Raises CannotExplain, what `find` raises, and InvalidImage when an image has vanished.
    """
    first, second = pick(case, base, run)
    return trace(suite, first, find), trace(suite, second, find) if second is not None else None


def traces_of_runs(runs: Path, suite: Suite, base: str, run: str, one: CaseChange, find: Find) -> Traces:
    """What two runs answered to a case, on the tier and by the model that were compared. Raises as `traces`, and
    NoSuchRun."""
    sides = open_sides(runs, base or PREVIOUS, run)[:2]

    def meant(side: Side) -> list[Attempt]:
        return [at for at in side.attempts if one.tier in ("", at.tier) and one.model in ("", at.model_id)]

    return traces(suite, one.case, meant(sides[0]), meant(sides[1]), find)
