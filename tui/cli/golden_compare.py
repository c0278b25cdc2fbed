"""`assay golden compare`: two runs, or parts of them, case by case."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tui.cli.encoding import shown_line
from tui.cli.golden_suite import write_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from core.golden.compare.comparison import CaseChange, Comparison
    from core.golden.compare.sides import Side
    from core.golden.results import RunFolder
    from core.tiers import Tier

ACCEPTED = "accepted"
"""Stands for the accepted answers as the earlier run."""
EXCERPT = 72
"""Characters of an answer that are shown unless all of it is asked for."""


def compare_runs(base: str, run: str, json_file: Path | None, allowed: int | None, *, verbose: bool) -> int:
    """Compare, show, and return the exit code: 3 where more cases regressed than may. `allowed` stands in for the
    suite's max_regressions when given. Raises EngineError."""
    from core.golden.compare.comparison import breaches, compare
    from core.golden.compare.sides import open_sides
    from core.golden.outcome import ExitCode
    from core.settings import load_settings
    from core.tiers import Tier
    from tui.cli.console import new_console

    runs = load_settings().data_dir / "runs"
    if base == ACCEPTED:
        _, after, later = open_sides(runs, run, run)
        before = _accepted(later)
    else:
        before, after, later = open_sides(runs, base, run)
    found = compare(before, after)
    console = new_console(stderr=str(json_file) == "-")
    gates = dict.fromkeys(Tier, allowed) if allowed is not None else _gates(later, console)
    reasons = breaches(found, dict.fromkeys(Tier, 0) | gates)
    code = ExitCode.PARITY if reasons else ExitCode.HOLDS
    _print(console, found, verbose)
    for reason in reasons:
        console.print(reason, style="bold red", soft_wrap=True)
    if json_file is not None:
        told = {**found.to_json(), "reasons": reasons, "exit_code": int(code)}
        write_json(json_file, json.dumps(told, indent=2) + "\n")
    return int(code)


def _accepted(run: RunFolder) -> Side:
    """What is accepted in the run's suite, in the place of its answers."""
    from core.golden.baselines.files import read_accepted
    from core.golden.baselines.standing import accepted_side
    from core.golden.reading import load_suite
    from core.golden.suite import BUILTIN

    suite = load_suite(run.suite or BUILTIN)
    return accepted_side(suite, read_accepted(suite.path)[0], run.as_planned())


def _gates(run: RunFolder, console: Console) -> dict[Tier, int]:
    """What the run's suite allows now; none may regress where it cannot be read."""
    from core.golden.reading import load_suite
    from core.golden.suite import SuiteError

    try:
        return dict(load_suite(run.suite).gates.max_regressions) if run.suite else {}
    except SuiteError as error:
        line = shown_line(f"note: max_regressions of the suite is not known: {error}")
        console.print(line, style="yellow", soft_wrap=True)
        return {}


def _print(console: Console, found: Comparison, verbose: bool) -> None:
    from core.golden.compare.change import Change
    from tui.golden.earlier import balance_line

    console.print(shown_line(f"{found.base} → {found.run}"), style="bold", soft_wrap=True)
    for note in found.notes:
        console.print(shown_line(f"note: {note}"), style="yellow", soft_wrap=True)
    for one in found.cases:
        if verbose or one.change is not Change.SAME:
            for line in _case_lines(one, verbose):
                console.print(line, soft_wrap=True)
    for balance in found.balances:
        console.print(shown_line(balance_line(balance)), soft_wrap=True)
    counts = ", ".join(f"{count} {change.value}" for change, count in found.counts.items())
    total = len(found.cases)
    console.print(f"{total} case{'s' * (total != 1)}: {counts or 'nothing was answered'}.", soft_wrap=True)


def _case_lines(one: CaseChange, verbose: bool) -> Iterator[Text]:
    """The class and the case, k of n on both sides; below it both answers, where they are not the same."""
    from rich.text import Text

    from core.golden.compare.change import Change
    from tui.golden.changes import SIGNS, STYLES

    line = Text(f"{SIGNS[one.change]} {one.change.value:9} ", STYLES[one.change])
    line.append(shown_line(one.label), "bold" if one.change in (Change.REGRESSED, Change.IMPROVED) else "")
    counts = [f"{side.passes} of {side.tries}" if side.held else "none" for side in (one.base, one.run)]
    if one.base.held or one.run.held:
        line.append(f"  {' → '.join(counts)}")
    if one.notes:
        line.append(f"  ({shown_line('; '.join(one.notes))})", "yellow")
    yield line
    if one.change is Change.SAME and not verbose:
        return
    for sign, side in (("-", one.base), ("+", one.run)):
        if side.held:
            said = shown_line(side.answer) or "(nothing)"
            cut = said if verbose or len(said) <= EXCERPT else f"{said[: EXCERPT - 1]}…"
            why = f"  [{shown_line(side.why)}]" if side.why else ""
            yield Text(f"    {sign} {cut}", "dim").append(why, "yellow")
