"""Bringing models into memory and out of it from the pane."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import TypeVar

from textual import work
from textual.containers import Vertical
from textual.reactive import reactive

from core.catalog import ModelInfo
from core.errors import EngineError, ModelUnloaded
from core.status import ModelState
from tui.figures import size
from tui.services import Services
from tui.state import WorkbenchState
from tui.waiting import coming

T = TypeVar("T")


class LoadingPane(Vertical):
    """Loads, pins and unloads the `selected` model."""

    state: reactive[WorkbenchState] = reactive(WorkbenchState())

    def __init__(self, id: str) -> None:
        super().__init__(id=id, classes="pane")
        self._services: Services | None = None
        self._coming: list[str] = []
        """Models whose load was asked for here and goes on."""

    @property
    def selected(self) -> ModelInfo | None:
        """The model under the cursor."""
        raise NotImplementedError

    def _usable(self) -> ModelInfo | None:
        """The model under the cursor if it can be loaded; says why not otherwise."""
        info = self.selected
        if info is None or self._services is None:
            self.notify("No model is chosen." if self._services else "The engine is still starting.")
            return None
        if info.problem:
            self.notify(f"{info.id}: {info.problem}", severity="warning" if info.unfinished else "error")
            return None
        return info

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
        """Whether a load goes on, whoever has asked for it."""
        return bool(self._coming or (self.state.status is not None and self.state.status.loads))

    def stop(self) -> None:
        """Give the loads up that were asked for here, else all; each ends with the piece that is read now."""
        assert self._services is not None
        status = self._services.engine.status()
        for model_id in dict.fromkeys(self._coming or [load.id for load in status.loads]):
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
