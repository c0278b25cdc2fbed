"""What is to become of changes that were not applied."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from tui.actions import bindings
from tui.widgets.footer import KeyFooter


class Wish(StrEnum):
    APPLY = "apply"
    DISCARD = "discard"
    GO_ON = "go-on"


class Unsaved(ModalScreen[Wish]):
    """Dismissed with what to do; escape goes on, so that two of them lose nothing."""

    BINDINGS: ClassVar = [
        *bindings("unsaved"),
        Binding("left,right", "app.focus_next", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(classes="dialogue")

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_subtitle = "a applies · d discards · esc goes on"
            yield Static("There are changes that are not applied.", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Apply", variant="primary", id=Wish.APPLY, compact=True)
                yield Button("Discard", id=Wish.DISCARD, compact=True)
                yield Button("Go on", id=Wish.GO_ON, compact=True)
        yield KeyFooter(show_command_palette=False)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.action_answer(event.button.id or Wish.GO_ON)

    def action_answer(self, wish: str) -> None:
        self.dismiss(Wish(wish))
