"""The wire inspector: every request that came in from outside, while it runs and after."""

from __future__ import annotations

import time
from typing import ClassVar

from rich.cells import cell_len
from textual import getters, on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Input, Static

from server.evidence import Exchange
from server.wire import WireEntry
from tui.actions import bindings
from tui.figures import number, seconds
from tui.foreign import one_line, plain, short_name, shorten
from tui.screens.jump import Target
from tui.services import Services
from tui.state import ApiPhase, WorkbenchState
from tui.widgets.redraw import redraw
from tui.widgets.row_table import Column, RowTable
from tui.widgets.text_fields import LineField
from tui.wire.entry_text import STYLES, entry_content
from tui.wire.said import Said

ROOMY = 132
"""From this width on columns are called what they are."""
COLUMNS = (
    Column("time", "time", 8),
    Column("protocol", "protocol", 9),
    Column("client", "client", 0),
    Column("model", "model", 14, 66),
    Column("path", "path", 22, 124),
    Column("prompt", "prompt", 6, 84, right=True),
    Column("cached", "cached", 6, 114, right=True),
    Column("out", "out", 5, 74, right=True, roomy=Column("out", "answer", 6, ROOMY, right=True)),
    Column("ttft", "ttft", 7, 104, right=True, roomy=Column("ttft", "first token", 11, ROOMY, right=True)),
    Column("tps", "tok/s", 6, right=True, roomy=Column("tps", "tokens/s", 8, ROOMY, right=True)),
    Column("state", "state", 9),
)
REDRAWS_PER_S = 5
OFF = "The API is off. ^t starts it; requests from outside appear here."
QUIET = "No request yet. s shows the address, the key and ready-made programs."


def _words(entry: WireEntry) -> str:
    """What the filter looks at first."""
    told = (entry.client, entry.key, entry.model, entry.protocol, entry.path, entry.state, entry.status, entry.error)
    return " ".join(str(part or "") for part in told).lower()


class WirePane(Vertical):
    """Reads the server's record a few times a second while it is on the screen."""

    BINDINGS: ClassVar = bindings("wire")

    class SnippetsWanted(Message):
        pass

    class GoOn(Message):
        """The person wants to go on with a request in the "chat", or to have it as a "golden" prompt."""

        def __init__(self, where: str, exchange: Exchange) -> None:
            super().__init__()
            self.where = where
            self.exchange = exchange

    state: reactive[WorkbenchState] = reactive(WorkbenchState())

    table = getters.query_one("#wire-table", RowTable)
    filter_box = getters.query_one("#wire-filter", Input)

    def __init__(self, id: str) -> None:
        super().__init__(id=id, classes="pane")
        self.border_title = "Wire"
        self._services: Services | None = None
        self._entries: dict[str, WireEntry] = {}
        self._said = Said()
        self._offered = (False, False)
        """What `_offers` said when the keys were drawn last."""

    def compose(self) -> ComposeResult:
        yield LineField(
            placeholder="a client, key, model, path, state, error, or what was said", id="wire-filter", compact=True
        )
        yield RowTable(COLUMNS, self._cell, empty=OFF, id="wire-table", newest_first=True)
        yield Static(id="wire-detail", markup=False)

    def attach(self, services: Services) -> None:
        """Begin to work with the opened services."""
        self._services = services
        self.set_interval(1 / REDRAWS_PER_S, self.redraw)

    def jump_targets(self) -> list[Target]:
        """What the jump overlay has letters for here."""
        return [
            Target("w", "wire", self.table.rows),
            Target("s", "search requests", self.filter_box, self.action_filter),
        ]

    def focus_main(self) -> None:
        self.screen.set_focus(self.table.rows)

    def watch_state(self, before: WorkbenchState, now: WorkbenchState) -> None:
        if self.is_mounted and before.api is not now.api:
            self._say_why_empty()
            self._refresh_keys()

    def redraw(self) -> None:
        """Show the record as it is now, newest first. The record is read only while someone looks."""
        if self._services is None or not self.region.area:
            return
        entries = self._services.server.record.entries()
        self._entries = {entry.id: entry for entry in reversed(entries)}
        self.table.widest = max((cell_len(entry.client) for entry in entries), default=0)
        words = self.filter_box.value.lower().split()
        shown = [entry.id for entry in self._entries.values() if self._matches(entry, words)]
        if not words:
            self._said.forget()
        if entries and not shown:
            self.table.say(f"No request matches {one_line(self.filter_box.value)!r}. Escape clears the filter.")
        self.table.show(shown)
        live = sum(not entry.state.over for entry in entries)
        self._refresh_keys()
        found = f"{len(shown)} of {len(entries)} shown, " if words else ""
        self.border_subtitle = f"{found}{live} running, {len(entries)} in all" if entries else ""
        self._show_detail()

    def _matches(self, entry: WireEntry, words: list[str]) -> bool:
        """Whether each word stands in what is told of the request, or in what was said in it."""
        told = _words(entry)
        words = [word for word in words if word not in told]
        if not words or self._services is None:
            return not words
        said = self._said.text(self._services.server.record.evidence, entry)
        return all(word in said for word in words)

    def action_filter(self) -> None:
        self.filter_box.display = True
        self.screen.set_focus(self.filter_box)

    @on(Input.Changed, "#wire-filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._say_why_empty()
        self.redraw()

    @on(Input.Submitted, "#wire-filter")
    def _filter_done(self, event: Input.Submitted) -> None:
        event.stop()
        self.filter_box.display = bool(self.filter_box.value)
        self.focus_main()

    def clear_filter(self) -> None:
        """Show every request again, and go to the rows."""
        self.filter_box.value = ""
        self.filter_box.display = False
        self.focus_main()

    def _say_why_empty(self) -> None:
        self.table.say(QUIET if self.state.api is ApiPhase.ON else OFF)

    def _cell(self, key: str, column: Column, cells: int) -> Content:
        entry, dim = self._entries[key], "$dim"
        match column.key:
            case "time":
                return Content.styled(time.strftime("%H:%M:%S", time.localtime(entry.time)), dim)
            case "protocol":
                return plain(entry.protocol, "$secondary")
            case "client":
                return plain(shorten(entry.client, cells))
            case "model":
                return plain(shorten(short_name(entry.model), cells))
            case "path":
                return plain(shorten(entry.path, cells), dim)
            case "prompt":
                return Content(number(entry.prompt_tokens) if entry.prompt_tokens else "")
            case "cached":
                return Content.styled(number(entry.cached_tokens) if entry.cached_tokens else "", dim)
            case "out":
                return Content(number(entry.completion_tokens) if entry.completion_tokens else "")
            case "ttft":
                return Content(seconds(entry.ttft_s) if entry.ttft_s is not None else "")
            case "tps":
                return Content(f"{entry.tps:.0f}" if entry.tps else "")
            case _:
                return Content.styled(entry.state.value, STYLES[entry.state])

    @on(RowTable.Moved)
    def _row_moved(self, event: RowTable.Moved) -> None:
        event.stop()
        self._show_detail()
        self._refresh_keys()

    def _refresh_keys(self) -> None:
        if (offers := self._offers()) != self._offered:
            self._offered = offers
            self.refresh_bindings()

    def _offers(self) -> tuple[bool, bool]:
        """Whether there is a request to cancel, and an address to show."""
        entry = self._entries.get(self.table.selected or "")
        return entry is not None and not entry.state.over, self.state.api is ApiPhase.ON

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are shown where they do something."""
        return action not in ("kill", "snippets") or self._offered[action == "snippets"]

    def _show_detail(self) -> None:
        entry = self._entries.get(self.table.selected or "")
        detail = self.query_one("#wire-detail", Static)
        detail.display = entry is not None
        if entry is None:
            return
        redraw(detail, entry_content(entry))

    def action_kill(self) -> None:
        key = self.table.selected
        if key is None or self._services is None or not self._services.server.record.kill(key):
            self.notify("This request does not run.")

    @work(exclusive=True, group="exchange")
    async def action_open(self) -> None:
        """Show the row's request as a conversation."""
        key, services = self.table.selected, self._services
        if key is None or services is None:
            self.notify("No request is chosen.")
            return
        from tui.wire.exchange_screen import ExchangeScreen

        url = self.state.api_url or f"http://{services.settings.host}:{services.settings.port}"
        wanted = await self.app.push_screen_wait(ExchangeScreen(services.server.record, services.engine, key, url))
        if wanted is not None:
            self.post_message(self.GoOn(*wanted))

    def action_keep(self) -> None:
        """Keep what is said from now on, or forget all of it."""
        if self._services is None:
            return
        evidence = self._services.server.record.evidence
        if not evidence.can_be_on:
            self.notify("wire_mb is 0 in the settings: what is said is not kept.", timeout=5)
            return
        evidence.on = not evidence.on
        self.notify(
            "What clients ask and are answered is kept from now on, in memory alone."
            if evidence.on
            else "What clients asked and were answered is forgotten, and not kept any more."
        )

    def action_snippets(self) -> None:
        self.post_message(self.SnippetsWanted())
