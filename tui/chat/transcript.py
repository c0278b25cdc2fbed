"""The conversation on the screen: follows the newest text until the reader scrolls away from it."""

from __future__ import annotations

from typing import TypeVar

from textual import events, getters
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

MOST_MOUNTED = 200
PAGE_TURNS = 8
AWAY_WINDOWS = 1

View = TypeVar("View", bound=Widget)


class Page(Vertical):
    """A few turns, which can be put away together: a blank of the same height stands in their place."""

    _away = False

    def put_away(self, away: bool) -> None:
        """Hide the turns, or show them again. A page that has not been laid out yet stays as it is."""
        if away is self._away or (away and not self.size.height):
            return
        self._away = away
        self.styles.height = self.size.height if away else None
        for turn in self.children:
            turn.display = not away


class Transcript(VerticalScroll, can_focus=False):
    """Holds question and answer views. Old ones are unmounted; the saved chat keeps them.

    Textual's layout visits every widget that is displayed anywhere, on the screen or not, each time an answer grows a
    line. Pages far from the window are therefore put away, and come back before the reader gets to them.
    """

    pages = getters.query_one("#pages", Vertical)

    def compose(self) -> ComposeResult:
        # As tall as the window at least: an anchored window pushes shorter content to its bottom.
        yield Vertical(id="pages")

    def on_mount(self) -> None:
        self.anchor()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._turn_pages()

    def on_resize(self, event: events.Resize) -> None:
        """Heights change with the width: measure everything again."""
        for page in self.pages.query_children(Page):
            page.put_away(False)
        self.call_after_refresh(self._turn_pages)

    def _turn_pages(self) -> None:
        """Put away what is more than a window off, and bring back what is nearer. The last page always stays."""
        window = self.size.height
        top = self.scroll_offset.y
        pages = list(self.pages.query_children(Page))
        for page in pages[:-1]:
            region = page.virtual_region
            page.put_away(region.bottom < top - AWAY_WINDOWS * window or region.y > top + (1 + AWAY_WINDOWS) * window)
        for page in pages[-1:]:
            page.put_away(False)

    @property
    def turns(self) -> list[Widget]:
        """Every mounted view of a turn, oldest first."""
        return [turn for page in self.pages.query_children(Page) for turn in page.children]

    def views(self, kind: type[View]) -> list[View]:
        """The mounted views of one kind, oldest first."""
        return [turn for turn in self.turns if isinstance(turn, kind)]

    async def append(self, *views: Widget) -> None:
        """Mount views at the end and go there."""
        waiting = list(views)
        while waiting:
            pages = list(self.pages.query_children(Page))
            if not pages or len(pages[-1].children) >= PAGE_TURNS:
                pages.append(Page())
                await self.pages.mount(pages[-1])
            room = PAGE_TURNS - len(pages[-1].children)
            await pages[-1].mount_all(waiting[:room])
            del waiting[:room]
        await self._forget_the_oldest()
        self.follow()
        self.call_after_refresh(self._turn_pages)

    async def _forget_the_oldest(self) -> None:
        pages = list(self.pages.query_children(Page))
        surplus = len(self.turns) - MOST_MOUNTED
        if surplus < PAGE_TURNS:
            return
        await self.pages.remove_children(pages[: surplus // PAGE_TURNS])
        if not self.query(".earlier"):
            note = Content.styled("Earlier turns are in the saved chat.", "$foreground 60%")
            await self.pages.mount(Static(note, classes="earlier"), before=0)

    async def drop_after(self, view: Widget) -> None:
        """Unmount every turn after a view."""
        turns = self.turns
        await self._unmount(turns[turns.index(view) + 1 :])

    async def drop_refused(self) -> None:
        """Unmount what was refused: it is not part of the conversation."""
        await self._unmount([turn for turn in self.turns if turn.has_class("refused")])

    async def _unmount(self, turns: list[Widget]) -> None:
        for turn in turns:
            await turn.remove()
        for page in self.pages.query_children(Page):
            if not page.children:
                await page.remove()
        self.call_after_refresh(self._turn_pages)

    def follow(self) -> None:
        """Follow the newest text again."""
        self.anchor()

    def greet(self) -> None:
        """An empty chat says what can be done with it."""
        dim = "$foreground 60%"
        hint = Content.assemble(
            ("Ask the model something.\n\n", "bold"),
            ("@", "$primary"),
            (" and a path attaches an image; so does dropping a file here or pasting one.\n", dim),
            ("F7", "$primary"),
            (" chooses the model. ", dim),
            ("^s", "$primary"),
            (" sets the system prompt and sampling. ", dim),
            ("F1", "$primary"),
            (" shows every key.", dim),
        )
        self.pages.mount(Static(hint, classes="greeting"))

    async def clear(self) -> None:
        await self.pages.remove_children()
