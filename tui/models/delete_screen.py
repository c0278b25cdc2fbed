"""Asked before a model goes from the disk: what goes, what that frees, and what stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from tui.actions import bindings
from tui.figures import size_in_words
from tui.foreign import one_line, plain, shorten
from tui.models.on_disk import also_in
from tui.widgets.footer import KeyFooter
from tui.widgets.redraw import redraw
from tui.widgets.row_table import Column, RowTable

if TYPE_CHECKING:
    from core.hub.delete import Deletion
    from core.hub.disk import Duplicate

COLUMNS = (
    Column("what", "goes"),
    Column("frees", "frees", 7, right=True),
    Column("stays", "stays", 7, right=True),
)
TITLE_CELLS = 50
MOST_TWICE = 3
"""Other models that hold files of this one, named in the question."""


class DeleteScreen(ModalScreen["Deletion | None"]):
    """Dismissed with the plan to carry out, or with None.

    `plans` are those to choose among, the first one is for all of the model; `free` is what the disk has now, in bytes;
    `twice` are files that other models hold as well.
    """

    BINDINGS: ClassVar = [
        *bindings("question"),
        Binding("enter", "answer(True)", "Yes", show=False),
        Binding("left,right", "app.focus_next", show=False),
    ]

    table = getters.query_one(RowTable)

    def __init__(self, plans: Sequence[Deletion], free: int, twice: Sequence[Duplicate] = ()) -> None:
        super().__init__(classes="dialogue")
        self._plans = {str(at): plan for at, plan in enumerate(plans)}
        self._free = free
        self._twice = twice

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = plain(f"Delete {shorten(self._plans['0'].id, TITLE_CELLS)}?")
            choose = "↑ ↓ choose · " if len(self._plans) > 1 else ""
            box.border_subtitle = f"{choose}y deletes · esc keeps"
            if len(self._plans) > 1:
                yield RowTable(COLUMNS, self._cell, empty="", id="delete-table", snug=True)
            yield Static(id="delete-told", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Delete", variant="primary", id="yes", compact=True)
                yield Button("Cancel", id="no", compact=True)
        yield KeyFooter(show_command_palette=False)

    def on_mount(self) -> None:
        if len(self._plans) > 1:
            self.table.show(list(self._plans))
            self.set_focus(self.table.rows)
        self._tell()

    @property
    def _plan(self) -> Deletion:
        """The chosen one."""
        key = self.table.selected if len(self._plans) > 1 else None
        return self._plans[key or "0"]

    def _cell(self, key: str, column: Column, cells: int) -> Content:
        plan = self._plans[key]
        match column.key:
            case "what":
                return plain(one_line(plan.what))
            case "frees":
                return Content(size_in_words(plan.frees))
            case _:
                return Content.styled(size_in_words(plan.stays) if plan.stays else "", "$dim")

    @on(RowTable.Moved)
    def _tell(self) -> None:
        plan = self._plan
        frees, then = size_in_words(plan.frees), size_in_words(self._free + plan.frees)
        freed = f"That frees {frees}; {then} will be free." if plan.frees else "That frees nothing."
        told = [f"{one_line(plan.what[:1].upper() + plan.what[1:])} will be gone from the disk. {freed}"]
        if plan.stays:
            told.append(f"{size_in_words(plan.stays)} of it stay: other revisions use them.")
        if not plan.commits:
            told += [f"Elsewhere stay {phrase}." for phrase in also_in(plan.id, self._twice)[:MOST_TWICE]]
        redraw(self.query_one("#delete-told", Static), plain("\n".join(told)))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.action_answer(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        self.dismiss(self._plan if answer else None)
