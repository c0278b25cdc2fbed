"""What is known of a model, and its card under it, to scroll through. What the card says is text and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style

from tui.chat.answer_markdown import AnswerMarkdown
from tui.chat.lines import Line, text_lines
from tui.foreign import clean, plain
from tui.widgets.look import Look

MOST = 60_000
"""Characters of a card that are laid out."""
MEASURE = 110
"""Cells beyond which a line is hard to read on."""


class CardView(ScrollView, can_focus=True):
    """`head` makes the lines over the card for a width. Links are copied by a click, never opened."""

    BINDINGS: ClassVar = [
        Binding("down,j", "scroll_down", "Down", show=False),
        Binding("up,k", "scroll_up", "Up", show=False),
        Binding("pagedown,space", "page_down", "Page down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("home,g", "scroll_home", "Top", show=False),
        Binding("end,G", "scroll_end", "End", show=False),
    ]

    def __init__(self, head: Callable[[int], Content]) -> None:
        super().__init__()
        self._head = head
        self._card = AnswerMarkdown()
        self._said = Content.styled("Reading the card…", "$dim")
        self._lines: list[Line] = []
        self._for: tuple[str, int] | None = None
        self._look = Look(Style(), self._get_style)

    def say(self, sentence: str, style: str = "$dim") -> None:
        """What stands in place of the card."""
        self._said = plain(sentence, style)
        self.lay_out()

    async def show(self, markdown: str) -> None:
        """Show a card. It is read off the loop; what cannot be read as Markdown is shown as it is."""
        cut = markdown[:MOST]
        try:
            await self._card.finish(cut)
            self._said = plain("")
        except Exception:
            self._card.set("", [])
            self._said = plain(cut)
        if len(markdown) > MOST:
            self._said = Content.assemble(self._said, ("\nThe card is longer; its page has the rest.", "$dim"))
        self.lay_out()

    def lay_out(self) -> None:
        """Lay all of it out anew: what it says has changed."""
        self._for = None
        width = self._room()
        if not self.is_mounted or width <= 0:
            return
        theme = (self.app.theme, width)
        if self._for != theme:
            self._look, self._for = Look(self.visual_style, self._get_style), theme
        rule = Line(self._look.strip(Content("─" * width), "$border-blurred"))
        lines = [*text_lines(self._head(width), width, self._look), rule, *self._card.lines(width, self._look)]
        if self._said.plain:
            lines += text_lines(self._said, width, self._look)
        self._lines = lines
        self.virtual_size = Size(width, len(lines))
        self.refresh()

    def _room(self) -> int:
        return min(self.scrollable_content_region.width, MEASURE)

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self.lay_out())

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self.lay_out)

    def render_line(self, y: int) -> Strip:
        y += self.scroll_offset.y
        base = self._look.base.rich_style
        width = self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, base)
        return self._lines[y].strip.adjust_cell_length(width, base)

    def action_copy_link(self, href: str) -> None:
        """A link is shown, never opened: a click copies the address."""
        self.app.copy_to_clipboard(clean(href))
        self.app.notify(f"Copied {clean(href)}", markup=False)
