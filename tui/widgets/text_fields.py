"""Fields to type into, with the keys of a shell's line editor: what is killed in one can be yanked in another."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.geometry import Size
from textual.reactive import Reactive
from textual.widget import Widget
from textual.widgets import Input, TextArea

from tui.actions import bindings

_AREA = {
    "start": "cursor_line_start",
    "end": "cursor_line_end",
    "left": "cursor_left",
    "right": "cursor_right",
    "word_left": "cursor_word_left",
    "word_right": "cursor_word_right",
    "delete": "delete_right",
    "kill_word_left": "delete_word_left",
    "kill_word_right": "delete_word_right",
    "kill_to_start": "delete_to_start_of_line",
    "kill_to_end": "delete_to_end_of_line_or_delete_line",
}
_LINE = {
    "start": "home",
    "end": "end",
    "left": "cursor_left",
    "right": "cursor_right",
    "word_left": "cursor_left_word",
    "word_right": "cursor_right_word",
    "delete": "delete_right",
    "kill_word_left": "delete_left_word",
    "kill_word_right": "delete_right_word",
    "kill_to_start": "delete_left_all",
    "kill_to_end": "delete_right_all",
}
_killed = ""
"""What was killed last, in whichever field."""


async def _edit(field: Widget, native: str, kills: bool, state: Callable[[], tuple[str, int]]) -> None:
    """Run one of Textual's own actions, and remember what it took out of the text."""
    global _killed
    before, _ = state()
    await field.run_action(native)
    if kills:
        after, cursor = state()
        if len(after) < len(before):
            _killed = before[cursor : cursor + len(before) - len(after)]


class TextField(TextArea):
    """Several lines."""

    BINDINGS: ClassVar = bindings("text")

    def _state(self) -> tuple[str, int]:
        """The text, and the cursor's place in it."""
        return self.text, len(self.get_text_range((0, 0), self.cursor_location))

    async def action_edit(self, what: str) -> None:
        """One of the keys of `tui.actions`."""
        if what == "yank":
            self.insert(_killed)
        else:
            await _edit(self, _AREA[what], what.startswith("kill"), self._state)


class LineField(Input):
    """One line. Its width must not depend on its text: typing never lays the screen out anew."""

    BINDINGS: ClassVar = bindings("text")

    virtual_size = Reactive(Size(0, 0), layout=False)

    def _state(self) -> tuple[str, int]:
        """The text, and the cursor's place in it."""
        return self.value, self.cursor_position

    async def action_edit(self, what: str) -> None:
        """One of the keys of `tui.actions`."""
        if what == "yank":
            self.insert_text_at_cursor(_killed.replace("\n", " "))
        else:
            await _edit(self, _LINE[what], what.startswith("kill"), self._state)
