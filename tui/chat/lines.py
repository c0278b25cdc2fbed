"""Lines as they stand on the screen, and what lays text out into them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from rich.cells import chop_cells
from textual.content import Content
from textual.strip import Strip

from tui.widgets.look import Look

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
    """`content` in lines of `width` cells at most, each with its joint. Only code is broken inside words."""
    for line in content.split("\n", allow_blank=True):
        line = line.expand_tabs(8)
        if line.cell_length <= width:
            yield line, None
            continue
        text, position, joint = line.plain, 0, None
        for piece in chop_cells(text, width) if code else [part.plain for part in line.wrap(width)]:
            start = text.index(piece, position)
            yield line[start : start + len(piece)], joint if joint is None else text[position:start]
            position, joint = start + len(piece), ""


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
