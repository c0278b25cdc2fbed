"""A table of rows under a heading: columns come, go and say more with the width, and one of them takes what is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual import events, getters, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content, Span
from textual.message import Message
from textual.widgets import Static

from tui.widgets.redraw import redraw
from tui.widgets.rows import Rows

GAP = 2
FLEXIBLE_MIN = 8
UNSEEN_CELLS = 40
"""The width of a table that is not on the screen yet: its cursor can be moved all the same."""


@dataclass(frozen=True)
class Column:
    """`cells` 0 takes the room that is left; `min_width` is the table's width from which on the column is shown.

    `roomy` is the column as it is from another width on: in words, where it was short.
    """

    key: str
    label: str
    cells: int = 0
    min_width: int = 0
    right: bool = False
    roomy: Column | None = None


def fitted(columns: Sequence[Column], width: int, widest: int = 0) -> list[tuple[Column, int]]:
    """The columns that a table of `width` cells shows, each with its own width in cells.

    `widest` is the most that the flexible column can use: what it says stands near the others on a wide screen, too. 0
    gives it all that is left.
    """
    shown = []
    for column in columns:
        if column.roomy is not None and width >= column.roomy.min_width:
            shown.append(column.roomy)
        elif width >= column.min_width:
            shown.append(column)
    taken = sum(column.cells for column in shown) + GAP * (len(shown) - 1)
    rest = max(FLEXIBLE_MIN, width - taken)
    flexible = min(rest, max(widest, FLEXIBLE_MIN)) if widest else rest
    return [(column, column.cells or flexible) for column in shown]


def row_content(cells: Sequence[tuple[Content, int, bool]]) -> Content:
    """One line of cells, each padded or cut to its width; True aligns to the right."""
    text, spans = "", []
    for content, width, right in cells:
        cut = content if content.cell_length <= width else content.truncate(width, ellipsis=True)
        text += " " * GAP if text else ""
        space = " " * (width - cut.cell_length)
        start = len(text) + (len(space) if right else 0)
        spans += [Span(start + span.start, start + span.end, span.style) for span in cut.spans]
        text += space + cut.plain if right else cut.plain + space
    return Content(text, spans)


class RowHead(Static):
    """The names of the columns; a click tells the table where it was."""

    ALLOW_SELECT = False

    def __init__(self, clicked: Callable[[int], None]) -> None:
        super().__init__(classes="row-head")
        self._clicked = clicked

    def on_click(self, event: events.Click) -> None:
        self._clicked(event.x)


def head_content(layout: Sequence[tuple[Column, int]], by: str, descending: bool) -> Content:
    """The names of the columns, an arrow at that by which the rows are sorted.

    An arrow that finds no room beside a name stands in the gap behind it.
    """
    text, spans, borrowed = "", [], 0
    for column, cells in layout:
        text += " " * (GAP - borrowed if text else 0)
        sorts = bool(by) and column.key == by
        label = column.label + ("▼" if descending else "▲") * sorts
        borrowed = max(0, len(label) - cells)
        space = " " * (cells - len(label))
        start = len(text) + (len(space) if column.right else 0)
        spans.append(Span(start, start + len(label), "bold $primary" if sorts else "$dim"))
        text += space + label if column.right else label + space
    return Content(text, spans)


class RowTable(Vertical):
    """Shows the rows named by `show`; asks `cell(key, column, width)` for the content of each cell.

    A snug table is as high as its rows, up to the stylesheet's max-height. With `newest_first`, a cursor on the first
    row stays on the first row when others come in above. `widest` is the most cells that the flexible column can use.
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

    class HeadClicked(Message):
        """Somebody has clicked on the name of a column."""

        def __init__(self, table: RowTable, column: str) -> None:
            super().__init__()
            self.table = table
            self.column = column

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
        self._layout: list[tuple[Column, int]] = []
        self._wanted: str | None = None
        """The row that the person is on; the cursor is on a neighbour while that is not shown."""
        self._order: list[str] = []
        """All rows when it was shown last."""
        self.widest = 0
        self.sorted_by = ("", False)
        """The column that the rows are sorted by, and whether the greatest is first: an arrow in the head says so."""

    def compose(self) -> ComposeResult:
        yield RowHead(self._head_clicked)
        yield Rows(self._row)
        yield Static(self._empty, classes="row-empty", markup=False)

    @property
    def selected(self) -> str | None:
        """The key of the row under the cursor."""
        index = self.rows.highlighted if self.is_mounted else None
        return self._keys[index] if index is not None and index < len(self._keys) else None

    @property
    def keys(self) -> list[str]:
        """The rows that are shown, in their order."""
        return self._keys

    @property
    def columns(self) -> list[str]:
        """The keys of the columns that are shown at this width."""
        return [column.key for column, _ in self._layout]

    def _head_clicked(self, x: int) -> None:
        end = 0
        for column, cells in self._layout:
            end += cells + GAP
            if x < end:
                self.post_message(self.HeadClicked(self, column.key))
                return

    def show(self, keys: Sequence[str], changed: bool = True) -> None:
        """Show these rows in this order. The cursor stays on its row, or goes to the nearest while that is not among
        them; it comes back with the row, unless the person has gone on from there. `changed` says that the same rows
        may have other cells now."""
        if list(keys) == self._keys:
            if changed:
                self.redraw()
            return
        first = self._newest_first and self.rows.highlighted == 0
        self._keys = list(keys)
        if self._snug:
            self.styles.height = len(self._keys) + 1 if self._keys else "auto"
        self.set_class(not self._keys, "-empty")
        self.rows.show(len(self._keys), 0 if first else self._nearest())
        if self._wanted is None or first:
            self._stay()
        elif self._wanted in self._keys:
            self._order = self._keys
        self.redraw()

    def _nearest(self) -> int:
        """Where the wanted row is, or the next one of those that stood after it, else before it."""
        if self._wanted is None or self._wanted not in self._order:
            return 0
        places = {key: index for index, key in enumerate(self._keys)}
        at = self._order.index(self._wanted)
        near = (key for key in (*self._order[at:], *reversed(self._order[:at])) if key in places)
        return places.get(next(near, ""), 0)

    def _stay(self) -> None:
        """The row under the cursor is the one that the person wants."""
        if self.selected is not None:
            self._wanted, self._order = self.selected, self._keys

    def say(self, empty: str) -> None:
        """What stands in place of the rows when there are none."""
        redraw(self.query_one(".row-empty", Static), Content(empty))

    def select(self, key: str) -> None:
        """Put the cursor on a row, if it is there."""
        if key in self._keys:
            self.rows.highlighted = self._keys.index(key)
            self._stay()

    def redraw(self) -> None:
        """Ask for the cells on the screen again and repaint the rows that have changed."""
        if not self.is_mounted:
            return
        self.set_class(not self._keys, "-empty")
        layout = fitted(self._columns, self.rows.row_width or UNSEEN_CELLS, self.widest)
        if layout != self._layout:
            self._layout = layout
            self.rows.forget()
        redraw(self.query_one(RowHead), head_content(layout, *self.sorted_by))
        self.rows.redraw()

    def _row(self, index: int) -> Content:
        key = self._keys[index]
        return row_content([(self._cell(key, column, cells), cells, column.right) for column, cells in self._layout])

    def on_mount(self) -> None:
        self.redraw()

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self._refit)

    def _refit(self) -> None:
        self.redraw()
        self.rows.scroll_to_highlight()

    def on_descendant_focus(self) -> None:
        self._stay()

    @on(Rows.Moved)
    def _moved(self, event: Rows.Moved) -> None:
        event.stop()
        if self.rows.has_focus:
            self._stay()
        key = self._keys[event.index] if event.index is not None and event.index < len(self._keys) else None
        self.post_message(self.Moved(self, key))
