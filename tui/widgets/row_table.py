"""A table of rows under a heading: columns come and go with the width, and one of them takes what room is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events, getters, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.widgets.redraw import redraw

GAP = 2
FLEXIBLE_MIN = 8
UNSEEN_CELLS = 40
"""The width of a table that is not on the screen yet: its cursor can be moved all the same."""


@dataclass(frozen=True)
class Column:
    """`cells` 0 takes the room that is left; `min_width` is the table's width from which on the column is shown."""

    key: str
    label: str
    cells: int = 0
    min_width: int = 0
    right: bool = False


def fitted(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """The columns that a table of `width` cells shows, each with its own width in cells."""
    shown = [column for column in columns if width >= column.min_width]
    taken = sum(column.cells for column in shown) + GAP * (len(shown) - 1)
    return [(column, column.cells or max(FLEXIBLE_MIN, width - taken)) for column in shown]


def row_content(cells: Sequence[tuple[Content, int, bool]]) -> Content:
    """One line of cells, each padded or cut to its width; True aligns to the right."""
    parts: list[Content] = []
    for content, width, right in cells:
        cut = content.truncate(width, ellipsis=True)
        space = Content(" " * (width - cut.cell_length))
        parts.append(Content.assemble(space, cut) if right else Content.assemble(cut, space))
    return Content(" " * GAP).join(parts)


class Rows(OptionList, inherit_bindings=False):
    """The rows alone. Enter is left to the pane, so that the footer can say what it does there."""

    BINDINGS: ClassVar = [
        Binding("down,j", "cursor_down", "Down", show=False),
        Binding("up,k", "cursor_up", "Up", show=False),
        Binding("home,g", "first", "First", show=False),
        Binding("end,G", "last", "Last", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
    ]


class RowTable(Vertical):
    """Shows the rows named by `show`; asks `cell(key, column, width)` for the content of each cell.

    A snug table is as high as its rows, up to the stylesheet's max-height. With `newest_first`, a cursor on the first
    row stays on the first row when others come in above.
    """

    class Moved(Message):
        """The cursor is on another row, or on none."""

        def __init__(self, table: RowTable, key: str | None) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> RowTable:
            return self.table

    rows = getters.query_one(Rows)

    def __init__(
        self,
        columns: Sequence[Column],
        cell: Callable[[str, Column, int], Content],
        *,
        empty: str,
        id: str,
        snug: bool = False,
        newest_first: bool = False,
    ) -> None:
        super().__init__(id=id)
        self._columns = columns
        self._cell = cell
        self._empty = empty
        self._snug = snug
        self._newest_first = newest_first
        self._keys: list[str] = []
        self._drawn: dict[str, Content] | None = None

    def compose(self) -> ComposeResult:
        yield Static(classes="row-head")
        yield Rows(markup=False)
        yield Static(self._empty, classes="row-empty", markup=False)

    @property
    def selected(self) -> str | None:
        """The key of the row under the cursor."""
        option = self.rows.highlighted_option if self.is_mounted else None
        return option.id if option else None

    def show(self, keys: Sequence[str]) -> None:
        """Show these rows in this order. The cursor stays on its row, or goes to the first."""
        if list(keys) != self._keys:
            self._keys = list(keys)
            self._drawn = None
            if self._snug:
                self.styles.height = len(self._keys) + 1 or "auto"
        self.redraw()

    def say(self, empty: str) -> None:
        """What stands in place of the rows when there are none."""
        self.query_one(".row-empty", Static).update(Content(empty))

    def select(self, key: str) -> None:
        """Put the cursor on a row, if it is there."""
        if key in self._keys:
            self.rows.highlighted = self._keys.index(key)

    def redraw(self) -> None:
        """Ask for every cell again and repaint the rows that have changed."""
        if not self.is_mounted:
            return
        self.set_class(not self._keys, "-empty")
        width = self.rows.scrollable_content_region.width or UNSEEN_CELLS
        layout = fitted(self._columns, width)
        dim = "$foreground 55%"
        head = row_content([(Content.styled(column.label, dim), cells, column.right) for column, cells in layout])
        redraw(self.query_one(".row-head", Static), head)
        drawn = {
            key: row_content([(self._cell(key, column, cells), cells, column.right) for column, cells in layout])
            for key in self._keys
        }
        if self._drawn is not None:
            for key, content in drawn.items():
                if not content.is_same(self._drawn[key]):
                    self.rows.replace_option_prompt(key, content)
        else:
            before = None if self._newest_first and self.rows.highlighted == 0 else self.selected
            self.rows.clear_options()
            self.rows.add_options([Option(content, id=key) for key, content in drawn.items()])
            if drawn:
                self.rows.highlighted = self._keys.index(before) if before in drawn else 0
        self._drawn = drawn

    def on_mount(self) -> None:
        self.redraw()

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self._refit)

    def _refit(self) -> None:
        self.redraw()
        self.rows.scroll_to_highlight()

    @on(OptionList.OptionHighlighted)
    def _moved(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self.post_message(self.Moved(self, event.option_id))

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()  # a click moves the cursor and does nothing more
