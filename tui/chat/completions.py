"""The files and folders that can complete an @path, listed above the composer."""

from __future__ import annotations

from pathlib import Path

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.chat.mentions import Candidate, candidates
from tui.figures import size
from tui.foreign import plain


class Completions(OptionList, can_focus=False):
    """Open while there are candidates. The composer keeps the focus and sends its keys here."""

    def __init__(self, id: str, base: Path) -> None:
        super().__init__(id=id, markup=False)
        self._base = base
        self._candidates: list[Candidate] = []

    def offer(self, typed: str | None) -> bool:
        """List what can follow `typed`; None closes. Returns whether the list is open."""
        self._candidates = [] if typed is None else candidates(typed, self._base)
        self.clear_options()
        self.set_class(bool(self._candidates), "-open")
        self.border_title = " tab completes · ↑ ↓ choose · esc closes "
        if self._candidates:
            self.add_options([Option(self._label(candidate)) for candidate in self._candidates])
            self.highlighted = 0
        return bool(self._candidates)

    @staticmethod
    def _label(candidate: Candidate) -> Content:
        if candidate.folder:
            return plain(candidate.path.name + "/", "$secondary")
        try:
            weight = size(candidate.path.stat().st_size)
        except OSError:
            weight = ""
        return Content.assemble(plain(candidate.path.name), (f"  {weight}", "$dim"))

    @property
    def chosen(self) -> Candidate | None:
        return self._candidates[self.highlighted] if self.highlighted is not None and self._candidates else None
