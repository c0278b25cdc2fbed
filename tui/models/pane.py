"""The model browser: what is on disk, what is in memory, and which models stand for the tiers."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import ClassVar, TypeVar

from rich.cells import cell_len
from textual import getters, on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Input, Static

from core.catalog import ModelInfo, ModelKind
from core.errors import EngineError, ModelUnloaded
from core.status import ModelState
from tui.actions import bindings
from tui.background import off_loop
from tui.figures import number, size
from tui.foreign import one_line, plain, shorten_path
from tui.lamp import LOADED, NOT_LOADED, lamp
from tui.models.detail import ModelDetail, abilities
from tui.models.fit import Fit, fit, predicted
from tui.screens.jump import Target
from tui.services import Services
from tui.state import Phase, WorkbenchState
from tui.waiting import coming
from tui.widgets.redraw import redraw
from tui.widgets.row_table import Column, RowTable
from tui.widgets.text_fields import LineField

T = TypeVar("T")

ROOMY = 95
"""From this width on columns are called what they are."""
COLUMNS = (
    Column("lamp", "", 1),
    Column("name", "model"),
    Column("tier", "tier", 5, 50),
    Column("kind", "kind", 6, 58, roomy=Column("kind", "kind", 10, ROOMY)),
    Column("quant", "quant", 8, 68, roomy=Column("quant", "quantised", 9, ROOMY)),
    Column("parameters", "params", 6, 75, right=True, roomy=Column("parameters", "parameters", 10, ROOMY, right=True)),
    Column("context", "ctx", 5, 83, right=True, roomy=Column("context", "context", 7, ROOMY, right=True)),
    Column("family", "family", 12, 118),
    Column("takes", "takes", 23, 156),
    Column("size", "disk", 5, right=True, roomy=Column("size", "on disk", 7, ROOMY, right=True)),
    Column("memory", "memory", 6, 104, right=True, roomy=Column("memory", "takes memory", 12, 130, right=True)),
    Column("fit", "fit", 8, 38, roomy=Column("fit", "fit", 35, 190)),
)
_FIT_STYLE = {
    Fit.OK: "$success",
    Fit.LOADED: "$success",
    Fit.LOADING: "$warning",
    Fit.QUEUED: "$warning",
    Fit.STOPPING: "$warning",
    Fit.TIGHT: "$warning",
    Fit.EVICTS: "$warning",
    Fit.NO: "$error",
    Fit.BROKEN: "$error",
    Fit.UNKNOWN: "$dim",
}
PINNED = " ◆"
CHAT_KINDS = (ModelKind.TEXT, ModelKind.VISION)


class ModelsPane(Vertical):
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

    state: reactive[WorkbenchState] = reactive(WorkbenchState())

    filter_box = getters.query_one("#model-filter", Input)
    table = getters.query_one("#model-table", RowTable)
    detail = getters.query_one(ModelDetail)

    def __init__(self, id: str) -> None:
        super().__init__(id=id, classes="pane")
        self.border_title = "Models"
        self._services: Services | None = None
        self._models: dict[str, ModelInfo] = {}
        self._words: dict[str, str] = {}
        """By id, what the filter looks at."""
        self._coming: list[str] = []
        """Models whose load was asked for here and goes on."""

    def compose(self) -> ComposeResult:
        with Horizontal(id="model-filter-line"):
            yield LineField(placeholder="/ to filter by name, kind, family", id="model-filter", compact=True)
            yield Static(id="model-count", markup=False)
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

    @work(exclusive=True, group="catalog")
    async def _list(self, refresh: bool) -> None:
        assert self._services is not None
        catalog = self._services.engine.catalog
        try:
            models = await off_loop(catalog.refresh if refresh else catalog.list, "catalog")
        except EngineError as error:
            self.table.say(error.message)
            self.notify(error.message, severity="error")
            return
        self._show_notes(await off_loop(catalog.notes, "catalog"))
        # From here to the filter at once: the table asks for rows whenever it is drawn.
        self._models = {info.id: info for info in models}
        self._words = {
            info.id: f"{info.id} {info.kind} {info.family} {info.quantisation or ''}".lower() for info in models
        }
        self.table.widest = max((cell_len(info.id) for info in models), default=0) + len(PINNED)
        self._filter()
        self.post_message(self.Listed(models))
        if refresh:
            self.notify(f"{len(models)} models on disk.")

    def _show_notes(self, notes: tuple[str, ...]) -> None:
        """What is wrong with the folders, over the rows; it takes no room when nothing is."""
        line = self.query_one("#model-notes", Static)
        line.display = bool(notes)
        line.update(plain("\n".join(map(one_line, notes))))

    def _filter(self) -> None:
        needle = self.filter_box.value
        words = needle.lower().split()
        keys = list(self._words)
        for word in words:
            keys = [key for key in keys if word in self._words[key]]
        if not self._models:
            self.table.say("No models on disk. Models of the Hugging Face cache and of model_folders appear here.")
        elif not keys:
            self.table.say(f"No model matches {one_line(needle)!r}. Escape clears the filter.")
        self.table.show(keys)
        counted = f"{len(keys)} of {len(self._models)}" if words else f"{len(self._models)} on disk"
        # Not in the border: a new title there paints the whole pane, at each key of the filter.
        redraw(self.query_one("#model-count", Static), Content(counted))
        self._show_detail()

    def _show_detail(self) -> None:
        info = self.selected
        self.detail.show(info, self.state.status, self.state.loaded(info.id) if info else None)

    def watch_state(self, before: WorkbenchState, now: WorkbenchState) -> None:
        if not self.is_mounted:
            return
        if now.phase is Phase.FAILED:
            self.table.say("The engine did not start. The log says more; F1 shows where it is.")
        self.table.redraw()
        self._show_detail()

    @property
    def selected(self) -> ModelInfo | None:
        """The model under the cursor."""
        return self._models.get(self.table.selected or "")

    def _cell(self, key: str, column: Column, cells: int) -> Content:
        info, dim = self._models[key], "$dim"
        match column.key:
            case "lamp":
                if info.problem:
                    return Content.styled("!", "$error")
                glyph = lamp(self.state, info.id)
                return Content.styled(glyph, {LOADED: "$success", NOT_LOADED: dim}.get(glyph, "$warning"))
            case "name":
                loaded = self.state.loaded(info.id)
                suffix = PINNED if loaded is not None and loaded.pinned else ""
                name = shorten_path(info.id, cells - len(suffix))
                return Content.assemble(plain(name, dim if info.problem else ""), (suffix, "$primary"))
            case "tier":
                roles = self.state.roles(info.id)
                if len(roles) == 2:
                    return Content("both")
                return Content.styled(roles[0], f"${roles[0]}") if roles else Content("")
            case "kind":
                return plain(str(info.kind)[:5] if len(info.kind) > cells else str(info.kind), dim)
            case "parameters":
                return Content(number(info.parameters) if info.parameters else "")
            case "quant":
                return plain(info.quantisation or "none", dim)
            case "context":
                return Content.styled(number(info.context_length) if info.context_length else "", dim)
            case "family":
                return plain(info.family, dim)
            case "takes":
                return plain(abilities(info), dim)
            case "size":
                return Content(size(info.size_bytes))
            case "memory":
                need, _ = predicted(info, self.state.status)
                return Content.styled(size(need) if need else "", dim)
            case _:
                found = fit(info, self.state.status)
                words = found.in_words if len(found.in_words) <= cells else found.value
                return Content.styled(words, _FIT_STYLE[found])

    # -- what is done -------------------------------------------------------------------------------------------------

    @on(RowTable.Moved)
    def _row_moved(self, event: RowTable.Moved) -> None:
        event.stop()
        self._show_detail()

    @on(Input.Changed, "#model-filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._filter()

    @on(Input.Submitted, "#model-filter")
    def _filter_done(self, event: Input.Submitted) -> None:
        event.stop()
        self.screen.set_focus(self.table.rows)

    def clear_filter(self) -> bool:
        """Empty the filter and go back to the rows; False if there was nothing to undo."""
        if not self.filter_box.value and not self.filter_box.has_focus:
            return False
        self.filter_box.value = ""
        self._filter()  # before the rows get the focus, with which the cursor's row is the chosen one
        self.screen.set_focus(self.table.rows)
        return True

    def jump_targets(self) -> list[Target]:
        """What the jump overlay has letters for here."""
        return [
            Target("m", "models", self.table.rows),
            Target("s", "search models", self.filter_box),
        ]

    def focus_main(self) -> None:
        self.screen.set_focus(self.table.rows)

    def _usable(self) -> ModelInfo | None:
        """The model under the cursor if it can be loaded; says why not otherwise."""
        info = self.selected
        if info is None or self._services is None:
            self.notify("No model is chosen." if self._services else "The engine is still starting.")
            return None
        if info.problem:
            self.notify(f"{info.id}: {info.problem}", severity="error")
            return None
        return info

    def action_filter(self) -> None:
        self.screen.set_focus(self.filter_box)

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

    def action_unload(self) -> None:
        info = self.selected
        if info is None or self.state.loaded(info.id) is None:
            self.notify("This model is not in memory.")
            return
        self._unload(info.id)

    def action_pin(self) -> None:
        info = self._usable()
        if info is None:
            return
        loaded = self.state.loaded(info.id)
        if loaded is not None and loaded.pinned:
            self._unpin(info.id)
        else:
            self.load(info.id, pin=True)

    @work(group="loading")
    async def load(self, model_id: str, pin: bool = False) -> None:
        """Load a model, or pin it; progress shows as its lamp, errors as toasts."""
        if self._services is None:
            return
        before = self.state.loaded(model_id)
        self._coming.append(model_id)
        self.refresh_bindings()
        try:
            loaded = await _answer(self._services.engine.load(model_id, pin=pin))
        except ModelUnloaded as error:  # that was the person's wish
            self.notify(error.message, timeout=3)
            return
        except EngineError as error:
            self.notify(error.message, title="Not loaded", severity="error", timeout=10)
            return
        finally:
            self._coming.remove(model_id)
            self.refresh_bindings()
        if before is None or before.state is not ModelState.READY:
            self.notify(f"{model_id} loaded in {loaded.load_s:.1f} s, {size(loaded.memory_bytes)}.", timeout=3)

    @property
    def busy(self) -> bool:
        """Whether a load that was asked for here goes on."""
        return bool(self._coming)

    def stop(self) -> None:
        """Give the loads up that were asked for here; each ends with the piece that is read now."""
        assert self._services is not None
        status = self._services.engine.status()
        for model_id in dict.fromkeys(self._coming):
            if coming(status, model_id) != ModelState.STOPPING:
                self.notify(f"Stopping the load of {model_id}…", timeout=3)
                self._unload(model_id)

    @work(group="loading")
    async def _unpin(self, model_id: str) -> None:
        assert self._services is not None
        try:
            await _answer(self._services.engine.unpin(model_id))
        except EngineError as error:
            self.notify(error.message, title="Still pinned", severity="error")

    @work(group="loading")
    async def _unload(self, model_id: str) -> None:
        assert self._services is not None
        try:
            await _answer(self._services.engine.unload(model_id))
        except EngineError as error:
            self.notify(error.message, title="Not unloaded", severity="error")


async def _answer(future: Future[T]) -> T:
    """Wait for the engine. Shielded: a future that is cancelled here would trip the thread that is to set it."""
    return await asyncio.shield(asyncio.wrap_future(future))
