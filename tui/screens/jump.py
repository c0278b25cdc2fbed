"""Letters over the parts of the screen: press one to go there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static

from tui.actions import bindings
from tui.widgets.footer import KeyFooter


@dataclass(frozen=True)
class Target:
    """A part of the screen and the letter that goes there."""

    letter: str
    name: str
    widget: Widget
    then: Callable[[], object] | None = None
    """What brings one there, if it is more than to focus the widget."""

    def go(self) -> None:
        """Go there."""
        if self.then is None:
            self.widget.focus()
        else:
            self.then()


class JumpOverlay(ModalScreen[str]):
    """Dismissed with the letter that was pressed, or with "" by any other key."""

    BINDINGS: ClassVar = bindings("jump")

    def __init__(self, targets: Sequence[Target]) -> None:
        super().__init__(classes="jump")
        self._targets = {target.letter: target for target in targets}

    def compose(self) -> ComposeResult:
        for target in self._targets.values():
            region = target.widget.region
            label = Static(
                Content.assemble(
                    (f" {target.letter} ", "bold $background on $primary"), (f" {target.name} ", "on $panel")
                ),
                classes="jump-label",
            )
            label.styles.offset = (region.x, region.y)
            yield label
        yield KeyFooter(show_command_palette=False)

    def action_leave(self) -> None:
        self.dismiss("")

    def on_key(self, event: events.Key) -> None:
        event.stop()
        self.dismiss(event.key if event.key in self._targets else "")
