"""A field that opens a list of choices, and names the list's keys."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.widgets import Select
from textual.widgets._select import SelectCurrent, SelectOverlay

from tui.actions import bindings

T = TypeVar("T")


class ChoiceList(SelectOverlay):
    """The list, while it is open."""

    BINDINGS: ClassVar = bindings("choice")


class Choice(Select[T]):
    """Textual's, with a list that tells its keys."""

    def compose(self) -> ComposeResult:
        yield SelectCurrent(self.prompt)
        yield ChoiceList(self._type_to_search).data_bind(compact=Select.compact)
