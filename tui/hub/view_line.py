"""The first line of the Models pane: which of its two views shows, and how the downloads stand."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tui.widgets.redraw import redraw

ON_DISK, HUB = " On disk ", " Hub "


class ViewLine(Static):
    """A click on a view's name goes there."""

    ALLOW_SELECT = False

    class Chosen(Message):
        """The person wants to see the Hub, or what is on disk."""

        def __init__(self, hub: bool) -> None:
            super().__init__()
            self.hub = hub

    def __init__(self, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._hub, self._downloads = False, ""

    def show(self, *, hub: bool | None = None, downloads: str | None = None) -> None:
        """Say which view shows, or how the downloads stand; None leaves what was said."""
        self._hub = self._hub if hub is None else hub
        self._downloads = self._downloads if downloads is None else downloads
        chosen, other = "bold $primary on $panel", "$dim"
        names = Content.assemble(
            (ON_DISK, other if self._hub else chosen),
            " ",
            (HUB, chosen if self._hub else other),
            ("  h ", "$primary"),
        )
        room = self.content_size.width - names.cell_length - 1
        told = Content(f"↓ {self._downloads}" if self._downloads else "").truncate(max(room, 0), ellipsis=True)
        gap = " " * max(self.content_size.width - names.cell_length - told.cell_length, 1)
        redraw(self, Content.assemble(names, gap, told))

    def on_resize(self) -> None:
        self.call_after_refresh(self.show)

    def on_click(self, event: events.Click) -> None:
        self.post_message(self.Chosen(event.x >= len(ON_DISK)))
