"""What the MLX thread does next: loads advance a piece at a time, models take turns step by step."""

from __future__ import annotations

import gc
import logging
import time
import zlib
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import mlx.core as mx

from core import blas
from core.calls.clock import Clock
from core.calls.events import Finished, FinishReason, Loading, Timing, Usage
from core.calls.requests import GenerationRequest
from core.calls.stream import Work
from core.catalog import Catalog, Float32, ModelKind
from core.compute import on_linux_cpu
from core.errors import EngineError, GenerationFailed, LoadFailed, ModelUnloaded
from core.mlx.kv.prefix_cache import SAVE_S
from core.mlx.models.loading import quiet_transformers
from core.mlx.models.offline import stay_offline
from core.mlx.models.precision import precision
from core.mlx.pool import Pool
from core.mlx.ranks.distributed import ALONE, Ranks, fingerprint
from core.mlx.runtimes import ModelRuntime, load_steps, make_runtime
from core.settings import Settings
from core.status import EngineStatus, LoadedModel, ModelState, Notice, NoticeKind

log = logging.getLogger(__name__)

STATUS_INTERVAL_S = 0.1

QUIET_S = 30.0
"""Seconds without work after which KV is written to disk: in a conversation that goes on, every turn would be."""

SHARED_SETTINGS = ("max_batch", "prefill_chunk", "cache_budget_gb")
"""What a step consists of follows from these: under mlx.launch rank 0's hold on every rank."""

T = TypeVar("T")


@dataclass
class _Load:
    """A model on its way into memory, and who waits for it. `waiters` get the runtime or the error."""

    model_id: str
    began: float
    steps: Generator[float, None, ModelRuntime] | None = None
    fraction: float = 0.0
    memory: int = 0
    """Bytes that its pieces took so far; others prefill and decode between them."""
    waiters: list[Callable[[ModelRuntime | EngineError], None]] = field(default_factory=list)


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
        self._loads: dict[str, _Load] = {}
        self._load_counts: dict[str, int] = {}
        self._leaving: dict[str, list[Future[None]]] = {}
        self._published = 0.0
        self._blas = str(blas.install())
        if mx.metal.is_available():  # once for the process: BatchGenerators then restore the value they found
            mx.set_wired_limit(int(mx.device_info()["max_recommended_working_set_size"]))
        self.publish()

    # -- commands ----------------------------------------------------------------------------------------------------

    def submit(self, work: Work, submitted: float) -> None:
        """Queue a request with its model, loading that first if need be."""
        if work.done:
            return

        def ready(found: ModelRuntime | EngineError) -> None:
            if isinstance(found, EngineError):
                work.fail(found)
            elif not work.done:
                load_s = max(found.loaded_at - submitted, 0.0) if loading else 0.0
                found.submit(work, Clock(submitted, load_s))

        model_id = work.request.model
        loading = model_id not in self._pool.runtimes or model_id in self._leaving
        if loading:
            work.feed(Loading(model_id))
        self._with_model(model_id, ready)

    def cancel(self, work: Work) -> None:
        """End a request wherever it is."""
        runtime = self._pool.runtimes.get(work.request.model)
        if runtime is None or not runtime.cancel(work):
            work.feed(Finished(FinishReason.CANCELLED, Usage(), Timing()))
        self.publish()

    def load(self, model_id: str, pin: bool, future: Future[LoadedModel]) -> None:
        """Load a model; the future gets what status says of it."""

        def ready(found: ModelRuntime | EngineError) -> None:
            if pin and not isinstance(found, EngineError):
                self._pool.pinned.add(model_id)
            self.publish()
            _settle(future, found, lambda runtime: self._describe(model_id, runtime))

        self._with_model(model_id, ready)

    def unpin(self, model_id: str, future: Future[None]) -> None:
        """Let a model be evicted again."""
        self._pool.pinned.discard(model_id)
        self.publish()
        _done(future)

    def count(self, request: GenerationRequest, future: Future[int]) -> None:
        """Count a request's prompt tokens with its model's tokenizer."""

        def ready(found: ModelRuntime | EngineError) -> None:
            _settle(future, found, lambda runtime: runtime.count_tokens(request))

        self._with_model(request.model, ready)

    def unload(self, model_id: str, cancel: bool, future: Future[None]) -> None:
        """Free a model once it is idle, or at once."""
        load = self._loads.pop(model_id, None)
        if load is not None:
            self._finish_load(load, ModelUnloaded(f"Loading {model_id} was cancelled."))
            _give_memory_back()
            self._notify(Notice(NoticeKind.MODEL_UNLOADED, model_id))
            self.publish()
        runtime = self._pool.runtimes.get(model_id)
        if runtime is None:
            try:
                if load is None:
                    self._catalog.get(model_id)
            except EngineError as error:
                if future.set_running_or_notify_cancel():
                    future.set_exception(error.detached())
            else:
                _done(future)
            return
        self._leaving.setdefault(model_id, []).append(future)
        if cancel or not runtime.busy:
            self._free(model_id)
        self.publish()

    def close(self, error: EngineError) -> None:
        """End everything with `error` and free all memory."""
        for load in list(self._loads.values()):
            self._finish_load(load, error)
        self._loads.clear()
        self._free(*self._pool.runtimes, error=error)
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
        models = [(name, runtime.running, runtime.waiting) for name, runtime in self._pool.runtimes.items()]
        return zlib.crc32(repr((models, list(self._loads), list(self._leaving))).encode())

    @property
    def busy(self) -> bool:
        return bool(self._loads) or self._working

    @property
    def _working(self) -> bool:
        return any(runtime.busy for runtime in self._pool.runtimes.values())

    def step(self) -> None:
        """One step of every busy model, then one piece of the first load."""
        for model_id, runtime in list(self._pool.runtimes.items()):
            if runtime.busy:
                runtime.step()
            if model_id in self._leaving and not runtime.busy:
                self._free(model_id)
        # A model that was asked for again while its last requests end holds up no other.
        if (load := next((load for name, load in self._loads.items() if name not in self._leaving), None)) is not None:
            self._advance(load)
        if time.monotonic() - self._published >= STATUS_INTERVAL_S or not self.busy:
            self.publish()

    def until_idle(self) -> float | None:
        """Seconds until a model has been idle for as long as the settings allow; None when no model ever will."""
        minutes = self._settings.idle_unload_minutes
        idle = self._idle()
        if minutes is None or not idle:
            return None
        return max(min(runtime.last_used for runtime in idle.values()) + 60 * minutes - time.monotonic(), 0.0)

    def until_save(self) -> float | None:
        """Seconds until it is quiet enough to write KV to disk; None when all is there that shall be."""
        if not self._pool.kept.prefixes.unsaved:
            return None
        last = max((runtime.last_used for runtime in self._pool.runtimes.values()), default=0.0)
        return max(last + QUIET_S - time.monotonic(), 0.0)

    def save(self) -> None:
        """Write a piece of KV to disk."""
        self._pool.kept.prefixes.save_piece()
        if not self._pool.kept.prefixes.unsaved:
            self.publish()

    def expired(self) -> tuple[str, ...]:
        """The models whose time is up."""
        patience = 60 * (self._settings.idle_unload_minutes or 0)
        return tuple(name for name, idle in self._idle().items() if idle.last_used + patience <= time.monotonic())

    def unload_idle(self, models: tuple[str, ...]) -> None:
        """Free these models, unless they have been asked for meanwhile."""
        for model_id in models:
            if model_id in self._idle():
                self._free(model_id)

    def _idle(self) -> dict[str, ModelRuntime]:
        return {
            name: runtime
            for name, runtime in self._pool.runtimes.items()
            if not runtime.busy and name not in self._pool.pinned
        }

    # -- loading -----------------------------------------------------------------------------------------------------

    def _with_model(self, model_id: str, ready: Callable[[ModelRuntime | EngineError], None]) -> None:
        """Call `ready` with the runtime, now or when it is loaded."""
        runtime = self._pool.runtimes.get(model_id)
        if runtime is not None and model_id not in self._leaving:
            ready(runtime)
            return
        load = self._loads.get(model_id)
        if load is None:
            load = self._loads[model_id] = _Load(model_id, time.monotonic())
            self._notify(Notice(NoticeKind.MODEL_LOADING, model_id))
            self.publish()
        load.waiters.append(ready)

    def _advance(self, load: _Load) -> None:
        active = mx.get_active_memory()
        try:
            if load.steps is None:
                way, left, victims = self._ranks.decide(lambda: self._pool.room_for(self._catalog.get(load.model_id)))
                self._pool.kept.shrink(left, 0.0 if self._working else SAVE_S)
                if victims:
                    self._free(*victims)
                active = mx.get_active_memory()
                load.steps = self._ranks.together(
                    self._load_steps(load.model_id, way), lambda: fingerprint(self._catalog.get(load.model_id).path)
                )
            load.fraction = next(load.steps)
            load.memory += mx.get_active_memory() - active
        except StopIteration as finished:
            load.memory += mx.get_active_memory() - active
            self._loaded(load, finished.value)
        except EngineError as error:
            self._drop(load, error)
        except Exception as error:  # MLX raises RuntimeError when an allocation fails
            self._drop(load, LoadFailed(f"{load.model_id} could not be loaded: {type(error).__name__}: {error}"))

    def _load_steps(self, model_id: str, way: Float32 | None) -> Generator[float, None, ModelRuntime]:
        info = self._catalog.get(model_id)
        if (disk := self._pool.kept.prefixes.disk) is not None and info.kind in (ModelKind.TEXT, ModelKind.VISION):
            disk.open(info, way)
        loaded = yield from load_steps(info, info.id in self._settings.allow_code, self._ranks, way)
        try:
            runtime = make_runtime(info, loaded, self._settings, self._stream, self._pool.kept)
            runtime.precision = precision(loaded.model)
            return runtime
        except Exception as error:
            raise LoadFailed(f"{model_id} could not be set up: {type(error).__name__}: {error}") from error

    def _loaded(self, load: _Load, runtime: ModelRuntime) -> None:
        runtime.loaded_at = runtime.last_used = time.monotonic()
        runtime.load_s = runtime.loaded_at - load.began
        runtime.memory_bytes = max(load.memory, 0)
        self._load_counts[load.model_id] = self._load_counts.get(load.model_id, 0) + 1
        self._pool.runtimes[load.model_id] = runtime
        del self._loads[load.model_id]
        self._notify(Notice(NoticeKind.MODEL_READY, load.model_id))
        self._finish_load(load, runtime)
        self.publish()

    def _drop(self, load: _Load, error: EngineError) -> None:
        self._loads.pop(load.model_id, None)
        self._notify(Notice(NoticeKind.MODEL_FAILED, load.model_id, error.message))
        log.info("loading %s failed", load.model_id, exc_info=error)
        self._finish_load(load, error.detached())
        _give_memory_back()
        self.publish()

    def _finish_load(self, load: _Load, found: ModelRuntime | EngineError) -> None:
        load.steps = None
        for ready in load.waiters:
            ready(found)

    def _free(self, *model_ids: str, error: EngineError | None = None) -> None:
        """End these models and their requests, and give all their memory back at once."""
        for model_id in model_ids:
            self._pool.runtimes.pop(model_id).close(error)
            self._pool.pinned.discard(model_id)
        _give_memory_back()
        for model_id in model_ids:
            self._notify(Notice(NoticeKind.MODEL_UNLOADED, model_id))
            for future in self._leaving.pop(model_id, []):
                _done(future)
        self.publish()

    # -- status ------------------------------------------------------------------------------------------------------

    def publish(self, alive: bool = True) -> None:
        """Put a fresh snapshot where every thread can read it."""
        self._published = time.monotonic()
        models = [self._describe(name, runtime) for name, runtime in self._pool.runtimes.items()]
        models += [
            LoadedModel(load.model_id, ModelState.LOADING, progress=load.fraction, waiting=len(load.waiters))
            for load in self._loads.values()
        ]
        self._publish(
            EngineStatus(
                alive=alive,
                device=str(mx.default_device()),
                blas=self._blas,
                models=tuple(models),
                running=sum(model.running for model in models),
                waiting=sum(model.waiting for model in models),
                active_memory=mx.get_active_memory(),
                cache_memory=mx.get_cache_memory(),
                peak_memory=mx.get_peak_memory(),
                memory_budget=self._pool.budget,
                kept_memory=self._pool.kept.nbytes,
                kept_on_disk=disk.nbytes if (disk := self._pool.kept.prefixes.disk) is not None else 0,
            )
        )
        self._notify(Notice(NoticeKind.STATUS))

    def _describe(self, model_id: str, runtime: ModelRuntime) -> LoadedModel:
        return LoadedModel(
            id=model_id,
            state=ModelState.UNLOADING if model_id in self._leaving else ModelState.READY,
            pinned=model_id in self._pool.pinned,
            memory_bytes=runtime.memory_bytes,
            precision=runtime.precision,
            load_s=runtime.load_s,
            loads=self._load_counts.get(model_id, 0),
            running=runtime.running,
            waiting=runtime.waiting,
        )


def _settle(future: Future[T], found: ModelRuntime | EngineError, answer: Callable[[Any], T]) -> None:
    """Answer a future with what `answer` makes of the runtime, or with the error; one that was cancelled is let be."""
    if not future.set_running_or_notify_cancel():
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
    if future.set_running_or_notify_cancel():
        future.set_result(None)


def _give_memory_back() -> None:
    gc.collect()
    mx.clear_cache()
