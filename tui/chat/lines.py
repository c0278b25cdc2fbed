"""Lines as they stand on the screen, and what lays text out into them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from rich.cells import chop_cells
from textual.content import Content
from textual.strip import Strip

from tui.widgets.look import Look

_WORD = re.compile(r"""(?:"[^"\s]*"|'[^'\s]*'|\w+|[^\w\s])[)\]},;:.]*""")
"""A word of code, with what closes behind it: a line is broken before one."""
NARROWEST = 8
"""Nothing is laid out in fewer cells than this: a window that is narrower cuts off the rest."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the screen.

    `joint` is what stood between it and the line above where one line of the text was broken in two: the blank, or
    nothing inside of a word. It is None where a line of the text begins. `lead` is how many characters at its beginning
    only indent it.
    """

    strip: Strip
    joint: str | None = None
    lead: int = 0


class Block(Protocol):
    """A part of a message that is laid out by itself."""

    def lines(self, width: int, look: Look) -> list[Line]:
        """The block in `width` cells."""


def wrapped(content: Content, width: int, code: bool = False) -> Iterator[tuple[Content, str | None]]:
    """`content` in lines of `width` cells at most, each with its joint. Code is broken between tokens as well."""
    for line in content.split("\n", allow_blank=True):
        line = line.expand_tabs(8)
        if line.cell_length <= width:
            yield line, None
            continue
        text, position, joint = line.plain, 0, None
        for piece in _code_pieces(text, width) if code else [part.plain for part in line.wrap(width)]:
            start = text.index(piece, position)
            yield line[start : start + len(piece)], joint if joint is None else text[position:start]
            position, joint = start + len(piece), ""


def _code_pieces(text: str, width: int) -> Iterator[str]:
    """Parts of a line of code that fit into `width` cells, without the blanks at which it was broken.

    It is broken behind the last blank if that stands in the second half, else between tokens; inside of one only where
    it fills a whole line.
    """
    position = 0
    while position < len(text):
        fits = position + len(chop_cells(text[position : position + width + 1], width)[0])
        if fits == len(text):
            yield text[position:]
            return
        words = _WORD.finditer(text, position, position + 2 * width)
        starts = [word.start() for word in words]
        ends = [at for at in starts if 0 < len(text[position:at].rstrip()) <= fits - position]
        blanks = [end for end in ends if text[end - 1].isspace() and end - position > width // 2]
        cut = blanks[-1] if blanks else ends[-1] if ends else fits
        after = next((at for at in range(cut, len(text)) if not text[at].isspace()), None)
        piece = text[position:cut]
        if after is None or not piece.strip():  # nothing but blanks on one side
            yield piece
            position = cut
        else:
            yield piece.rstrip()
            position = after


def text_lines(content: Content, width: int, look: Look, style: str = "") -> list[Line]:
    """Words, broken where they end."""
    return [Line(look.strip(part, style), joint) for part, joint in wrapped(content, max(width, NARROWEST))]


def indented(lines: Iterable[Line], first: Strip, rest: Strip) -> list[Line]:
    """Lines with something before them: `first` on the first, `rest` on the others."""
    lead = len(rest.text)
    return [
        replace(line, strip=Strip.join([rest if number else first, line.strip]), lead=line.lead + lead)
        for number, line in enumerate(lines)
    ]


def stacked(blocks: Iterable[Block], width: int, look: Look, gap: bool = True) -> list[Line]:
    """Blocks under each other, with an empty line between them if there is to be a `gap`."""
    found: list[Line] = []
    for block in blocks:
        lines = block.lines(width, look)
        if found and lines and gap:
            found.append(Line(look.blank(0)))
        found += lines
    return found


def text_of(lines: Iterable[Line]) -> str:
    """The text that the lines show, where lines were broken put together again."""
    pieces: list[str] = []
    for line in lines:
        text = line.strip.text.rstrip()
        if line.joint is None:
            pieces.append(f"\n{text}" if pieces else text)
        else:
            pieces.append(line.joint + text[line.lead :])
    return "".join(pieces)
