"""How a chat is to be written to a file."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from tui.actions import bindings
from tui.widgets.footer import KeyFooter


class ExportScreen(ModalScreen[str | None]):
    """Dismissed with the file's suffix, ".md" or ".json", or with None."""

    BINDINGS: ClassVar = [
        *bindings("export"),
        Binding("left,right", "app.focus_next", show=False),
    ]

    def __init__(self, branches: bool) -> None:
        super().__init__(classes="dialogue")
        self._branches = branches

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Export the chat"
            box.border_subtitle = "m Markdown · j JSON · esc leaves"
            shown = " the branch that is shown," if self._branches else ""
            whole = "every branch" if self._branches else "everything"
            yield Static(f"Markdown:{shown} to read. JSON: {whole}, images included.", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Markdown", variant="primary", id="md", compact=True)
                yield Button("JSON", id="json", compact=True)
                yield Button("Cancel", id="no", compact=True)
        yield KeyFooter(show_command_palette=False)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.action_choose({"md": ".md", "json": ".json"}.get(event.button.id or "", ""))

    def action_choose(self, suffix: str) -> None:
        self.dismiss(suffix or None)
