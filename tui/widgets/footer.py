"""The last line: what stops what runs comes first, and on a narrow screen what does not fit gives way before F1."""

from __future__ import annotations

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from tui.actions import STOPS

AROUND = 3
"""Cells around a key and its label."""

FIRST = (STOPS, "start_engine")
"""How actions begin whose keys come first: they are there only while something runs, or has died."""


class KeyFooter(Footer):
    """Textual's footer, in an order of its own."""

    def compose(self) -> ComposeResult:
        keys = [key for key in super().compose() if isinstance(key, FooterKey)]
        keys.sort(key=lambda key: not key.action.startswith(FIRST))
        needed = [key for key in keys if key.action.startswith(FIRST) or key.action == "keys"]
        room = self.app.size.width - sum(map(_cells, needed))
        shown = []
        for key in keys:
            if key not in needed:
                room -= _cells(key)
            if key in needed or room >= 0:
                shown.append(key)
        self.styles.grid_size_columns = len(shown)
        yield from shown

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self.recompose)


def _cells(key: FooterKey) -> int:
    return cell_len(key.key_display) + cell_len(key.description) + AROUND
