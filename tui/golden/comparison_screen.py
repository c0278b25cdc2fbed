"""Two runs compared case by case: those that flipped first, k of n on both sides, and the exact test."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from core.golden.baselines.word_diff import word_diff
from core.golden.compare.change import Change, Tries
from core.golden.compare.comparison import CaseChange, Comparison
from tui.actions import bindings
from tui.foreign import one_line, plain, shorten
from tui.golden.changes import COLOURS, SIGNS
from tui.golden.earlier import balance_line
from tui.golden.pending import marked_words
from tui.widgets.footer import KeyFooter
from tui.widgets.row_table import Column, RowTable

COLUMNS = (
    Column("change", "", 11),
    Column("case", "case"),
    Column("before", "before", 8, right=True),
    Column("now", "now", 8, right=True),
)


class ComparisonScreen(ModalScreen[None]):
    """The cases as a list, and below it both answers to the one under the cursor."""

    BINDINGS: ClassVar = bindings("comparison")

    table = getters.query_one("#comparison-table", RowTable)

    def __init__(self, found: Comparison, why: Callable[[CaseChange], None] | None = None) -> None:
        """`why` explains the two answers to a case; None where that cannot be done."""
        super().__init__(classes="dialogue")
        self._why = why
        self._found = found
        self._cases = {one.label: one for one in found.cases}
        same = sum(one.change is Change.SAME for one in found.cases)
        self._both = 0 < same < len(found.cases)
        """Whether there are cases with the same answer among others."""
        self._same = not self._both
        """Whether cases are listed that gave the same answer."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="box comparison-box") as box:
            box.border_title = plain(one_line(f"{self._found.base} → {self._found.run}"))
            with VerticalScroll(id="comparison-summary"):
                yield Static(id="comparison-balances", markup=False)
            yield RowTable(COLUMNS, self._cell, empty="Nothing was answered.", id="comparison-table", snug=True)
            with VerticalScroll(id="comparison-answers"):
                yield Static(id="comparison-words", markup=False)
        yield KeyFooter(show_command_palette=False)

    def on_mount(self) -> None:
        counts = ", ".join(f"{count} {change.value}" for change, count in self._found.counts.items())
        total = len(self._found.cases)
        lines = [Content.styled(f"{total} case{'s' * (total != 1)}: {counts or 'nothing was answered'}.", "bold")]
        lines += [plain(balance_line(balance)) for balance in self._found.balances]
        lines += [plain(note, "$warning") for note in self._found.notes]
        self.query_one("#comparison-balances", Static).update(Content("\n").join(lines))
        self.table.widest = max((len(label) for label in self._cases), default=0)
        self.table.rows.focus()
        self._list()

    def _list(self) -> None:
        self.table.show([key for key, one in self._cases.items() if self._same or one.change is not Change.SAME])

    def _cell(self, key: str, column: Column, cells: int) -> Content:
        one = self._cases[key]
        match column.key:
            case "change":
                return Content.styled(f"{SIGNS[one.change]} {one.change.value}", COLOURS[one.change])
            case "case":
                return plain(shorten(key, cells))
            case side:
                return plain(_share(one.base if side == "before" else one.run))

    @on(RowTable.Moved)
    def _moved(self, event: RowTable.Moved) -> None:
        shown = answers_content(self._cases[event.key]) if event.key else Content("")
        self.query_one("#comparison-words", Static).update(shown)
        self.query_one("#comparison-answers").scroll_home(animate=False)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are shown where they do something."""
        if action == "same":
            return self._both
        if action != "why":
            return True
        one = self._cases.get(self.table.selected or "") if self.is_mounted else None
        return self._why is not None and one is not None and bool(one.base.held and one.run.held)

    def action_why(self) -> None:
        if self._why is not None and self.table.selected is not None:
            self._why(self._cases[self.table.selected])

    def action_same(self) -> None:
        self._same = not self._same
        self._list()

    def action_close(self) -> None:
        self.dismiss()


def answers_content(one: CaseChange) -> Content:
    """Both answers as one text, and why each fails that does."""
    lines = []
    if one.notes:
        lines.append(plain("; ".join(one.notes), "$warning"))
    if one.base.held and one.run.held:
        lines.append(marked_words(word_diff(one.base.answer, one.run.answer)))
    else:
        lines.append(plain((one.run if one.run.held else one.base).answer))
    lines += [plain(f"{when}: {side.why}", "$dim") for when, side in _sides(one) if side.why]
    return Content("\n").join(lines)


def _sides(one: CaseChange) -> tuple[tuple[str, Tries], tuple[str, Tries]]:
    return ("before", one.base), ("now", one.run)


def _share(side: Tries) -> str:
    return f"{side.passes} of {side.tries}" if side.held else "none"
