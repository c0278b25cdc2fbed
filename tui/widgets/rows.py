"""A list of one-line rows of which only the visible ones are made: ten thousand cost what thirty do."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style

from tui.widgets.look import Look

ROW, HOVER, CURSOR = "rows--row", "rows--hover", "rows--cursor"


class Rows(ScrollView, can_focus=True, inherit_bindings=False):
    """Asks `row(index)` for the content of a row when it is painted. Enter is left to the pane, so that the footer can
    say what it does there."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {ROW, HOVER, CURSOR}
    BINDINGS: ClassVar = [
        Binding("down,j", "cursor(1)", "Down", show=False),
        Binding("up,k", "cursor(-1)", "Up", show=False),
        Binding("home,g", "first", "First", show=False),
        Binding("end,G", "last", "Last", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
    ]

    highlighted: reactive[int | None] = reactive(None)
    """The index of the row under the cursor."""
    _hover: reactive[int | None] = reactive(None)

    class Moved(Message):
        """The cursor is on another row, or on none."""

        def __init__(self, index: int | None) -> None:
            super().__init__()
            self.index = index

    def __init__(self, row: Callable[[int], Content]) -> None:
        super().__init__()
        self._row = row
        self._count = 0
        self._contents: dict[int, Content] = {}
        """Of the rows that have been painted, what is in them."""
        self._looks: dict[tuple[str, Style], Look] = {}
        self._width = 0
        self._styles: dict[str, Style] = {}
        """What is the same for all lines of one painting, found out once: asking Textual costs as much as a row."""

    @property
    def row_count(self) -> int:
        return self._count

    @property
    def row_width(self) -> int:
        """Cells that a row has; 0 before the list is laid out."""
        return self.scrollable_content_region.width

    def show(self, count: int, highlighted: int | None) -> None:
        """Show so many rows, all of them anew, with the cursor on one of them."""
        self._count = count
        self._contents.clear()
        self._count_changed(Size(0, count))
        self._hover = None
        with self.prevent(self.Moved):
            self.highlighted = None
        self.highlighted = highlighted if count else None
        if not count:
            self.post_message(self.Moved(None))
        self.refresh()

    def _count_changed(self, size: Size) -> None:
        """Lay out anew only if the scrollbar comes or goes; Textual does it for every change of a virtual size."""
        self.set_reactive(Rows.virtual_size, size)
        self._refresh_scrollbars()
        self._scroll_update(size)

    def redraw(self) -> None:
        """Ask for the rows on the screen again, and paint those that have changed."""
        top = self.scroll_offset.y
        shown = range(top, min(top + max(self.size.height, 1), self._count))
        self._contents = {index: content for index, content in self._contents.items() if index in shown}
        for index, content in list(self._contents.items()):
            if not (now := self._row(index)).is_same(content):
                self._contents[index] = now
                self._repaint(index)

    def forget(self) -> None:
        """Every row has changed, as with the width."""
        self._contents.clear()
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        self._width = self.row_width
        self._styles = {}
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        index = y + self.scroll_offset.y
        state = CURSOR if index == self.highlighted else HOVER if index == self._hover else ROW
        if state not in self._styles:
            self._styles[state] = self.get_visual_style(ROW, state)
        style = self._styles[state]
        if index >= self._count:
            return Strip.blank(self._width, style.rich_style)
        if index not in self._contents:
            self._contents[index] = self._row(index)
        return self._look(style).strip(self._contents[index]).adjust_cell_length(self._width, style.rich_style)

    def _look(self, style: Style) -> Look:
        """Text over a style; what the names of colours mean is looked up once for each theme."""
        key = (self.app.theme, style)
        if key not in self._looks:
            self._looks[key] = Look(style, self._get_style)
        return self._looks[key]

    # -- the cursor ---------------------------------------------------------------------------------------------------

    def validate_highlighted(self, highlighted: int | None) -> int | None:
        if highlighted is None or not self._count:
            return None
        return min(max(highlighted, 0), self._count - 1)

    def watch_highlighted(self, before: int | None, now: int | None) -> None:
        self._repaint(before, now)
        if now is not None:
            self.scroll_to_highlight()
            self.post_message(self.Moved(now))

    def watch__hover(self, before: int | None, now: int | None) -> None:
        self._repaint(before, now)

    def _repaint(self, *rows: int | None) -> None:
        for row in rows:
            if row is not None:
                self.refresh(Region(0, row - self.scroll_offset.y, self.size.width, 1))

    def scroll_to_highlight(self) -> None:
        """Bring the cursor's row onto the screen."""
        if self.highlighted is not None and self.is_mounted:
            place = Region(0, self.highlighted, 1, 1)
            self.scroll_to_region(place, force=True, animate=False, immediate=True)

    def action_cursor(self, by: int) -> None:
        """Go on by a row, from the last to the first and back. Who has nowhere to go wants more rows: that is told."""
        if self._count > 1:
            self.highlighted = ((self.highlighted if self.highlighted is not None else -by) + by) % self._count
        else:
            self.post_message(self.Moved(self.highlighted))

    def action_first(self) -> None:
        self.highlighted = 0

    def action_last(self) -> None:
        self.highlighted = self._count - 1

    def action_page(self, by: int) -> None:
        self.highlighted = (self.highlighted or 0) + by * max(self.size.height, 1)

    # -- the mouse ----------------------------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        if (row := self._row_at(event)) is not None:
            self.highlighted = row

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self._hover = self._row_at(event)

    def on_leave(self) -> None:
        self._hover = None

    def _row_at(self, event: events.MouseEvent) -> int | None:
        at = event.get_content_offset(self)
        row = None if at is None else at.y + self.scroll_offset.y
        return row if row is not None and row < self._count else None
