"""The rows of a suite: filtered, folded and marked, and what is run of them."""

from __future__ import annotations

from textual import getters, on
from textual.widgets import Input

from tui.foreign import one_line
from tui.golden.cells import widest_name
from tui.golden.reviewed import ReviewedSuite
from tui.golden.tree import failed, folder_of, inside, matches, rows
from tui.widgets.row_table import RowTable


class ChosenCases(ReviewedSuite):
    """What a pane over a suite has of its rows."""

    table = getters.query_one("#golden-table", RowTable)
    filter_box = getters.query_one("#golden-filter", Input)

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self._folded: set[str] = set()
        """Folders that are one row each."""

    @property
    def _words(self) -> list[str]:
        return self.filter_box.value.lower().split()

    @property
    def _row(self) -> str | None:
        """The case under the cursor; None on a folder."""
        return self.table.selected if self.table.selected in self._board.cases else None

    @property
    def _meant(self) -> list[str]:
        """The cases that the row under the cursor stands for."""
        return inside(self.table.selected, self._shown)

    @property
    def _shown(self) -> list[str]:
        """The cases that the filter finds."""
        words = self._words
        return [one for one in self._board.cases if not words or matches(self._board, one, words)]

    @property
    def _no_match(self) -> str:
        """Why there is no row where the suite has prompts."""
        return f"No prompt matches {one_line(self.filter_box.value)!r}. Escape clears the filter."

    def _show_rows(self) -> None:
        shown = self._shown
        if self._board.cases and not shown:
            self.table.say(self._no_match)
        self.table.widest = widest_name(self._board)
        self.table.show(rows(shown, () if self._words else self._folded))

    # -- the filter ---------------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        self.filter_box.display = True
        self.screen.set_focus(self.filter_box)

    @on(Input.Changed, "#golden-filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._redraw()

    @on(Input.Submitted, "#golden-filter")
    def _filter_done(self, event: Input.Submitted) -> None:
        event.stop()
        self.filter_box.display = bool(self.filter_box.value)
        self.screen.set_focus(self.table.rows)

    def clear_filter(self) -> None:
        """Show every prompt again, and go to the rows."""
        self.filter_box.value = ""
        self.filter_box.display = False
        self.screen.set_focus(self.table.rows)

    # -- folding and marking ------------------------------------------------------------------------------------------

    def action_fold(self) -> None:
        """Make one row of the folder in which the row lies."""
        if (folder := folder_of(self.table.selected or "")) and not self._words:
            self._folded.add(folder)
            self._redraw()
            self.table.select(folder)

    def action_unfold(self) -> None:
        """Show what lies in the row's folder."""
        if (row := self.table.selected) in self._folded:
            self._folded.discard(row)
            self._redraw()
            self.table.select(next(iter(inside(row, self._board.cases)), row))

    def action_mark(self) -> None:
        """Mark the row, or take its mark off, and go on to the next."""
        meant = set(self._meant)
        if not meant:
            self._say_no_row()
            return
        marked = self._board.marked
        self._board.marked = marked - meant if meant <= marked else marked | meant
        if self.table.selected != self.table.keys[-1]:
            self.table.rows.action_cursor(1)
        self._redraw()

    def action_mark_all(self) -> None:
        """Mark all that are shown; where they are marked, take all marks off."""
        shown = set(self._shown)
        if not shown:
            self._say_no_row()
            return
        self._board.marked = set() if shown <= self._board.marked else self._board.marked | shown
        self._redraw()

    def _say_no_row(self) -> None:
        """Why a key that is meant for rows does nothing."""
        if self._board.cases:
            self.notify(self._no_match)
        else:
            self._start(())  # it says why there are none

    # -- running ------------------------------------------------------------------------------------------------------

    def action_run_case(self) -> None:
        if meant := self._meant:
            self._start(meant)
        else:
            self._say_no_row()

    def action_run_suite(self) -> None:
        self._start(list(self._board.cases))

    def action_run_marked(self) -> None:
        self._start([one for one in self._board.cases if one in self._board.marked])

    def action_run_failed(self) -> None:
        self._start(failed(self._board))
