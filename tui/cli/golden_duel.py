"""`assay golden duel`: two answers of a run side by side, whose they are hidden, and what the votes come to."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tui.cli.encoding import shown, shown_line
from tui.cli.golden_suite import fail, open_kept, open_suite, write_json
from tui.golden.duel_words import (
    answer_text,
    count_pairs,
    match_table,
    nothing_to_judge,
    ranking_table,
    standing_lines,
)

if TYPE_CHECKING:
    from rich.console import Console

    from core.golden.duel.pairs import Pair
    from core.golden.duel.votes import Duel
    from core.golden.results import RunFolder
    from core.golden.suite import Case

KEYS_LINE = "1 the first · 2 the second · 0 tie · s skip · u undo · q quit"
SIDE_BY_SIDE = 100
"""Cells of the terminal from which on two answers stand beside each other."""


def duel_run(run: str, folder: Path | None, cases: Sequence[str]) -> int:
    """Show the pairs that nobody has voted on, and keep what the person's key says; returns the exit code. Raises
    EngineError."""
    from core.golden.duel.votes import Duel
    from core.golden.plan import select
    from tui.cli.console import new_console
    from tui.cli.inline_images import ask_terminal
    from tui.cli.keys import single_keys

    kept = open_kept(run)
    suite = open_suite(folder or kept.suite)
    meant = {case.id: case for case in select(suite.cases, cases)}
    duel = Duel.of(kept, suite)
    console = new_console()
    waiting = [pair for pair in duel.waiting if pair.case in meant]
    if not duel.pairs.shown:
        console.print(shown_line(nothing_to_judge(kept.id, duel.pairs)), soft_wrap=True)
        return 0
    if waiting:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            fail(
                f"{count_pairs(len(waiting))} of {kept.id} to judge. That is by keyboard and needs a terminal: "
                "assay golden duel --results shows what was said so far."
            )
        if any(meant[pair.case].all_images for pair in waiting):
            ask_terminal()
        with single_keys() as next_key:
            _judge(console, duel, waiting, meant, next_key)
    left = len(duel.waiting)
    if left:
        judged = f"{len(duel.votes)} of {count_pairs(len(duel.pairs.shown))} judged"
        line = f"{judged}, {left} left: the names come with the last."
        console.print(line, style="bold", soft_wrap=True)
    else:
        _print(console, [kept], None)
    return 0


def print_results(run: str, json_file: Path | None, *, every_run: bool) -> int:
    """Print or write what the votes come to; returns the exit code. Raises EngineError."""
    from core.golden.results import RunFolder, run_names
    from core.settings import load_settings
    from tui.cli.console import new_console

    kept = open_kept(run)
    meant = [kept]
    if every_run:
        runs = load_settings().data_dir / "runs"
        meant = [one for one in (RunFolder.open(runs, name) for name in run_names(runs)) if one.suite == kept.suite]
    _print(new_console(), meant, json_file)
    return 0


def _judge(
    console: Console, duel: Duel, waiting: Sequence[Pair], cases: dict[str, Case], next_key: Callable[[], str]
) -> None:
    """Until the last pair, or until the person leaves; every vote is kept at once."""
    from core.golden.duel.votes import Choice

    choices = {"1": Choice.LEFT, "2": Choice.RIGHT, "0": Choice.TIE}
    ahead = list(waiting)
    total = len(duel.pairs.shown)
    while ahead:
        pair = ahead[0]
        _show(console, pair, cases[pair.case], f"{len(duel.votes) + 1} of {total}")
        key = _key(console, next_key)
        if key == "q":
            return
        if key == "u":
            undone = duel.undo()
            if undone is None:
                console.print("There is no vote to take back.", style="yellow")
            else:
                console.print("taken back: judge it again.", style="yellow")
                if undone.case in cases:
                    ahead = [undone, *(one for one in ahead if one.id != undone.id)]
            continue
        ahead.pop(0)
        if key in choices:
            duel.vote(pair, choices[key])
            kept = {"1": "kept: the first is better.", "2": "kept: the second is better.", "0": "kept: a tie."}
            console.print(kept[key], style="green")
        else:
            console.print("skipped: it waits for another time.", style="dim")


def _key(console: Console, next_key: Callable[[], str]) -> str:
    """The next key that means something; the end of the input leaves."""
    console.print(KEYS_LINE, style="bold")
    while key := next_key():
        if key in "120suq":
            return key
    return "q"


def _show(console: Console, pair: Pair, case: Case, place: str) -> None:
    """The question with its images, and both answers; nothing says whose they are."""
    from rich.table import Table
    from rich.text import Text

    from tui.cli.golden_review import print_images

    console.rule(style="dim")
    console.print(Text(shown_line(pair.case), "bold").append(f"  {place}", "dim"), soft_wrap=True)
    if case.system:
        console.print(Text(f"system  {shown(case.system)}", "dim"))
    for text in (case.prompt, *(turn.text for turn in case.turns)):
        console.print(Text(shown(text), "dim"))
    print_images(console, case)
    sides = [shown(answer_text(one)) for one in (pair.left, pair.right)]
    heads = [Text(name, "bold cyan") for name in ("1", "2")]
    console.print()
    if console.width >= SIDE_BY_SIDE:
        grid = Table.grid(expand=True, padding=(0, 2))
        for _ in sides:
            grid.add_column(ratio=1, overflow="fold")
        grid.add_row(*heads)
        grid.add_row(*(Text(side) for side in sides))
        console.print(grid)
    else:
        for head, side in zip(heads, sides, strict=True):
            console.print(head)
            console.print(Text(side))
            console.print()


def _print(console: Console, runs: Sequence[RunFolder], json_file: Path | None) -> None:
    """What the votes on runs come to."""
    from core.golden.duel.pairs import pairs_of
    from core.golden.duel.standings import standings
    from core.golden.duel.votes import votes_of

    votes = votes_of(runs)
    found = standings(votes)
    pairs = [pairs_of(run.as_planned(), run.id) for run in runs]
    shown_pairs, alike = sum(len(one.shown) for one in pairs), sum(one.alike for one in pairs)
    if json_file is not None:
        about = {"runs": [run.id for run in runs], "pairs": shown_pairs, "alike": alike}
        write_json(json_file, json.dumps({**about, **found.to_json()}, indent=2) + "\n")
        return
    same = f"; {alike} more say the same to the letter" if alike else ""
    which = runs[0].id if len(runs) == 1 else f"{len(runs)} runs"
    if len(runs) == 1 and not shown_pairs and not votes:
        console.print(shown_line(nothing_to_judge(which, pairs[0])), soft_wrap=True)
        return
    console.print(f"{found.votes} of {count_pairs(shown_pairs)} of {which} judged{same}.", style="bold", soft_wrap=True)
    if not votes:
        console.print("assay golden duel shows them, one after the other.", soft_wrap=True)
        return
    console.print(match_table([*found.tiers, *found.matches]))
    if found.ranking:
        console.print(ranking_table(found.ranking))
    for line in standing_lines(found):
        console.print(shown_line(line), soft_wrap=True)
