"""What the MLX thread does next: models take turns step by step, and after them the first load gets a piece."""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

import mlx.core as mx

from core import blas
from core.calls.clock import Clock
from core.calls.events import Finished, FinishReason, Loading, Timing, Usage
from core.calls.stream import Work, waited_for
from core.catalog import Catalog
from core.compute import on_linux_cpu
from core.errors import EngineError, GenerationFailed, ModelUnloaded
from core.mlx.loads import Loads, Ready, give_memory_back
from core.mlx.machine import machine_name
from core.mlx.models.loading import quiet_transformers
from core.mlx.models.offline import stay_offline
from core.mlx.models.templates import renderers
from core.mlx.pool import Pool, Resident
from core.mlx.ranks.distributed import ALONE, Ranks
from core.settings import Settings
from core.status import EngineStatus, LoadedModel, ModelState, Notice, NoticeKind

log = logging.getLogger(__name__)

STATUS_INTERVAL_S = 0.1

QUIET_S = 30.0
"""Seconds without work after which KV is written to disk: in a conversation that goes on, every turn would be."""

SHARED_SETTINGS = ("max_batch", "prefill_chunk", "cache_budget_gb")
"""What a step consists of follows from these: under mlx.launch rank 0's hold on every rank."""

T = TypeVar("T")


class Scheduler:
    """Every method runs on the MLX thread."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        notify: Callable[[Notice], None],
        publish: Callable[[EngineStatus], None],
        ranks: Ranks = ALONE,
    ) -> None:
        quiet_transformers()
        stay_offline()
        if on_linux_cpu():  # fusing gains nothing there, and has a C++ compiler write libraries into a shared folder
            mx.disable_compile()
        self._ranks = ranks
        shared = ranks.decide(lambda: {name: getattr(settings, name) for name in SHARED_SETTINGS})
        self._settings = settings = settings.model_copy(update=shared)
        self._catalog = catalog
        self._notify = notify
        self._publish = publish
        self._stream = mx.default_stream(mx.default_device())
        self._pool = Pool(settings, ranks)
        self._loads = Loads(
            settings,
            catalog,
            self._pool,
            ranks,
            self._stream,
            lambda names: self._free(*names, evicted=True),
            notify,
            self.publish,
        )
        self._leaving: dict[str, list[Future[None]]] = {}
        self._published = 0.0
        self._blas = str(blas.install())
        self._machine = machine_name(ranks.size)
        if mx.metal.is_available():  # once for the process: BatchGenerators then restore the value they found
            mx.set_wired_limit(int(mx.device_info()["max_recommended_working_set_size"]))
        self.publish()

    # -- commands ----------------------------------------------------------------------------------------------------

    def submit(self, work: Work, submitted: float) -> None:
        """Queue a request with its model, loading that first if need be."""
        if work.done:
            return

        def ready(loading: bool, found: Resident | EngineError) -> None:
            if isinstance(found, EngineError):
                work.fail(found)
            elif not work.done:
                load_s = max(found.loaded_at - submitted, 0.0) if loading else 0.0
                found.runtime.submit(work, Clock(submitted, load_s))

        for model_id in work.models:  # one that is here has its work before another's load looks for room
            loading = model_id not in self._pool.residents or model_id in self._leaving
            if loading:
                work.feed(Loading(model_id))
            self._with_model(model_id, partial(ready, loading), work)

    def cancel(self, work: Work) -> None:
        """End a request wherever it is; a model that is read for it already goes on coming."""
        self._loads.forget(work)
        here = [resident for name in work.models if (resident := self._pool.residents.get(name)) is not None]
        if not sum(resident.runtime.cancel(work) for resident in here):
            work.feed(Finished(FinishReason.CANCELLED, Usage(), Timing()))
        self.publish()

    def give_up_load(self, number: int) -> None:
        """Nobody waits any more for what the load of this number was asked for."""
        self._loads.forget(number, give_up=True)
        self.publish()

    def load(self, model_id: str, pin: bool, future: Future[LoadedModel], number: int) -> None:
        """Load a model; the future gets what status says of it."""

        def ready(found: Resident | EngineError) -> None:
            if pin and not isinstance(found, EngineError):
                self._pool.pinned.add(model_id)
            self.publish()
            _settle(future, found, lambda resident: self._describe(model_id, resident))

        self._with_model(model_id, ready, number)

    def unpin(self, model_id: str, future: Future[None]) -> None:
        """Let a model be evicted again."""
        self._pool.pinned.discard(model_id)
        self.publish()
        _done(future)

    def unload(self, model_id: str, cancel: bool, future: Future[None]) -> None:
        """Free a model once it is idle, or at once."""
        was_loading = self._loads.cancel(model_id, ModelUnloaded(f"Loading {model_id} was cancelled."))
        resident = self._pool.residents.get(model_id)
        if resident is None:
            try:
                if not was_loading:
                    self._catalog.get(model_id)
            except EngineError as error:
                if waited_for(future):
                    future.set_exception(error.detached())
            else:
                _done(future)
            return
        self._leaving.setdefault(model_id, []).append(future)
        if cancel or not resident.runtime.busy:
            self._free(model_id)
        self.publish()

    def close(self, error: EngineError) -> None:
        """End everything with `error` and free all memory."""
        self._loads.close(error)
        renderers.close()
        self._free(*self._pool.residents, error=error)
        self.publish(alive=False)
        try:
            mx.synchronize()
        except RuntimeError:  # what was under way needed a rank that is gone
            log.info("the last step was lost", exc_info=True)
        finally:
            mx.clear_streams()  # a thread that ends with live streams aborts the process at its exit

    # -- the loop's turn ---------------------------------------------------------------------------------------------

    def position(self) -> int:
        """A number made of what is under way, in which ranks that are in step agree."""
        residents = self._pool.residents.items()
        models = [(name, resident.runtime.running, resident.runtime.waiting) for name, resident in residents]
        return zlib.crc32(repr((models, self._loads.names, list(self._leaving))).encode())

    @property
    def busy(self) -> bool:
        return bool(self._loads) or self._working

    @property
    def _working(self) -> bool:
        return any(resident.runtime.busy for resident in self._pool.residents.values())

    def step(self) -> None:
        """One step of every busy model, then one piece of the first load."""
        at_work = bool(self._loads) + sum(resident.runtime.busy for resident in self._pool.residents.values())
        self._pool.store.meter.crowd(at_work > 1)
        for model_id, resident in list(self._pool.residents.items()):
            if resident.runtime.busy:
                resident.runtime.step()
            if model_id in self._leaving and not resident.runtime.busy:
                self._free(model_id)
        self._loads.step(self._leaving, self._working)
        if time.monotonic() - self._published >= STATUS_INTERVAL_S or not self.busy:
            self.publish()

    def until_idle(self) -> float | None:
        """Seconds until a model has been idle for as long as the settings allow; None when no model ever will."""
        minutes = self._settings.idle_unload_minutes
        idle = self._pool.idle()
        if minutes is None or not idle:
            return None
        return max(min(resident.runtime.last_used for resident in idle.values()) + 60 * minutes - time.monotonic(), 0.0)

    def until_save(self) -> float | None:
        """Seconds until it is quiet enough to write KV to disk; None when all is there that shall be."""
        if not self._pool.store.prefixes.unsaved:
            return None
        last = max((resident.runtime.last_used for resident in self._pool.residents.values()), default=0.0)
        return max(last + QUIET_S - time.monotonic(), 0.0)

    def save(self) -> None:
        """Write a piece of KV to disk."""
        self._pool.store.prefixes.save_piece()
        if not self._pool.store.prefixes.unsaved:
            self.publish()

    def expired(self) -> tuple[str, ...]:
        """The models whose time is up."""
        patience = 60 * (self._settings.idle_unload_minutes or 0)
        return tuple(
            name
            for name, resident in self._pool.idle().items()
            if resident.runtime.last_used + patience <= time.monotonic()
        )

    def unload_idle(self, models: tuple[str, ...]) -> None:
        """Free these models, unless they have been asked for meanwhile."""
        for model_id in models:
            if model_id in self._pool.idle():
                self._free(model_id)

    # -- models in and out -------------------------------------------------------------------------------------------

    def _with_model(self, model_id: str, ready: Ready, whose: object = None) -> None:
        """Call `ready` with the model, now or when it is loaded, unless the loads `forget` whose it is."""
        resident = self._pool.residents.get(model_id)
        if resident is not None and model_id not in self._leaving:
            ready(resident)
        else:
            self._loads.ask(model_id, ready, whose)

    def _free(self, *model_ids: str, error: EngineError | None = None, evicted: bool = False) -> None:
        """End these models and their requests, and give all their memory back at once."""
        for model_id in model_ids:
            self._pool.residents.pop(model_id).runtime.close(error)
            self._pool.let_go(model_id)
            self._pool.pinned.discard(model_id)
        give_memory_back()
        waiters = {model_id: self._leaving.pop(model_id, []) for model_id in model_ids}
        self.publish()  # first: who has waited for it may look
        for model_id, futures in waiters.items():
            self._notify(Notice(NoticeKind.MODEL_UNLOADED, model_id, evicted=evicted))
            for future in futures:
                _done(future)

    # -- status ------------------------------------------------------------------------------------------------------

    def publish(self, alive: bool = True) -> None:
        """Put a fresh snapshot where every thread can read it."""
        self._published = time.monotonic()
        models = [self._describe(name, resident) for name, resident in self._pool.residents.items()]
        models += self._loads.describe()
        self._publish(
            EngineStatus(
                alive=alive,
                device=str(mx.default_device()),
                blas=self._blas,
                machine=self._machine,
                models=tuple(models),
                running=sum(model.running for model in models),
                waiting=sum(model.waiting for model in models),
                active_memory=mx.get_active_memory(),
                cache_memory=mx.get_cache_memory(),
                peak_memory=self._pool.store.meter.peak,
                memory_budget=self._pool.budget,
                kept_memory=self._pool.store.nbytes,
                kept_on_disk=disk.nbytes if (disk := self._pool.store.prefixes.disk) is not None else 0,
            )
        )
        self._notify(Notice(NoticeKind.STATUS))

    def _describe(self, model_id: str, resident: Resident) -> LoadedModel:
        return LoadedModel(
            id=model_id,
            state=ModelState.UNLOADING if model_id in self._leaving else ModelState.READY,
            pinned=model_id in self._pool.pinned,
            memory_bytes=resident.memory_bytes,
            precision=resident.precision,
            load_s=resident.load_s,
            read_s=resident.read_s,
            loads=resident.loads,
            running=resident.runtime.running,
            waiting=resident.runtime.waiting,
        )


def _settle(future: Future[T], found: Resident | EngineError, answer: Callable[[Any], T]) -> None:
    """Answer a future with what `answer` makes of the model, or with the error; one that was cancelled is let be."""
    if not waited_for(future):
        return
    try:
        if isinstance(found, EngineError):
            raise found
        future.set_result(answer(found))
    except EngineError as error:
        future.set_exception(error.detached())
    except Exception as error:  # tokenizers and templates raise what they like
        future.set_exception(GenerationFailed(f"The request could not be read: {type(error).__name__}: {error}"))


def _done(future: Future[None]) -> None:
    if waited_for(future):
        future.set_result(None)
