"""The API's address and key, and programs that talk to it, ready to copy."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.actions import bindings
from tui.foreign import plain
from tui.widgets.footer import KeyFooter
from tui.wire.snippets import snippets


class ApiPanel(ModalScreen[None]):
    """Left and right choose a program, c copies it, u and k copy the address and the key."""

    BINDINGS: ClassVar = [
        *bindings("api"),
        Binding("tab", "turn(1)", show=False),
        Binding("shift+tab", "turn(-1)", show=False),
    ]

    chosen: reactive[int] = reactive(0)

    def __init__(self, url: str, key: str | None, model: str) -> None:
        super().__init__(classes="dialogue")
        self._url, self._key = url, key
        self._texts = snippets(url, key, model)

    def compose(self) -> ComposeResult:
        dim = "$dim"
        with VerticalScroll(classes="box api-box") as box:
            box.border_title = "Local API"
            box.border_subtitle = "←→ program · c copies it · u the address · k the key · esc"
            yield Static(
                Content.assemble(
                    ("address  ", dim),
                    (self._url, "bold $success"),
                    "\n",
                    ("key      ", dim),
                    plain(self._key or "not asked for"),
                    "\n",
                    ("speaks   ", dim),
                    "OpenAI at /v1/chat/completions and /v1/responses",
                    "\n         Anthropic at /v1/messages",
                ),
                markup=False,
            )
            yield Static(id="api-names", markup=False)
            yield Static(id="api-snippet", markup=False)
        yield KeyFooter(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self._show()

    def watch_chosen(self) -> None:
        if self.is_mounted:
            self._show()

    @property
    def _name_chosen(self) -> str:
        return list(self._texts)[self.chosen]

    def _show(self) -> None:
        names = [
            Content.styled(f" {name} ", "bold $background on $primary" if name == self._name_chosen else "on $panel")
            for name in self._texts
        ]
        self.query_one("#api-names", Static).update(Content(" ").join(names))
        self.query_one("#api-snippet", Static).update(Content(self._texts[self._name_chosen].rstrip()))

    def action_turn(self, by: int) -> None:
        self.chosen = (self.chosen + by) % len(self._texts)

    def action_copy(self, what: str) -> None:
        text = {"snippet": self._texts[self._name_chosen], "url": self._url, "key": self._key or ""}[what]
        self.app.copy_to_clipboard(text)
        named = {"snippet": f"the {self._name_chosen} program", "url": "the address", "key": "the key"}[what]
        self.app.notify(f"Copied {named}.", timeout=2)

    def action_close(self) -> None:
        self.dismiss()
