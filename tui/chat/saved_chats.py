"""The saved chats: search them, open one, delete one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from textual import getters, on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input

from core.chats.history import MOST_FOUND, Hit
from core.errors import EngineError
from tui.actions import bindings
from tui.chat.saver import ChatSaver
from tui.figures import when
from tui.foreign import one_line, plain, shorten
from tui.screens.confirm import Confirm
from tui.widgets.footer import KeyFooter
from tui.widgets.row_table import Column, RowTable
from tui.widgets.text_fields import LineField

COLUMNS = (
    Column("title", "chat"),
    Column("turns", "turns", 5, right=True),
    Column("model", "model", 16, 76),
    Column("when", "last", 12),
)

TITLE = "Saved chats"
FOUND = "bold $background on $warning"


def _found(hit: Hit, cells: int) -> Content:
    """A chat's title, marked where something is written in it; and where the search found something, what."""
    title = plain(one_line(hit.chat.title))
    if hit.turn is None:
        for start, end in hit.marks:
            title = title.stylize(FOUND, start, end)
    if hit.chat.drafts and hit.chat.messages:
        title += Content.styled("  draft", "$warning")
    if hit.turn is None:
        return title
    shown = plain(hit.snippet, "$dim")
    for start, end in hit.marks:
        shown = shown.stylize(FOUND, start, end)
    room = max(cells // 3, cells - shown.cell_length - 2)
    title = title.truncate(room, ellipsis=True) if title.cell_length > room else title
    first = 0
    if hit.marks and title.cell_length + 2 + shown.cell_length > cells:  # begin with the word before what was found
        first = hit.snippet.rfind(" ", 0, max(hit.marks[0][0] - 1, 0)) + 1
    return Content.assemble(title, "  ", "…" if first else "", shown[first:])


class SavedChats(ModalScreen[Hit | None]):
    """Dismissed with the chat to open, and the turn of it that the search found, or with None."""

    BINDINGS: ClassVar = bindings("saved")

    table = getters.query_one(RowTable)
    search = getters.query_one(Input)

    def __init__(self, saver: ChatSaver, called: Callable[[str], str]) -> None:
        """`called` says what a model is called."""
        super().__init__(classes="dialogue")
        self._saver = saver
        self._called = called
        self._hits: dict[str, Hit] = {}
        self.deleted: set[int] = set()
        """The chats that are there no more."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="box chats-box") as box:
            box.border_title = TITLE
            yield LineField(placeholder="search titles and everything said", compact=True)
            yield RowTable(COLUMNS, self._cell, empty="Reading…", id="chats-table")
        yield KeyFooter(show_command_palette=False)

    def on_mount(self) -> None:
        self._look("")
        self.watch(self, "focused", self._say_keys)

    def _say_keys(self) -> None:
        """Those that work where the focus is; in the search, letters are text."""
        searching = self.focused is self.search
        keys = "↓ to the list" if searching else "d deletes · / searches"
        self.query_one(".chats-box").border_subtitle = f"⏎ opens · {keys} · esc leaves"
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        searching = self.focused is self.search
        return searching if action == "to_rows" else not searching if action in ("delete", "to_search") else True

    @work(exclusive=True)
    async def _look(self, words: str) -> None:
        try:
            found = await self._saver.chats(words)
        except EngineError as error:
            self.table.say(error.message)
            return
        self._hits = {str(hit.chat.id): hit for hit in found}
        cut = words.strip() and len(found) == MOST_FOUND
        self.query_one(".chats-box").border_title = f"{TITLE} · the {MOST_FOUND} that fit best" if cut else TITLE
        self.table.say(f"Nothing holds {one_line(words)!r}." if words else "No chat has been saved yet.")
        self.table.show(list(self._hits))
        self.table.redraw()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._look(event.value)

    def _cell(self, key: str, column: Column, cells: int) -> Content:
        hit = self._hits[key]
        chat = hit.chat
        match column.key:
            case "title":
                return _found(hit, cells)
            case "turns":
                return Content(str(chat.messages)) if chat.messages else Content.styled("draft", "$warning")
            case "model":
                return plain(shorten(self._called(chat.model), cells), "$dim")
            case _:
                return Content.styled(when(chat.updated, time.time()), "$dim")

    def action_to_rows(self) -> None:
        self.set_focus(self.table.rows)

    def action_to_search(self) -> None:
        self.set_focus(self.search)

    def action_open(self) -> None:
        if self.table.selected is not None:
            self.dismiss(self._hits[self.table.selected])

    @work(exclusive=True, group="delete")
    async def action_delete(self) -> None:
        key = self.table.selected
        if key is None:
            return
        chat = self._hits[key].chat
        if await self.app.push_screen_wait(
            Confirm(f"Delete the chat “{chat.title}” and all its branches for good?", "Delete")
        ):
            try:
                await self._saver.delete(chat.id)
                self.deleted.add(chat.id)
            except EngineError as error:
                self.notify(error.message, severity="error")
            self._look(self.search.value)

    def action_leave(self) -> None:
        self.dismiss(None)
