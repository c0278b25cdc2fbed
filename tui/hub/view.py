"""The Hub view of the Models pane: search, what is found and what it is, and the downloads."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import getters, on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.timer import Timer
from textual.widgets import Input, Static

from core.catalog import ModelInfo
from core.hub.progress import Progress, Stage
from core.status import EngineStatus
from tui.actions import bindings
from tui.background import off_loop
from tui.foreign import one_line, plain
from tui.hub.details import COLUMNS, cell, detail_content, doubt
from tui.hub.downloads_panel import DownloadsPanel
from tui.hub.search import Search, look_at_disk
from tui.hub.search_text import NOT_ASKED, counted, filters, in_place_of_rows
from tui.hub.wish import Wish
from tui.models.detail import REST_S
from tui.models.figure_reader import FigureReader
from tui.screens.confirm import Confirm
from tui.screens.jump import Target
from tui.services import Services
from tui.state import WorkbenchState
from tui.widgets.redraw import redraw
from tui.widgets.row_table import Column, RowTable
from tui.widgets.text_fields import LineField

if TYPE_CHECKING:
    from core.hub.look import Looker, OnDisk
    from core.hub.repository import Facts
    from tui.hub.card_screen import CardScreen

MERGE_S = 0.03
"""What comes within this time is shown together."""
LOOK_AFTER_S = 0.15
"""Models are looked at this long after they came onto the screen: threads that work then would delay the drawing."""
WIDEST = 64
"""Cells of a name beyond which what is said of it would stand far away."""


class HubView(Vertical):
    """Nothing is asked of the Hub before somebody searches, opens a card or downloads."""

    BINDINGS: ClassVar = bindings("hub")

    class DiskWanted(Message):
        """The person wants to see what is on disk."""

    class Searched(Message):
        """The Hub is being asked."""

    class News(Message):
        """Something has come of the search; posted from its threads."""

        def __init__(self, at_once: bool) -> None:
            super().__init__()
            self.at_once = at_once

    state: reactive[WorkbenchState] = reactive(WorkbenchState())

    search_box = getters.query_one("#hub-search", Input)
    table = getters.query_one("#hub-table", RowTable)
    downloads = getters.query_one(DownloadsPanel)

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._services: Services | None = None
        self._wish = Wish()
        self._search: Search | None = None
        self._shown: Search | None = None
        """Whose rows are on the screen: the one before, until something has come of the new one."""
        self._searches: list[Search] = []
        """That one, and older ones as long as they wait for the Hub."""
        self._lock = threading.Lock()
        self._looker: Looker | None = None
        self._has_news = False
        self._merging: Timer | None = None
        self._wanting: Timer | None = None
        self._card: CardScreen | None = None
        self._has_target = False
        self._figures: FigureReader | None = None

    def compose(self) -> ComposeResult:
        with Horizontal(id="hub-search-line"):
            yield LineField(placeholder="/ to search the Hub, then ⏎", id="hub-search", compact=True)
            yield Static(id="hub-count", markup=False)
        yield Static(id="hub-filters", markup=False)
        yield Static(id="hub-note", markup=False)
        yield RowTable(COLUMNS, self._cell, empty=NOT_ASKED, id="hub-table")
        with VerticalScroll(id="hub-detail-scroll", can_focus=False):
            yield Static(id="hub-detail", markup=False)
        yield DownloadsPanel(id="hub-downloads")

    def on_mount(self) -> None:
        self.table.widest = WIDEST
        self.watch(self.table.rows, "scroll_y", self._want_soon, init=False)
        self.show()

    def attach(self, services: Services) -> None:
        """Begin to work with the opened services."""
        self._services = services
        self._figures = FigureReader(services)
        self.downloads.attach(services)

    def close(self) -> bool:
        """Pause the downloads. Blocks for about a second; returns whether threads of the search wait for the Hub."""
        for search in self._searches:
            search.close()
        if self._looker is not None:
            self._looker.close()
        self.downloads.close()
        return any(search.looking for search in self._searches)

    # -- the search ---------------------------------------------------------------------------------------------------

    @property
    def searched(self) -> bool:
        """Whether the Hub has been asked for models."""
        return self._search is not None

    def _begin(self, wish: Wish) -> None:
        """Ask the Hub; what was asked before is of no interest any more."""
        self._wish = wish
        if self._services is None:
            self.notify("The engine is still starting.")
            return
        if self._search is not None:
            self._search.close()
        self._search = Search(wish, self._new_looker, self._tell)
        self._searches = [*(search for search in self._searches if search.looking), self._search]
        self._search.start()
        self.post_message(self.Searched())
        self.show()

    def _new_looker(self) -> Looker:
        """The one looker. Called on the threads of searches; imports core.hub."""
        from core.hub.look import Looker

        with self._lock:
            if self._looker is None:
                assert self._services is not None
                self._looker = Looker(self._services.settings)
            return self._looker

    def _tell(self, at_once: bool) -> None:
        if at_once or not self._has_news:
            self._has_news = True
            self.post_message(self.News(at_once))

    def on_hub_view_news(self, event: News) -> None:
        event.stop()
        if event.at_once:
            if self._merging is not None:
                self._merging.stop()
            self._merge()
        elif self._merging is None:
            self._merging = self.set_timer(MERGE_S, self._merge)

    def _merge(self) -> None:
        self._has_news, self._merging = False, None
        self.show()

    def _want_soon(self) -> None:
        if self._wanting is None:
            self._wanting = self.set_timer(LOOK_AFTER_S, self._want)

    def _want(self) -> None:
        """Have that fetched which is on the screen, or about to be."""
        self._wanting = None
        search, rows = self._search, self.table.rows
        if search is None or search is not self._shown or not self.display:
            return
        top, height = rows.scroll_offset.y, max(rows.size.height, 1)
        search.want(search.shown(self.state.status)[top : top + 2 * height], top + height, self.state.status)
        if search.trouble is not None and search.wait_s:
            self.set_timer(search.wait_s + 0.1, self.show)

    # -- what is shown ------------------------------------------------------------------------------------------------

    def show(self) -> None:
        """Everything as it is now."""
        if not self.is_mounted:
            return
        search = self._search
        line = self.query_one("#hub-filters", Static)
        redraw(line, filters(self._wish, line.content_size.width))
        if search is not None:
            self.table.say(in_place_of_rows(search))
            self._show_rows(search)
            redraw(self.query_one("#hub-count", Static), Content(counted(search, self.state.status)))
        self._show_note(search)
        self._show_detail()
        self._want_soon()

    def _show_rows(self, search: Search) -> None:
        """Those of a new search take the place of the old ones when they come: an empty list would be laid out anew."""
        new = search is not self._shown
        if new and not (search.found or search.complete) and self._shown is not None:
            return
        self._shown = search
        keys = search.shown(self.state.status)
        self.table.show(keys)
        if new and keys:
            self.table.select(keys[0])

    def watch_state(self) -> None:
        if self.is_mounted and self.display:
            self.show()

    def _show_note(self, search: Search | None) -> None:
        """Why what is shown is not all; it takes no room when nothing is wrong."""
        trouble = None
        if search is not None and search.found:
            trouble = search.failure or search.trouble
        line = self.query_one("#hub-note", Static)
        line.display = trouble is not None
        redraw(line, plain(one_line(trouble.message), "$warning") if trouble else Content(""))

    @property
    def selected(self) -> Facts | None:
        """The model under the cursor."""
        key = self.table.selected
        return self._shown.found.get(key) if self._shown is not None and key is not None else None

    def _cell(self, key: str, column: Column, cells: int) -> Content:
        search = self._shown
        if search is None or key not in search.found:
            return Content("")
        known, problem = search.known.get(key), search.problems.get(key, "")
        return cell(search.found[key], known, problem, self.state.status, column, cells)

    def _told(self, facts: Facts, width: int) -> Content:
        from core.hub.client import endpoint

        search = self._shown
        known = search.known.get(facts.id) if search is not None else None
        problem = search.problems.get(facts.id, "") if search is not None else ""
        figures = self._figures.lines(facts.id) if self._figures is not None else ()
        return detail_content(facts, known, problem, self.state.status, width, endpoint(), figures)

    def _show_detail(self) -> None:
        facts, detail = self.selected, self.query_one("#hub-detail", Static)
        self.query_one("#hub-detail-scroll").display = facts is not None
        if facts is not None:
            redraw(detail, self._told(facts, detail.content_size.width))
            self._look_at_figures(facts)
        if self._card is not None:
            self._card.changed()

    def _look_at_figures(self, facts: Facts) -> None:
        """Have it read what was measured of a model, or is expected, once its files are known."""
        search, status = self._shown, self.state.status
        known = search.known.get(facts.id) if search is not None else None
        stale = self._figures is not None and self._figures.is_stale(facts.id)
        if stale and known is not None and status is not None and status.machine:
            self._read_figures(known.info, status)

    @work(exclusive=True, group="figures")
    async def _read_figures(self, info: ModelInfo, status: EngineStatus) -> None:
        await asyncio.sleep(REST_S)
        figures = self._figures
        assert figures is not None
        figures.ask(info.id)
        await off_loop(lambda: figures.read(info, status), "figures")
        self._show_detail()

    def on_resize(self) -> None:
        self.call_after_refresh(self.show)

    # -- what is done -------------------------------------------------------------------------------------------------

    @on(RowTable.Moved, "#hub-table")
    def _row_moved(self, event: RowTable.Moved) -> None:
        event.stop()
        if self._search is not None:
            self._search.moved_on()
        self._show_detail()
        self._want_soon()
        self._show_keys()

    @on(Input.Submitted, "#hub-search")
    def _search_wanted(self, event: Input.Submitted) -> None:
        event.stop()
        self._begin(replace(self._wish, words=event.value.strip()))
        self.focus_main()

    def clear(self) -> bool:
        """Leave the search box, or take the filters off; False if there was nothing to undo."""
        if self.search_box.has_focus:
            self.focus_main()
        elif self._wish.filters:
            self._choose(self._wish.unfiltered())
        else:
            return False
        return True

    def focus_main(self) -> None:
        self.screen.set_focus(self.table.rows)

    def jump_targets(self) -> list[Target]:
        """What the jump overlay has letters for here."""
        return [
            Target("m", "models of the Hub", self.table),
            Target("s", "search the Hub", self.search_box),
            Target("d", "downloads", self.downloads, self.focus_downloads),
        ]

    def focus_downloads(self) -> None:
        self.screen.set_focus(self.downloads.table.rows)

    def _choose(self, wish: Wish) -> None:
        search = self._search
        if search is None:
            self._wish = wish
        elif wish.asks_like(search.wish):
            self._wish = wish
            search.narrow(wish)
        else:
            self._begin(wish)
        self.show()

    def action_search(self) -> None:
        self.screen.set_focus(self.search_box)

    def action_turn(self, field: str) -> None:
        """The next choice of a filter, or of the order."""
        found = self._search.found.values() if self._search is not None else ()
        licences = Counter(facts.licence for facts in list(found) if facts.licence)
        self._choose(self._wish.turned(field, (name for name, _ in licences.most_common(6))))

    def action_again(self) -> None:
        self._begin(self._wish)

    def action_to_disk(self) -> None:
        self.post_message(self.DiskWanted())

    @work(exclusive=True, group="card")
    async def action_details(self) -> None:
        facts = self.selected
        if facts is None:
            self.notify("No model is chosen.")
            return
        from tui.hub.card_screen import CardScreen

        self._card = CardScreen(facts, lambda width: self._told(facts, width))
        try:
            wanted = await self.app.push_screen_wait(self._card)
        finally:
            self._card = None
        if wanted:
            self._download(facts)

    def action_download(self) -> None:
        facts = self.selected
        if facts is None:
            self.notify("No model is chosen.")
        else:
            self._download(facts)

    @work(group="hub")
    async def _download(self, facts: Facts) -> None:
        """Put a model into the queue; asked first where it is of no use here."""
        remote = self._shown.known.get(facts.id) if self._shown is not None else None
        under_way = self.downloads.of(facts.id)
        if under_way is not None and under_way.stage.moves:
            self.notify(f"{facts.id} is being downloaded.", timeout=3)
            return
        if remote is not None and remote.on_disk == "yes" and await self._see_disk([facts]) == {facts.id: "yes"}:
            self.notify(f"{facts.id} is on this disk. h shows what is.", timeout=3)
            return
        question = doubt(facts, remote, self.state.status)
        if question and not await self.app.push_screen_wait(Confirm(question, "Download", "Do not")):
            return
        self.downloads.add(facts.id)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The keys of downloads are there while there is one."""
        return action not in ("pause", "cancel") or (self.is_mounted and self._target() is not None)

    def _target(self) -> str | None:
        """The download that keys are meant for: the one of the row, else the one under its own cursor."""
        facts = None if self.downloads.has_cursor else self.selected
        own: Progress | None = self.downloads.of(facts.id) if facts is not None else None
        return own.key if own is not None else self.downloads.selected

    def _show_keys(self) -> None:
        """The footer is made anew only if keys come or go."""
        if (has := self._target() is not None) != self._has_target:
            self._has_target = has
            self.refresh_bindings()

    def action_pause(self) -> None:
        if (key := self._target()) is not None:
            self.downloads.pause_or_go_on(key)

    def action_cancel(self) -> None:
        if (key := self._target()) is not None:
            self.downloads.cancel(key)

    # -- after a download ---------------------------------------------------------------------------------------------

    def on_downloads_panel_changed(self, event: DownloadsPanel.Changed) -> None:
        self.set_class(bool(event.summary), "-downloading")
        self._show_keys()

    @work(exclusive=True, group="on-disk")
    async def look_at_disk(self) -> None:
        """What is on the disk may be other than before: say so in the rows."""
        if self._shown is not None:
            await self._see_disk([remote.facts for remote in self._shown.known.values()])

    async def _see_disk(self, models: list[Facts]) -> dict[str, OnDisk]:
        """What of these models is on the disk now, shown in their rows."""
        search, services = self._shown, self._services
        if search is None or services is None:
            return {}
        found = await off_loop(lambda: look_at_disk(services.settings, models), "on-disk")
        begun = {one.id for one in self.downloads.all if one.stage is Stage.RUNNING or one.done}
        search.on_disk(found, begun)
        self.show()
        return found
