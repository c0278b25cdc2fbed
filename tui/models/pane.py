"""The model browser: what is on disk, what is in memory, and which models stand for the tiers."""

from __future__ import annotations

import logging
from typing import ClassVar

from rich.cells import cell_len
from textual import getters, on, work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from core.catalog import ModelInfo, ModelKind
from core.errors import EngineError
from tui.actions import bindings
from tui.background import off_loop
from tui.foreign import one_line, plain
from tui.hub.two_views import TwoViews
from tui.models.columns import COLUMNS, PINNED, model_cell
from tui.models.detail import ModelDetail
from tui.models.on_disk import OnDisk, read_on_disk
from tui.models.order import LIVE, Order
from tui.models.totals import Sum, totals
from tui.screens.jump import Target
from tui.services import Services
from tui.state import Phase, WorkbenchState
from tui.widgets.row_table import Column, RowTable
from tui.widgets.text_fields import LineField

log = logging.getLogger(__name__)

TITLE_AROUND = 4
"""Cells of the line before and behind what it says, with a space on either side."""
CHAT_KINDS = (ModelKind.TEXT, ModelKind.VISION)


class ModelsPane(TwoViews):
    """Lists, filters, loads, unloads and pins. Roles are the app's: it is told with `RoleChosen`."""

    BINDINGS: ClassVar = bindings("models")

    class RoleChosen(Message):
        """The person wants this model to stand for a tier."""

        def __init__(self, tier: str, model_id: str) -> None:
            super().__init__()
            self.tier = tier
            self.model_id = model_id

    class ChatWanted(Message):
        def __init__(self, model_id: str) -> None:
            super().__init__()
            self.model_id = model_id

    class Listed(Message):
        """The catalog has been read."""

        def __init__(self, models: list[ModelInfo]) -> None:
            super().__init__()
            self.models = models

    filter_box = getters.query_one("#model-filter", Input)
    table = getters.query_one("#model-table", RowTable)
    detail = getters.query_one(ModelDetail)

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.border_title = "Models"
        self._models: dict[str, ModelInfo] = {}
        self._words: dict[str, str] = {}
        """By id, what the filter looks at, in the order of the list."""
        self._sizes: dict[str, int] = {}
        """By id, in bytes."""
        self._sum = Sum(0, 0)
        self._order = Order()
        self._unloads = False
        """Whether the model under the cursor is in memory or on its way."""
        self._on_disk: OnDisk | None = None

    def on_mount(self) -> None:
        # Not by its message, which comes after the field is painted: one frame shows the key and what it filters.
        self.watch(self.filter_box, "value", lambda: self._filter(typed=True), init=False)

    def compose_disk(self) -> ComposeResult:
        yield LineField(placeholder="/ to filter by name, kind, family", id="model-filter", compact=True)
        yield Static(id="model-notes", markup=False)
        yield RowTable(COLUMNS, self._cell, empty="Looking for models…", id="model-table")
        with VerticalScroll(id="model-detail-scroll", can_focus=False):
            yield ModelDetail(id="model-detail")

    # -- what is shown ------------------------------------------------------------------------------------------------

    def attach(self, services: Services) -> None:
        """Begin to work with the opened services."""
        self._services = services
        self.detail.attach(services)
        self._list(refresh=False)
        self.hub.attach(services)

    @work(exclusive=True, group="catalog")
    async def _list(self, refresh: bool, quiet: bool = False) -> None:
        assert self._services is not None
        catalog = self._services.engine.catalog
        try:
            models = await off_loop(catalog.refresh if refresh else catalog.list, "catalog")
        except EngineError as error:
            self.table.say(error.message)
            self.notify(error.message, severity="error")
            return
        self._show_notes(await off_loop(catalog.notes, "catalog"))
        if self.state.phase is Phase.READY:
            self._look_at_disk()
        # From here to the filter at once: the table asks for rows whenever it is drawn.
        self._models = {info.id: info for info in models}
        self._sizes = {info.id: info.size_bytes for info in models}
        self._sum = Sum(len(models), sum(self._sizes.values()))
        self._sort()
        self._measure()
        self._filter()
        self.post_message(self.Listed(models))
        self.disk_listed(models)
        if refresh and not quiet:
            self.notify(f"{len(models)} models on disk.")

    @work(exclusive=True, group="disk")
    async def _look_at_disk(self) -> None:
        """What is dear to find out: it comes after the list, and after the engine."""
        assert self._services is not None
        settings = self._services.settings
        try:
            self._on_disk = await off_loop(lambda: read_on_disk(settings), "disk")
        except (OSError, EngineError) as error:
            log.warning("The cache cannot be read: %s", error)
            return
        self._measure()
        self._filter()

    def _measure(self) -> None:
        """How wide the column of names can use to be."""
        names = (cell_len(info.id) + len(self._marks(info.id)) for info in self._models.values())
        self.table.widest = max(names, default=0) + len(PINNED)

    def _marks(self, model_id: str) -> str:
        return self._on_disk.marks(model_id) if self._on_disk is not None else ""

    @property
    def order(self) -> Order:
        """In which order the models are listed."""
        return self._order

    @order.setter
    def order(self, order: Order) -> None:
        self._order = order
        self.table.sorted_by = (order.column, order.descending)
        self._sort()
        if self._models:
            self._filter()

    def _sort(self) -> None:
        self._words = {
            info.id: f"{info.id} {info.kind} {info.family} {info.quantisation or ''}".lower()
            for info in self._order.of(self._models.values(), self.state)
        }

    def _show_notes(self, notes: tuple[str, ...]) -> None:
        """What is wrong with the folders, over the rows; it takes no room when nothing is."""
        line = self.query_one("#model-notes", Static)
        line.display = bool(notes)
        line.update(plain("\n".join(map(one_line, notes))))

    def _filter(self, typed: bool = False) -> None:
        """Show what matches; `typed` where nothing but the words has changed."""
        needle = self.filter_box.value
        words = needle.lower().split()
        keys = list(self._words)
        for word in words:
            keys = [key for key in keys if word in self._words[key]]
        if not self._models:
            self.table.say("No models on disk. Models of the Hugging Face cache and of model_folders appear here.")
        elif not keys:
            self.table.say(f"No model matches {one_line(needle)!r}. Escape clears the filter.")
        self.table.show(keys, changed=not typed)
        self._show_totals()
        self._show_detail()

    def _show_totals(self) -> None:
        """In the line below the list: a new title of the pane would paint all of it, at each key of the filter."""
        line = self.query_one("#model-detail-scroll")
        shown = Sum(len(self.table.keys), sum(map(self._sizes.__getitem__, self.table.keys)))
        told = f" {totals(shown, self._sum, self._on_disk, line.size.width - TITLE_AROUND)} " if self._models else ""
        if told != line.border_title:
            line.border_title = told

    def on_resize(self) -> None:
        self.call_after_refresh(self._show_totals)

    def disk_shows(self) -> None:
        self._show_totals()
        self._show_detail()

    def _show_detail(self) -> None:
        info = self.selected
        loaded = self.state.loaded(info.id) if info else None
        self.detail.show(info, self.state.status, loaded, self._on_disk)
        if self._unloads != (loaded is not None):  # the key that frees it comes and goes
            self._unloads = not self._unloads
            self.refresh_bindings()

    def watch_state(self, before: WorkbenchState, now: WorkbenchState) -> None:
        if not self.is_mounted:
            return
        if _loads(before) != _loads(now):  # the key that gives one up comes and goes
            self.refresh_bindings()
        if now.phase is Phase.FAILED:
            self.table.say("The engine did not start. The log says more; F1 shows where it is.")
        if now.phase is Phase.READY and before.phase is not Phase.READY and self._services is not None:
            self._look_at_disk()
        if self._order.column in LIVE and _moves(before) != _moves(now):
            self._sort()
            self._filter()
        else:
            self.table.redraw()
            self._show_detail()
        self.show_offers()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are shown where they do something."""
        return (action != "unload" or self._unloads) and super().check_action(action, parameters)

    @property
    def selected(self) -> ModelInfo | None:
        """The model under the cursor."""
        return self._models.get(self.table.selected or "")

    def _cell(self, key: str, column: Column, cells: int) -> Content:
        marks = self._marks(key) if column.key == "name" else ""
        return model_cell(self._models[key], column, cells, self.state, marks)

    # -- what is done -------------------------------------------------------------------------------------------------

    @on(RowTable.Moved)
    def _row_moved(self, event: RowTable.Moved) -> None:
        event.stop()
        self._show_detail()

    @on(RowTable.HeadClicked)
    def _head_clicked(self, event: RowTable.HeadClicked) -> None:
        event.stop()
        self.order = self.order.reversed if event.column == self.order.column else Order.by(event.column)

    def action_sort(self) -> None:
        self.order = self.order.after(self.table.columns)

    def action_reverse(self) -> None:
        if not self.order.column:
            self.notify("The list is as the disk has it: s sorts by a column.", timeout=3)
        self.order = self.order.reversed

    @on(Input.Submitted, "#model-filter")
    def _filter_done(self, event: Input.Submitted) -> None:
        event.stop()
        self.screen.set_focus(self.table.rows)

    def clear_filter(self) -> bool:
        """Empty the filter and go back to the rows; False if there was nothing to undo."""
        if self.hub_shows:
            return self.hub.clear()
        if not self.filter_box.value and not self.filter_box.has_focus:
            return False
        self.filter_box.value = ""
        self._filter()  # before the rows get the focus, with which the cursor's row is the chosen one
        self.screen.set_focus(self.table.rows)
        return True

    def jump_targets(self) -> list[Target]:
        """What the jump overlay has letters for here."""
        if self.hub_shows:
            return [self.other_view(), *self.hub.jump_targets()]
        return [
            self.other_view(),
            Target("m", "models", self.table.rows),
            Target("s", "search models", self.filter_box),
        ]

    def focus_main(self) -> None:
        self.screen.set_focus(self.hub.table.rows if self.hub_shows else self.table.rows)

    def action_filter(self) -> None:
        self.screen.set_focus(self.filter_box)

    def list_anew(self) -> None:
        if self._services is not None:
            self._list(refresh=True, quiet=True)

    def action_rescan(self) -> None:
        if self._services is not None:
            self._list(refresh=True)

    def action_load_as(self, tier: str) -> None:
        info = self._usable()
        if info is None:
            return
        if info.kind not in CHAT_KINDS:
            self.notify(
                f"{info.id} is a model for {info.kind}: only text and vision models can stand for a tier.",
                severity="warning",
            )
            return
        self.post_message(self.RoleChosen(tier, info.id))
        self.load(info.id)

    def action_chat_with(self) -> None:
        info = self._usable()
        if info is None:
            return
        if info.kind not in CHAT_KINDS:
            self.notify(f"{info.id} is a model for {info.kind}: it does not chat.", severity="warning")
            return
        self.post_message(self.ChatWanted(info.id))


def _moves(state: WorkbenchState) -> tuple[object, ...]:
    """What of the state puts models into another order; free memory does not: it changes with every answer."""
    status = state.status
    loaded = tuple((model.id, model.state) for model in status.models) if status else ()
    return loaded, status.memory_budget if status else 0, state.quick, state.full


def _loads(state: WorkbenchState) -> bool:
    """Whether a load goes on."""
    return state.status is not None and bool(state.status.loads)
