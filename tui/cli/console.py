"""The console for tables, bars and coloured lines: its own codes reach the terminal, those in the text do not."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from tui.cli.encoding import clean, drawn_on


class _CleanConsole(Console):
    """All that is printed comes through `render`, as text with a style or as a control of rich's own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=clean(segment.text))

    def on_broken_pipe(self) -> None:
        """Whoever read our output has left: the command decides what it ends with. Raises BrokenPipeError."""
        try:
            super().on_broken_pipe()
        except SystemExit:
            raise BrokenPipeError from None


def new_console(stderr: bool = False) -> Console:
    """A console that takes nothing in what it prints for markup."""
    stream = sys.stderr if stderr else sys.stdout
    return _CleanConsole(file=drawn_on(stream), stderr=stderr, markup=False, highlight=False)
