"""Pairs of answers and what was said of them, in words and tables; the command line prints the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tui.foreign import clean, one_line

if TYPE_CHECKING:
    from rich.table import Table

    from core.golden.duel.pairs import Pairs
    from core.golden.duel.ranking import Strength
    from core.golden.duel.standings import Match, Standings
    from core.golden.results import Attempt


def nothing_to_judge(run: str, pairs: Pairs) -> str:
    """Why a run has no two answers to be judged, and what makes some."""
    why = []
    if pairs.alike:
        why.append(f"{count_pairs(pairs.alike)} say{'s' * (pairs.alike == 1)} the same to the letter")
    if pairs.changed:
        s = "s" * (pairs.changed == 1)
        why.append(f"{count_pairs(pairs.changed)} answer{s} a question that the suite asks otherwise now")
    told = (
        "; ".join(why) or "no case was answered by two models: run the suite on two, by its tiers or with --model twice"
    )
    return f"There is nothing to judge in {run}: {told}."


def answer_text(attempt: Attempt) -> str:
    """All that was said, as it may be printed, and whether it was cut off."""
    from core.calls.events import FinishReason
    from core.golden.duel.pairs import told

    cut = "\n(cut off)" if attempt.finish == FinishReason.LENGTH else ""
    return (clean(told(attempt)) or "(nothing)") + cut


def match_table(matches: Sequence[Match]) -> Table:
    """A row for every two models: cases won, tied and lost, and the exact chance."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("model", "wins", "ties", "losses", "against", "p"):
        table.add_column(name, justify="left" if name in ("model", "against") else "right", overflow="fold")
    for one in matches:
        counts = (str(one.wins), str(one.ties), str(one.losses))
        table.add_row(Text(one_line(one.one)), *counts, Text(one_line(one.other)), f"{one.p:.2g}")
    return table


def ranking_table(ranking: Sequence[Strength]) -> Table:
    """The models by strength, the strongest first."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("", "model", "points", "95 %"):
        table.add_column(name, justify="left" if name == "model" else "right", overflow="fold")
    for place, one in enumerate(ranking, 1):
        table.add_row(str(place), Text(one_line(one.model)), f"{one.points:+.0f}", f"± {one.spread:.0f}")
    return table


def standing_lines(found: Standings) -> Iterator[str]:
    """What stands under the tables."""
    yield "p: the exact sign test by case, two-sided; ties are left out of it."
    if found.ranking:
        yield "points: Bradley-Terry, a tie half a win for each; 400 apart are odds of ten to one."
    yield from found.notes


def count_pairs(count: int) -> str:
    """`1 pair`, `2 pairs`."""
    return f"{count} pair{'' if count == 1 else 's'}"
