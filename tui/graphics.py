"""What the terminal can draw: asked while the app runs, and told by the driver when the terminal answers.

textual-image would ask by itself when it is imported, and read the answer, or whatever was typed, from under Textual.
"""

from __future__ import annotations

import os
import re
import struct
import termios
import threading
from fcntl import ioctl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.widget import Widget

HALF_CELLS = os.environ.get("ASSAY_HALF_CELLS", "") not in ("", "0")
"""Set in the environment to draw with half cells everywhere: for pixels that are the same on every terminal."""

CELL_QUESTION, KITTY_QUESTION, FENCE = "\x1b[16t", "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\", "\x1b[c"
"""The size of a cell in pixels, Kitty's graphics, and last the one that every terminal answers: Sixel is told there."""
ANSWER = re.compile(
    r"\x1b\[(?:6;(?P<height>\d+);(?P<width>\d+)|(?!48;)[\d;]*)t"  # 48 is for Textual: another size of the terminal
    r"|\x1b_G(?P<kitty>[^\x1b]*)\x1b\\"
    r"|\x1b\[\?(?P<has>[\d;]*)c"
)
BEGINNING = re.compile(r"\x1b(\[(\??[\d;]*)?|_(G[^\x1b]*\x1b?)?)?\Z")
"""The end of what has come, where it may be the beginning of an answer."""
DEFAULT_CELL = (10, 20)
WAIT_S = 1.0
"""A terminal that has not answered by then draws with half cells."""


class Graphics:
    """Of the one terminal that this process has."""

    def __init__(self) -> None:
        self.sixel = self.kitty = False
        self._cell: tuple[int, int] | None = None
        self._answered = threading.Event()

    def questions(self) -> str:
        """What to write to the terminal; nothing when the answer would change nothing."""
        return "" if HALF_CELLS else CELL_QUESTION + KITTY_QUESTION + FENCE

    @property
    def answered(self) -> bool:
        return HALF_CELLS or self._answered.is_set()

    def take(self, answer: re.Match[str]) -> None:
        """Learn from one of the terminal's answers."""
        if answer["width"]:
            self._cell = int(answer["width"]), int(answer["height"])
        elif answer["kitty"] is not None:
            self.kitty = answer["kitty"].endswith(";OK")
        elif answer["has"] is not None:
            self.sixel = "4" in answer["has"].split(";")
            self._answered.set()

    def cell_size(self) -> tuple[int, int]:
        """Width and height of a cell in pixels: what the system knows, what the terminal has said, or a guess."""
        known = _system_cell() or self._cell or _served_cell()
        return known if known and all(known) else DEFAULT_CELL

    def widget_class(self) -> type[Widget]:
        """textual-image's widget for this terminal. Blocks for as long as WAIT_S: not for the event loop."""
        if not HALF_CELLS:
            self._answered.wait(WAIT_S)
        _answer_in_advance(self.cell_size())
        from textual_image.widget import HalfcellImage, TGPImage
        from textual_image.widget.sixel import Image as SixelImage

        # Sixel first: Konsole and WezTerm say that they know Kitty's graphics, but not the placeholders used here.
        return SixelImage if self.sixel else TGPImage if self.kitty else HalfcellImage


def _answer_in_advance(cell: tuple[int, int]) -> None:
    """Have textual-image ask nothing: the modules that would are imported after this."""
    from textual_image import _terminal

    def unasked(*_: Any, **__: Any) -> Any:
        raise _terminal.TerminalError("the workbench has asked already")

    _terminal.capture_terminal_response = unasked
    _terminal.get_cell_size._result = _terminal.CellSize(*cell)  # type: ignore[attr-defined]


def _served_cell() -> tuple[int, int] | None:
    """The size of a cell in a browser, as textual-serve tells it."""
    width, height = os.environ.get("TEXTUAL_CELL_WIDTH", ""), os.environ.get("TEXTUAL_CELL_HEIGHT", "")
    return (int(width), int(height)) if width.isdigit() and height.isdigit() else None


def _system_cell() -> tuple[int, int] | None:
    """The size of a cell as the terminal's driver has it; None where it knows of no pixels."""
    for number in (0, 1, 2):
        try:
            rows, columns, width, height = struct.unpack("HHHH", ioctl(number, termios.TIOCGWINSZ, bytes(8)))
        except OSError:
            continue
        if rows and columns and width and height:
            return width // columns, height // rows
    return None


terminal = Graphics()
