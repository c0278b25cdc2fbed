"""The conversation on the screen: follows the newest text until the reader scrolls away from it."""

from __future__ import annotations

from typing import TypeVar

from textual import getters
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

MOST_MOUNTED = 200

View = TypeVar("View", bound=Widget)


class Transcript(VerticalScroll, can_focus=False):
    """Holds question and answer views. Old ones are unmounted; the saved chat keeps them."""

    turns = getters.query_one("#turns", Vertical)

    def compose(self) -> ComposeResult:
        # As tall as the window at least: an anchored window pushes shorter content to its bottom.
        yield Vertical(id="turns")

    def on_mount(self) -> None:
        self.anchor()

    async def append(self, *views: Widget) -> None:
        """Mount views at the end and go there."""
        await self.turns.mount_all(views)
        mounted = [child for child in self.turns.children if child.has_class("turn")]
        surplus = mounted[: max(0, len(mounted) - MOST_MOUNTED)]
        if surplus:
            await self.turns.remove_children(surplus)
            if not self.query(".earlier"):
                note = Content.styled("Earlier turns are in the saved chat.", "$foreground 60%")
                await self.turns.mount(Static(note, classes="earlier"), before=0)
        self.follow()

    def views(self, kind: type[View]) -> list[View]:
        """The mounted views of one kind, oldest first."""
        return list(self.turns.query_children(kind))

    async def drop_after(self, view: Widget) -> None:
        """Unmount everything after a view."""
        children = list(self.turns.children)
        await self.turns.remove_children(children[children.index(view) + 1 :])

    async def drop_refused(self) -> None:
        """Unmount what was refused: it is not part of the conversation."""
        await self.turns.query_children(".refused").remove()

    def follow(self) -> None:
        """Follow the newest text again."""
        self.anchor()

    def greet(self) -> None:
        """An empty chat says what can be done with it."""
        dim = "$foreground 60%"
        hint = Content.assemble(
            ("Ask the model something.\n\n", "bold"),
            ("@", "$primary"),
            (" and a path attaches an image; so does dropping a file here or pasting one.\n", dim),
            ("F7", "$primary"),
            (" chooses the model. ", dim),
            ("^s", "$primary"),
            (" sets the system prompt and sampling. ", dim),
            ("F1", "$primary"),
            (" shows every key.", dim),
        )
        self.turns.mount(Static(hint, classes="greeting"))

    async def clear(self) -> None:
        await self.turns.remove_children()
