"""Blocks of Markdown, and how each looks. What a model wrote is content here: nothing in it is read as markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich import box
from rich.console import Console
from rich.segment import Segment
from rich.table import Table
from rich.text import Text
from textual.content import Content
from textual.strip import Strip

from tui.chat.lines import NARROWEST, Block, Line, indented, stacked, text_lines, wrapped
from tui.widgets.look import Look

CODE_STYLE = "on $panel 60%"
CODE_PADDING = 1
LEAST_COLUMN = 6
"""A table whose columns would get fewer cells than this is written as a list."""

_CONSOLE = Console(color_system="truecolor", force_terminal=True, legacy_windows=False, highlight=False, markup=False)


@dataclass
class Kept:
    """A block that keeps its lines for the width and look that it was last laid out with."""

    _for: tuple[int, Look] | None = field(default=None, init=False, repr=False, compare=False)
    _lines: list[Line] = field(default_factory=list, init=False, repr=False, compare=False)

    def lines(self, width: int, look: Look) -> list[Line]:
        """The block in `width` cells."""
        width = max(width, NARROWEST)
        if self._for is None or self._for[0] != width or self._for[1] is not look:
            self._lines, self._for = self._lay_out(width, look), (width, look)
        return self._lines

    def _lay_out(self, width: int, look: Look) -> list[Line]:
        raise NotImplementedError


@dataclass
class Paragraph(Kept):
    """Words, all in one style."""

    content: Content
    style: str = ""

    def _lay_out(self, width: int, look: Look) -> list[Line]:
        return text_lines(self.content, width, look, self.style)


@dataclass
class Heading(Kept):
    """A heading of level 1 to 6; the first is centred."""

    level: int
    content: Content

    def _lay_out(self, width: int, look: Look) -> list[Line]:
        name = f"$markdown-h{self.level}"
        lines = text_lines(self.content, width, look, f"{name}-text-style {name}-color")
        if self.level > 1:
            return lines
        return [
            Line(Strip.join([look.blank((width - line.strip.cell_length) // 2), line.strip]), line.joint)
            for line in lines
        ]


@dataclass
class Code(Kept):
    """Code on a ground of its own. Its lines are broken anywhere, so that nothing of them is lost."""

    content: Content

    def _lay_out(self, width: int, look: Look) -> list[Line]:
        room = width - 2 * CODE_PADDING
        side = look.blank(CODE_PADDING, CODE_STYLE)
        lines = []
        for part, joint in wrapped(self.content, room, code=True):
            rest = look.blank(width - CODE_PADDING - part.cell_length, CODE_STYLE)
            lines.append(Line(Strip.join([side, look.strip(part, CODE_STYLE), rest]), joint, CODE_PADDING))
        return lines


@dataclass
class Rule(Kept):
    """A line from side to side."""

    def _lay_out(self, width: int, look: Look) -> list[Line]:
        return [Line(look.strip(Content("─" * width), "$secondary"))]


@dataclass
class Quote(Kept):
    """Blocks behind a bar."""

    blocks: Sequence[Block]

    def _lay_out(self, width: int, look: Look) -> list[Line]:
        bar = look.mark("▌ ", "$primary")
        return indented(stacked(self.blocks, width - 2, look), bar, bar)


@dataclass
class Items(Kept):
    """A list: the mark and the blocks of each item. A loose one has room between its items."""

    items: Sequence[tuple[str, Sequence[Block]]]
    loose: bool = False

    def _lay_out(self, width: int, look: Look) -> list[Line]:
        indent = max(len(mark) for mark, _ in self.items)
        lines: list[Line] = []
        for mark, blocks in self.items:
            if lines and self.loose:
                lines.append(Line(look.blank(0)))
            found = stacked(blocks, width - indent, look, gap=self.loose) or [Line(look.blank(0))]
            lines += indented(found, look.strip(Content(mark.rjust(indent)), "$text-primary"), look.blank(indent))
        return lines


@dataclass
class Grid(Kept):
    """A table. Columns that do not fit break their words; more columns than there is room for become a list."""

    header: Sequence[Content]
    rows: Sequence[Sequence[Content]]
    alignment: Sequence[str] = ()

    def _lay_out(self, width: int, look: Look) -> list[Line]:
        if len(self.header) * (LEAST_COLUMN + 3) > width:
            return self._as_list(width, look)
        rule = (look.base + look.style("$border-blurred")).rich_style
        table = Table(box=box.ROUNDED, border_style=rule, style=look.base.rich_style, show_lines=False)
        for number, cell in enumerate(self.header):
            side = self.alignment[number] if number < len(self.alignment) else ""
            table.add_column(
                _text(cell, look, "bold $primary"),
                justify="right" if side == "right" else "center" if side == "center" else "left",
                overflow="fold",
            )
        for row in self.rows:
            table.add_row(*(_text(cell, look) for cell in row))
        options = _CONSOLE.options.update(width=width, highlight=False)
        segments = Segment.apply_style(_CONSOLE.render(table, options), look.base.rich_style)
        lines = Segment.split_and_crop_lines(segments, width, include_new_lines=False, pad=False)
        return [Line(Strip(list(line))) for line in lines]

    def _as_list(self, width: int, look: Look) -> list[Line]:
        records = [
            Paragraph(
                Content("\n").join(
                    Content.assemble(Content.styled(f"{name.plain}: ", "bold $primary"), cell)
                    for name, cell in zip(self.header, row, strict=False)
                )
            )
            for row in self.rows or [[Content("")] * len(self.header)]
        ]
        return stacked(records, width, look)


def _text(content: Content, look: Look, style: str = "") -> Text:
    """Content as rich shows it, colours resolved."""
    base = look.base + look.style(style) if style else look.base
    text = Text(end="")
    for piece, its in content.render(base, end="", parse_style=look.style):
        text.append(piece, its.rich_style)
    return text
