"""A question with two answers."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from tui.actions import bindings
from tui.foreign import clean, plain
from tui.widgets.footer import KeyFooter


class Confirm(ModalScreen[bool]):
    """Dismissed with True for the first button, False for the second and for escape."""

    BINDINGS: ClassVar = [
        *bindings("question"),
        Binding("left,right", "app.focus_next", show=False),
    ]

    def __init__(self, question: str, yes: str, no: str = "Cancel") -> None:
        super().__init__(classes="dialogue")
        self._question = question
        self._yes, self._no = yes, no

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_subtitle = "y yes · n, esc no"
            yield Static(plain(self._question), markup=False)
            with Horizontal(classes="buttons"):
                yield Button(plain(clean(self._yes)), variant="primary", id="yes", compact=True)
                yield Button(plain(clean(self._no)), id="no", compact=True)
        yield KeyFooter(show_command_palette=False)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)
