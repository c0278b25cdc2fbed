"""The earlier runs of a suite: compare two of them, or show the answers of one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import getters, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from core.engine import Engine
from core.errors import EngineError
from core.golden.compare.comparison import CaseChange
from core.golden.compare.sides import NoEarlierRun
from core.golden.history.index import RunLine
from core.golden.suite import Suite
from tui.actions import bindings
from tui.background import off_loop
from tui.foreign import one_line, plain, short_name, shorten
from tui.golden.comparison_screen import ComparisonScreen
from tui.golden.earlier import ACCEPTED, compared, earlier_runs, held_words, traces_of_runs
from tui.golden.explain_screen import ExplainScreen
from tui.widgets.footer import KeyFooter
from tui.widgets.row_table import Column, RowTable

COLUMNS = (
    Column("run", "run", 21),
    Column("asked", "cases", 7, right=True),
    Column("quick", "quick", 7, right=True),
    Column("full", "full", 7, right=True),
    Column("exit", "ended", 10),
    Column("models", "models"),
)
MOST = 200
"""Runs that are listed."""
ENDED = {None: "unfinished", 0: "all hold", 130: "stopped"}
"""By exit code, how a run ended; the others are told as they are."""
FIRST = "No run before this one has answers: b on another row has it compared with that."
NONE = "No run of this suite is kept yet: R runs it."


class RunsScreen(ModalScreen[str | None]):
    """Dismissed with the name of the run whose answers are to be shown, or with None."""

    BINDINGS: ClassVar = bindings("runs")

    table = getters.query_one("#runs-table", RowTable)

    def __init__(self, runs: Path, suite: Suite, engine: Engine) -> None:
        super().__init__(classes="dialogue")
        self._engine = engine
        self._runs, self._suite = runs, suite
        self._lines: dict[str, RunLine] = {}
        self._base = ""
        """What the others are compared with; "" for the run before each."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="box runs-box") as box:
            box.border_title = plain(f"Runs of {one_line(self._suite.name)}")
            yield RowTable(COLUMNS, self._cell, empty="Reading the runs…", id="runs-table")
            yield Static(id="runs-base", markup=False)
        yield KeyFooter(show_command_palette=False)

    def on_mount(self) -> None:
        self.table.rows.focus()
        self._show_base()
        self._read()

    @work(exclusive=True)
    async def _read(self) -> None:
        try:
            lines = await off_loop(lambda: earlier_runs(self._runs, self._suite, MOST), "golden-runs")
        except EngineError as error:
            self.table.say(error.message)
            return
        self._lines = {line.id: line for line in lines}
        self.table.say(NONE)
        self.table.show([*self._lines, ACCEPTED] if lines else [])
        self.refresh_bindings()

    def _cell(self, key: str, column: Column, cells: int) -> Content:
        base = "▸ " if key == self._base else "  "
        if key == ACCEPTED:
            words = {"run": f"{base}accepted answers", "models": "what is in the suite's accepted/"}.get(column.key, "")
            return Content.styled(words if len(words) <= cells else "", "$secondary")
        line = self._lines[key]
        match column.key:
            case "run":
                return plain(f"{base}{when(line)}", "bold" if key == self._base else "")
            case "exit":
                code = line.exit_code
                told = ENDED.get(code, f"exit {code}")
                return Content.styled(told, "$success" if code == 0 else "$dim" if code is None else "$warning")
            case "asked":
                total = line.asked + line.left_out
                return Content.styled(
                    f"{line.asked}/{total}" if line.part else str(total), "$warning" * bool(line.part)
                )
            case "models":
                return plain(shorten(", ".join(map(short_name, line.models)), cells), "$dim")
            case tier:
                return plain(held_words(line, tier))

    def _show_base(self) -> None:
        base = {"": "the run before it", ACCEPTED: "the accepted answers"}.get(self._base) or when(
            self._lines[self._base]
        )
        self.query_one("#runs-base", Static).update(plain(f"⏎ compares a run with {base}; b chooses another base."))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are shown where they do something."""
        return action not in ("compare", "base", "open") or bool(self._lines)

    def on_row_table_moved(self) -> None:
        self.refresh_bindings()

    def action_base(self) -> None:
        """The row, or the run before each where it was the row already."""
        if self.table.selected is not None:
            self._base = "" if self._base == self.table.selected else self.table.selected
            self._show_base()
            self.table.redraw()

    def action_compare(self) -> None:
        run = self.table.selected
        if run == ACCEPTED:
            self.notify("The accepted answers are a base (b): ⏎ on a run compares it with them.")
        elif run is not None:
            self._compare(run)

    @work(exclusive=True, group="compare")
    async def _compare(self, run: str) -> None:
        base = self._base
        try:
            found = await off_loop(lambda: compared(self._runs, self._suite, base, run), "golden-compare")
        except NoEarlierRun:
            self.notify(FIRST)
            return
        except EngineError as error:
            self.notify(error.message, severity="warning", timeout=10)
            return
        why = None if base == ACCEPTED else partial(self._why, base, run)
        self.app.push_screen(ComparisonScreen(found, why))

    def _why(self, base: str, run: str, one: CaseChange) -> None:
        find = self._engine.catalog.on_disk
        prepare = partial(traces_of_runs, self._runs, self._suite, base, run, one, find)
        self.app.push_screen(ExplainScreen(self._engine, one.case, prepare))

    def action_open(self) -> None:
        if self.table.selected not in (None, ACCEPTED):
            self.dismiss(self.table.selected)

    def action_close(self) -> None:
        self.dismiss(None)


def when(line: RunLine) -> str:
    """`2026-11-29 09:30:00`, as the run's clock had it."""
    return one_line(line.started[:19].replace("T", " ")) or line.id
