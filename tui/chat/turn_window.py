"""Turns in a window: only those that are seen are laid out, and the reader's place is kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import takewhile
from typing import Any, TypeVar

from textual import events
from textual.geometry import Offset, Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget

from tui.chat.column import Column
from tui.chat.lines import Line
from tui.chat.question_view import COLUMNS, ROWS
from tui.chat.turn_view import TurnView, nobody
from tui.widgets.look import Look
from tui.widgets.picture import Picture

MOST_LAID_OUT = 100
"""Turns that are kept laid out; those that were shown longest ago are laid out again when somebody looks."""

GUTTER = 2
"""Cells before a turn's text: room for a bar, and a blank."""

MEASURE = 120
"""Cells beyond which a line is hard to read on: a wider window keeps its text together."""

View = TypeVar("View", bound=TurnView)


class TurnWindow(ScrollView):
    """One widget for any number of turns: Textual's layout visits every widget that is mounted, seen or not.

    The height of a turn that was never shown is estimated; when it is put right, what the reader sees stays where it
    is. While the window is at the end it follows the newest text. Thumbnails are widgets of their own, mounted while
    they can be seen.
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._turns: list[TurnView] = []
        self._column = Column()
        self._laid: OrderedDict[TurnView, list[Line]] = OrderedDict()
        self._pictures: dict[tuple[TurnView, int], Picture] = {}
        self._look_now = Look(Style(), self._get_style)
        self._look_name: tuple[str, Style] | None = None
        self._width = 0
        self._following = True
        self._placing = False
        self._painting = False

    # -- turns --------------------------------------------------------------------------------------------------------

    @property
    def turns(self) -> list[TurnView]:
        """Every turn, oldest first."""
        return list(self._turns)

    def views(self, kind: type[View]) -> list[View]:
        """The turns of one kind, oldest first."""
        return [turn for turn in self._turns if isinstance(turn, kind)]

    def append(self, *turns: TurnView) -> None:
        """Add turns at the end and go there."""
        self._turns += turns
        self._estimate(turns)
        for turn in turns:
            turn.changed = partial(self.redraw, turn)
        self.follow()

    def swap(self, turns: list[TurnView]) -> None:
        """Show other turns; the reader stays where he is, in what both have in common."""
        self._following = False
        self.keep(turns)
        for turn in turns:
            turn.changed = partial(self.redraw, turn)

    def clear(self) -> None:
        """Drop everything."""
        self.keep([])

    def keep(self, turns: list[TurnView]) -> None:
        """Keep only some turns, or show others behind those that stay."""
        same = 0
        while same < min(len(turns), len(self._turns)) and turns[same] is self._turns[same]:
            same += 1
        gone = self._turns[same:]
        self._turns = turns
        self._column.cut(same)
        self._estimate(turns[same:])
        for turn in gone:
            self._laid.pop(turn, None)
            if turn not in turns:
                turn.changed = nobody
        self._settle()
        self.refresh()

    def follow(self) -> None:
        """Follow the newest text again."""
        self._following = True
        self._settle()
        self.refresh()

    # -- layout -------------------------------------------------------------------------------------------------------

    @property
    def _room(self) -> int:
        """Cells for the text of a turn."""
        return max(1, min(MEASURE, self.scrollable_content_region.width - GUTTER - 1))

    @property
    def _look(self) -> Look:
        """The colours of now; other ones, and everything is laid out again when it is shown."""
        name = self.app.theme, self.visual_style
        if name != self._look_name:
            self._look_name, self._look_now = name, Look(self.visual_style, self._get_style)
            self._laid.clear()
        return self._look_now

    def on_resize(self, event: events.Resize) -> None:
        """Heights change with the width: estimate them again, and keep the reader's place."""
        if self._room != self._width:
            index, row = self._place()
            share = row / self._column.height_of(index) if self._turns else 0.0
            self._width = self._room
            self._laid.clear()
            self._column.cut(0)
            self._estimate(self._turns)
            self.screen.clear_selection()
            if self._turns and not self._following:
                self._lines(index)
                self._go(self._column.top(index) + round(share * self._column.height_of(index)))
        self._settle()
        self.refresh()

    def _estimate(self, turns: Iterable[TurnView]) -> None:
        """Put turns at the end of the column that nobody has looked at."""
        room = self._room
        self._column.extend(turn.estimate(room) + 1 for turn in turns)

    def _lines(self, index: int) -> list[Line]:
        """A turn laid out. Its height is put right with it."""
        look, turn = self._look, self._turns[index]
        lines = self._laid.get(turn)
        if lines is None:
            lines = self._laid[turn] = turn.lines(self._room, look)
            self._column.set(index, len(lines) + 1)
            if len(self._laid) > MOST_LAID_OUT:
                self._laid.popitem(last=False)[0].forget()
        else:
            self._laid.move_to_end(turn)
        return lines

    def _place(self) -> tuple[int, int]:
        """Where the reader is: the turn at the top of the window, and how many of its lines are above the window."""
        top = round(self.scroll_y)
        index = self._column.at(top) if self._turns else 0
        return index, top - self._column.top(index)

    def _settle(self) -> None:
        """Lay out what the window shows, without moving it; while the newest text is followed, it stays at the end."""
        height = self.scrollable_content_region.height
        if not height or not self.is_attached:
            return
        if self._following:
            index, seen = len(self._turns), 0
            while index and seen < height:
                index -= 1
                self._lines(index)
                seen += self._column.height_of(index)
            self._go(self._column.height)
        else:
            self._go(self._laid_out(round(self.scroll_y), height))
        self._show_pictures()

    def _laid_out(self, top: int, height: int) -> int:
        """Lay out the turns of the `height` lines from `top` on, and return where these lines begin now.

        What is laid out already keeps its place among them, so that a reader sees nothing move.
        """
        while unknown := [
            index for index in self._column.between(top, top + height) if not self._column.is_exact(index)
        ]:
            shown = self._column.between(top, top + height)
            keep = next((index for index in shown if self._column.is_exact(index)), shown[0])
            inside, size = top - self._column.top(keep), self._column.height_of(keep)
            for index in unknown:
                self._lines(index)
            if inside > 0:  # of a turn that was only estimated: as far inside of it as before
                inside = inside * self._column.height_of(keep) // size
            top = self._column.top(keep) + inside if top > 0 else 0
        return top

    def _go(self, top: int) -> None:
        """Have the window begin at a line, or as near as the length allows."""
        self._placing = True
        size = Size(self.scrollable_content_region.width, self._column.height)
        if size != self.virtual_size:
            self.set_reactive(Widget.virtual_size, size)  # set as usual, it would lay out the whole screen
            self._scroll_update(size)
        top = max(0, min(top, self.max_scroll_y))
        if top != round(self.scroll_y):
            self.scroll_y = self.scroll_target_y = top
        self._placing = False

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if not self._placing:
            self._following = new_value >= self.max_scroll_y
            self._settle()

    def _scroll_to(
        self, x: float | None = None, y: float | None = None, *, animate: bool = True, **options: Any
    ) -> bool:
        """Lay out the way before it is gone, so that its length is right. It is not animated: a step costs a page."""
        height = self.scrollable_content_region.height
        here = round(self.scroll_y)
        if y is not None and y < self.max_scroll_y and abs(y - here) <= 2 * height:
            first = max(0, round(min(y, here)))
            moved = self._laid_out(first, abs(round(y) - here) + height) - first
            self._following = False
            self._go(here + moved)
            y = max(0, y + moved) if y > 0 else 0
        return super()._scroll_to(x, y, animate=False, **options)

    def redraw(self, *turns: TurnView) -> None:
        """Show turns that have changed. What nobody sees of them is estimated until somebody does."""
        before = {turn: self._laid.pop(turn, []) for turn in turns}
        if not self.is_attached or not self._width:
            return
        (at, row), top, window = self._place(), round(self.scroll_y), self.in_window()
        for index, turn in enumerate(self._turns):
            if turn in before and index in window:
                self._lines(index)
            elif turn in before:
                self._column.set(index, turn.estimate(self._width) + 1, exact=False)
        if not self._following:
            self._go(self._column.top(at) + row)
        self._settle()
        if round(self.scroll_y) == top and list(turns) == self._turns[-1:]:
            self._refresh_from(top, before[turns[0]])
        else:
            self.refresh()

    def _refresh_from(self, top: int, before: list[Line]) -> None:
        """Draw what the last turn has other than `before`, in a window that begins where it did."""
        same = takewhile(
            lambda pair: pair[0] is pair[1] or pair[0] == pair[1],
            zip(before, self._lines(len(self._turns) - 1), strict=False),
        )
        first = max(0, self._column.top(len(self._turns) - 1) + sum(1 for _ in same) - top)
        self.refresh(Region(0, first, self.size.width, max(0, self.size.height - first)))

    # -- drawing ------------------------------------------------------------------------------------------------------

    def in_window(self) -> range:
        """The turns of which something is in the window."""
        top = round(self.scroll_y)
        return self._column.between(top, top + self.size.height)

    def line_at(self, y: int) -> tuple[int, int] | None:
        """The turn, and the row of it, at a line of the window; None under the last turn."""
        position = y + self.scroll_offset.y
        if position >= self._column.height:
            return None
        index = self._column.at(position)
        return index, position - self._column.top(index)

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self._look.base.rich_style
        place = self.line_at(y)
        if place is None or place[1] >= len(lines := self._lines(place[0])):
            return Strip.blank(width, base)
        bar = self._look.mark(self.bar(place[0]), "$border")
        line = Strip.join([bar, self.marked(lines[place[1]].strip, *place)])
        line = line.adjust_cell_length(width, base)
        return line if self._painting else self.placed(line, *place)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Paint. Where lines belong is left out of them: it costs as much as all the rest, and the screen asks for the
        line under the mouse by itself."""
        self._painting = True
        try:
            return super().render_lines(crop)
        finally:
            self._painting = False

    def bar(self, index: int) -> str:
        """What stands in the gutter before a turn."""
        return " " * GUTTER

    def marked(self, strip: Strip, index: int, row: int) -> Strip:
        """A row of a turn with what is selected in it."""
        return strip

    def placed(self, strip: Strip, index: int, row: int) -> Strip:
        """A finished line that knows where it belongs."""
        return strip

    # -- thumbnails ---------------------------------------------------------------------------------------------------

    @property
    def is_container(self) -> bool:
        return bool(self._nodes)

    def _seen(self) -> Iterator[tuple[tuple[TurnView, int], Offset]]:
        """The thumbnails in the window, and where they are."""
        for index in self.in_window():
            turn = self._turns[index]
            for number, thumbnail in enumerate(turn.thumbnails):
                yield (turn, number), Offset(GUTTER + thumbnail.column, self._column.top(index) + thumbnail.row)

    def _show_pictures(self) -> None:
        """Mount the thumbnails in the window, and let go of the others."""
        seen = dict(self._seen())
        for key in [key for key in self._pictures if key not in seen]:
            self._pictures.pop(key).remove()
        for (turn, number), offset in seen.items():
            picture = self._pictures.get((turn, number))
            if picture is None:
                picture = Picture(turn.thumbnails[number].image, COLUMNS, ROWS)
                picture.styles.position = "absolute"
                self._pictures[turn, number] = picture
                self.mount(picture)
            if picture.styles.offset.x.value != offset.x or picture.styles.offset.y.value != offset.y:
                picture.styles.offset = offset
        if seen:
            self._refresh_scroll()
