"""Markdown that a model wrote: streamed cheaply, and shown without anything that the model could make happen."""

from __future__ import annotations

from textual import getters
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Markdown, Static
from textual.widgets._markdown import MarkdownTable, MarkdownTableContent  # pinned: they have no public name

from tui.chat.settle import settled_length
from tui.foreign import clean
from tui.widgets.redraw import redraw


class _PlainTableContent(MarkdownTableContent):
    """Textual makes each cell's text its tooltip and reads that as markup: brackets in it end the program."""

    def compose(self) -> ComposeResult:
        for cell in super().compose():
            cell.tooltip = None
            yield cell

    async def _update_rows(self, updated_rows: list[list[Content]]) -> None:
        await super()._update_rows(updated_rows)
        for cell in self.query(".cell"):
            cell.tooltip = None


class _PlainTable(MarkdownTable):
    def compose(self) -> ComposeResult:
        for widget in super().compose():
            if isinstance(widget, MarkdownTableContent):
                yield _PlainTableContent(widget.headers, widget.rows)
            else:
                yield widget


class ForeignMarkdown(Markdown):
    """Markdown whose links are shown, never opened: a click copies the address."""

    BLOCKS = {**Markdown.BLOCKS, "table_open": _PlainTable}  # noqa: RUF012

    def __init__(self, text: str = "") -> None:
        super().__init__(text, open_links=False)

    def on_markdown_link_clicked(self, event: Markdown.LinkClicked) -> None:
        event.stop()
        self.app.copy_to_clipboard(event.href)
        self.app.notify(f"Copied {clean(event.href)}", markup=False)


class AnswerMarkdown(Vertical):
    """An answer that grows: settled blocks are Markdown, the block that is still open is plain text.

    Rendering the whole as Markdown on every token costs four times as much; `finish` renders it once, so that the
    end result is what a one-shot rendering gives (reference links and raw HTML differ while streaming).
    """

    settled = getters.query_one(ForeignMarkdown)
    open_block = getters.query_one(".open-block", Static)

    def __init__(self) -> None:
        super().__init__()
        self._text = ""
        self._cut = 0

    def compose(self) -> ComposeResult:
        yield ForeignMarkdown()
        yield Static(classes="open-block", markup=False)

    async def grow(self, text: str) -> None:
        """Show `text`, which begins with what was shown before."""
        if text == self._text:
            return
        self._text = text
        cut = settled_length(text, self._cut)
        if cut > self._cut:
            await self.settled.append(text[self._cut : cut])
            self._cut = cut
        redraw(self.open_block, Content(text[cut:]))

    async def finish(self, text: str) -> None:
        """Render the whole text as Markdown, once."""
        self._text, self._cut = text, len(text)
        await self.settled.update(text)
        self.open_block.display = False
