"""Markdown that a model wrote: laid out cheaply while it grows, and shown without anything it could make happen."""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content

from tui.background import off_loop
from tui.chat.lines import Block, Line, text_lines
from tui.chat.markdown_parse import Parser
from tui.chat.settle import settled_length
from tui.foreign import clean
from tui.widgets.look import Look


class OpenText:
    """Text that grows at its end, laid out as it is. Its lines are laid out once; only the last one changes."""

    def __init__(self) -> None:
        self._text = ""
        self._whole = 0
        self._lines: list[Line] = []
        self._for: tuple[int, Look] | None = None

    def lines(self, text: str, width: int, look: Look) -> list[Line]:
        """`text` in `width` cells."""
        if not text.startswith(self._text[: self._whole]) or self._for != (width, look):
            self._whole, self._lines, self._for = 0, [], (width, look)
        self._text = text
        whole = text.rfind("\n") + 1
        if whole > self._whole:
            self._lines += text_lines(Content(text[self._whole : whole - 1]), width, look)
            self._whole = whole
        return self._lines + text_lines(Content(text[whole:]), width, look) if text[whole:] else list(self._lines)


class AnswerMarkdown:
    """An answer that grows: settled blocks are Markdown, the block that is still open is plain text.

    Each block is laid out once for a width. `finish` reads the whole text again, so that the end result is what a
    one-shot rendering gives (reference links and raw HTML differ while streaming); blocks that it has seen before stay.
    """

    def __init__(self) -> None:
        self._text = ""
        self._cut = 0
        self.forget()

    def forget(self) -> None:
        """Let go of all but the text. A part that has settled is read again when lines are asked for."""
        self._parser = Parser()
        self._blocks: list[Block] | None = None
        self._open = OpenText()
        self._laid: list[Line] = []
        self._laid_blocks = 0
        self._for: tuple[int, Look] | None = None

    @property
    def settled_text(self) -> str:
        """What is Markdown."""
        return self._text[: self._cut]

    @property
    def open_text(self) -> str:
        """The block that is still open."""
        return self._text[self._cut :]

    @property
    def blocks(self) -> list[Block]:
        """Of the settled text."""
        if self._blocks is None:
            self._blocks = self._parser.blocks(self.settled_text)
        return self._blocks

    async def grow(self, text: str) -> None:
        """Show `text`, which begins with what was shown before. What settles is read off the loop."""
        cut = settled_length(text, self._cut)
        if cut > self._cut:
            more = await off_loop(lambda: self._parser.blocks(text[self._cut : cut]), "markdown")
            self.blocks.extend(more)
            self._cut = cut
        self._text = text

    def set(self, text: str, blocks: list[Block] | None = None) -> None:
        """Show the whole of a text; it is read when its lines are asked for, unless its blocks are known."""
        self._text, self._cut, self._blocks, self._for = text, len(text), blocks, None

    async def finish(self, text: str) -> None:
        """The same for a text that has grown, read off the loop."""
        self.set(text, await off_loop(lambda: self._parser.blocks(text), "markdown"))

    def estimate(self, width: int) -> int:
        """About how many lines it takes."""
        return estimated_lines(self._text, width)

    def lines(self, width: int, look: Look) -> list[Line]:
        """What has come so far, in `width` cells."""
        if self._for != (width, look):
            self._laid, self._laid_blocks, self._for = [], 0, (width, look)
        for block in self.blocks[self._laid_blocks :]:
            self._add_gap(self._laid, look)
            self._laid += block.lines(width, look)
        self._laid_blocks = len(self.blocks)
        shown = list(self._laid)
        if rest := clean(self.open_text).strip("\n"):
            self._add_gap(shown, look)
            shown += self._open.lines(rest, width, look)
        return shown

    @staticmethod
    def _add_gap(lines: list[Line], look: Look) -> None:
        if lines:
            lines.append(Line(look.blank(0)))


def estimated_lines(text: str, width: int) -> int:
    """About how many lines of `width` cells a text takes, without looking at its words."""
    sample = text[:100]
    cells = len(text) if sample.isascii() else cell_len(sample) * len(text) // len(sample)
    return text.count("\n") + 1 + cells // max(1, width)
