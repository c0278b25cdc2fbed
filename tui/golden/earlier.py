"""Earlier runs of a suite, and two of them held against each other; without widgets."""

from __future__ import annotations

from pathlib import Path

from core.golden.baselines.files import read_accepted
from core.golden.baselines.standing import accepted_side
from core.golden.compare.comparison import Balance, Comparison, compare
from core.golden.compare.sides import PREVIOUS, open_sides
from core.golden.compare.statistics import SIGNIFICANT
from core.golden.history.index import RunIndex, RunLine
from core.golden.suite import Suite

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
