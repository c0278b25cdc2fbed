"""The last line: what stops what runs comes first, and on a narrow screen what does not fit gives way before F1."""

from __future__ import annotations

from typing import NamedTuple

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import ActiveBinding
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from tui.actions import STOPS

AROUND = 3
"""Cells around a key and its label."""

FIRST = (STOPS, "start_engine")
"""How actions begin whose keys come first: they are there only while something runs, or has died."""


class _Key(NamedTuple):
    """What FooterKey is made of, in its order."""

    key: str
    display: str
    label: str
    action: str
    disabled: bool
    tooltip: str

    @property
    def first(self) -> bool:
        return self.action.startswith(FIRST)

    @property
    def cells(self) -> int:
        return cell_len(self.display) + cell_len(self.label) + AROUND


class KeyFooter(Footer):
    """Textual's footer, in an order of its own.

    It is made anew only where a key has changed: Textual has it made at every move of the focus and every change of a
    state, and a dozen widgets to style and lay out were most of what that took.
    """

    _shown: tuple[_Key, ...] = ()

    def compose(self) -> ComposeResult:
        self._shown = self._fitting()
        for one in self._shown:
            key = FooterKey(*one)
            key.set_reactive(FooterKey.compact, False)  # it is so from the start, and is not styled for both
            yield key

    async def recompose(self) -> None:
        if self.is_attached and self._fitting() != self._shown:
            await super().recompose()

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self.recompose)

    def _fitting(self) -> tuple[_Key, ...]:
        """The keys that can be pressed now and have room, in order."""
        if not self._bindings_ready:
            return ()
        first: dict[str, ActiveBinding] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.show:
                first.setdefault(active.binding.action, active)
        keys = sorted(map(self._key, first.values()), key=lambda key: not key.first)
        room = self.app.size.width - sum(key.cells for key in keys if _needed(key))
        shown = []
        for key in keys:
            if not _needed(key):
                room -= key.cells
            if _needed(key) or room >= 0:
                shown.append(key)
        return tuple(shown)

    def _key(self, active: ActiveBinding) -> _Key:
        binding = active.binding
        display = self.app.get_key_display(binding)
        return _Key(binding.key, display, binding.description, binding.action, not active.enabled, active.tooltip)


def _needed(key: _Key) -> bool:
    return key.first or key.action == "keys"
