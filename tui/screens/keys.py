"""Every key of the workbench, by place."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.actions import ACTIONS, PLACES, Action
from tui.foreign import plain

_GLYPHS = {"enter": "⏎", "escape": "esc", "slash": "/", "question_mark": "?", "left": "←", "right": "→"} | {
    "left_square_bracket": "[",
    "right_square_bracket": "]",
}


def key_names(action: Action) -> str:
    """An action's keys as people write them: ^t, F2, ⏎."""

    def name(key: str) -> str:
        if key.startswith("ctrl+"):
            return "^" + key.removeprefix("ctrl+")
        if key.startswith("f") and key[1:].isdigit():
            return key.upper()
        return _GLYPHS.get(key, key)

    return " ".join(name(key) for key in action.keys.split(","))


def keys_content() -> Content:
    """The whole list."""
    lines: list[Content] = []
    for place, title in PLACES.items():
        lines += [Content(""), Content.styled(title, "bold $primary")]
        for action in ACTIONS[place]:
            lines.append(Content.assemble((key_names(action).rjust(9), "$primary"), "  ", action.help))
    lines += [
        Content(""),
        Content.styled("Always there", "bold $primary"),
        Content.assemble(("^p".rjust(9), "$primary"), "  The command palette: every action by name, and the themes"),
        Content.assemble(("tab".rjust(9), "$primary"), "  To the next part of the screen; shift+tab to the one before"),
        Content.assemble(
            ("↑ ↓".rjust(9), "$primary"), "  In the composer: earlier messages; in lists: rows (also j, k)"
        ),
    ]
    return Content("\n").join(lines[1:])


class KeysScreen(ModalScreen[None]):
    """Escape closes it. `log` is the log's file, None while that is not known."""

    BINDINGS: ClassVar = [Binding("escape,f1,q,question_mark,enter", "close", "Close", show=False)]

    def __init__(self, log: Path | None) -> None:
        super().__init__(classes="dialogue")
        self._log = log

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box keys-box") as box:
            box.border_title = "Keys"
            box.border_subtitle = "esc closes"
            yield Static(keys_content(), markup=False)
            if self._log is not None:
                yield Static(plain(f"\nThe log is {self._log}", "$foreground 60%"), markup=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def action_close(self) -> None:
        self.dismiss()
