"""Models on their way into memory: a piece at a time, so that others go on answering meanwhile."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass, field

import mlx.core as mx

from core.catalog import Catalog, Float32, ModelKind
from core.errors import EngineError, LoadFailed, ModelUnloaded, OutOfMemory
from core.mlx.kv.prefix_cache import SAVE_S
from core.mlx.models.precision import precision
from core.mlx.pool import Pool, Resident
from core.mlx.ranks.distributed import Ranks, fingerprint
from core.mlx.runtimes import load_steps, runtime_steps
from core.settings import Settings
from core.status import LoadedModel, ModelState, Notice, NoticeKind

log = logging.getLogger(__name__)

Ready = Callable[[Resident | EngineError], None]
"""What waits for a model; it is given that, or the error."""


@dataclass
class _Load:
    model_id: str
    began: float
    steps: Generator[float | None, None, Resident] | None = None
    fraction: float = 0.0
    memory: int = 0
    """Bytes that its pieces took so far; others prefill and decode between them."""
    begun: float = 0.0
    """When its first piece was; 0 means not yet."""
    alone: bool = True
    """Nothing else was worked on since."""
    waiters: list[tuple[Ready, object]] = field(default_factory=list)
    """What waits, and for whom."""


class Loads:
    """Models that were asked for and are not in the pool yet; the first asked for is loaded first, and the next ones
    while its chat template is tried.

    `evict` frees models of the pool; `notify` and `changed` say that there is something new to see.
    """

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        pool: Pool,
        ranks: Ranks,
        stream: mx.Stream,
        evict: Callable[[Collection[str]], None],
        notify: Callable[[Notice], None],
        changed: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._pool = pool
        self._ranks = ranks
        self._stream = stream
        self._evict = evict
        self._notify = notify
        self._changed = changed
        self._loads: dict[str, _Load] = {}
        self._counts: dict[str, int] = {}
        self._waiting: set[str] = set()
        """Models that had nothing to do but wait since another one was read."""

    def __len__(self) -> int:
        return len(self._loads)

    @property
    def names(self) -> list[str]:
        return list(self._loads)

    def ask(self, model_id: str, ready: Ready, whose: object = None) -> None:
        """Call `ready` once the model is in memory, or cannot be, unless `forget(whose)` comes before."""
        load = self._loads.get(model_id)
        if load is None:
            load = self._loads[model_id] = _Load(model_id, time.monotonic())
            self._notify(Notice(NoticeKind.MODEL_LOADING, model_id))
        load.waiters.append((ready, whose))
        self._changed()

    def forget(self, whose: object, give_up: bool = False) -> None:
        """Someone no longer waits. One that nobody wants is not begun; a load that has begun goes on, for whoever asks
        next, or is given up as well."""
        for load in list(self._loads.values()):
            left = [waiter for waiter in load.waiters if waiter[1] != whose]
            wanted = left or len(left) == len(load.waiters)
            load.waiters = left
            if wanted:
                continue
            if load.steps is None:
                del self._loads[load.model_id]
                self._notify(Notice(NoticeKind.MODEL_UNLOADED, load.model_id))
                self._changed()
            elif give_up:
                self.cancel(load.model_id, ModelUnloaded(f"Nobody waits for {load.model_id} any more."))

    def cancel(self, model_id: str, error: EngineError) -> bool:
        """Give a model up; who waits for it gets `error`. Returns whether it was on its way."""
        load = self._loads.pop(model_id, None)
        if load is None:
            return False
        _finish(load, error)
        self._pool.let_go(model_id)
        give_memory_back()
        self._notify(Notice(NoticeKind.MODEL_UNLOADED, model_id))
        self._changed()
        return True

    def close(self, error: EngineError) -> None:
        """Give all up; who waits gets `error`."""
        for load in list(self._loads.values()):
            _finish(load, error)
            self._pool.let_go(load.model_id)
        self._loads.clear()

    def step(self, leaving: Collection[str], busy: bool) -> None:
        """Read a piece of the first model; while that waits for its template to be tried, of the next one in the next
        step: between two steps it is heard who gives up. One that was asked for again while its last requests end holds
        up no other.

        While requests are `busy`, what gives way to the model is not written to disk first.
        """
        passed = {*leaving, *self._waiting}
        turn = next((load for name, load in self._loads.items() if name not in passed), None)
        if turn is not None and self._waits(turn, busy):
            self._waiting.add(turn.model_id)
        else:
            self._waiting.clear()

    def _waits(self, load: _Load, busy: bool) -> bool:
        """Read a piece of a model; returns whether it has nothing to do but wait, so that another's turn is now."""
        active = mx.get_active_memory()
        others = any(other.steps is not None for other in self._loads.values() if other is not load)
        load.alone = load.alone and not busy and not others
        try:
            if load.steps is None:
                load.begun = time.monotonic()
                load.steps = self._begin(load, busy)
                active = mx.get_active_memory()
            fraction = next(load.steps)
            load.memory += mx.get_active_memory() - active
            if fraction is None:
                return True
            load.fraction = fraction
            self._changed()  # the next piece may take seconds, in which nobody hears anything
        except StopIteration as finished:
            load.memory += mx.get_active_memory() - active
            self._loaded(load, finished.value)
        except OutOfMemory as error:
            if load.steps is None and others:  # there may be room when they have come, and are idle
                return True
            self._failed(load, error)
        except EngineError as error:
            self._failed(load, error)
        except Exception as error:  # MLX raises RuntimeError when an allocation fails
            self._failed(load, LoadFailed(f"{load.model_id} could not be loaded: {type(error).__name__}: {error}"))
        return False

    def describe(self) -> list[LoadedModel]:
        """What status says of them."""
        return [
            LoadedModel(load.model_id, ModelState.LOADING, progress=load.fraction, waiting=len(load.waiters))
            for load in self._loads.values()
        ]

    def _begin(self, load: _Load, busy: bool) -> Generator[float | None, None, Resident]:
        """Make room, and return what reads the model, on all ranks in step."""
        way, left, victims = self._ranks.decide(lambda: self._pool.room_for(self._catalog.get(load.model_id)))
        self._pool.store.shrink(left, 0.0 if busy else SAVE_S)
        if victims:
            self._evict(victims)
        return self._ranks.in_lockstep(
            self._steps(load, way), lambda: fingerprint(self._catalog.get(load.model_id).path)
        )

    def _steps(self, load: _Load, way: Float32 | None) -> Generator[float | None, None, Resident]:
        info = self._catalog.on_disk(load.model_id)
        self._pool.hold(info)
        if (disk := self._pool.store.prefixes.disk) is not None and info.kind in (ModelKind.TEXT, ModelKind.VISION):
            disk.open(info, way)
        loaded = yield from load_steps(info, info.id in self._settings.allow_code, self._ranks, way)
        try:
            runtime = yield from runtime_steps(info, loaded, self._settings, self._stream, self._pool.store)
            return Resident(runtime, precision(loaded.model))
        except Exception as error:
            raise LoadFailed(f"{load.model_id} could not be set up: {type(error).__name__}: {error}") from error

    def _loaded(self, load: _Load, resident: Resident) -> None:
        resident.loaded_at = resident.runtime.last_used = time.monotonic()
        resident.load_s = resident.loaded_at - load.began
        resident.read_s = resident.loaded_at - load.begun if load.alone else 0.0
        resident.memory_bytes = max(load.memory, 0)
        resident.loads = self._counts[load.model_id] = self._counts.get(load.model_id, 0) + 1
        self._pool.residents[load.model_id] = resident
        del self._loads[load.model_id]
        ready = LoadedModel(
            load.model_id,
            ModelState.READY,
            memory_bytes=resident.memory_bytes,
            precision=resident.precision,
            load_s=resident.load_s,
            read_s=resident.read_s,
            loads=resident.loads,
        )
        self._notify(Notice(NoticeKind.MODEL_READY, load.model_id, loaded=ready))
        _finish(load, resident)
        self._changed()

    def _failed(self, load: _Load, error: EngineError) -> None:
        self._loads.pop(load.model_id, None)
        self._pool.let_go(load.model_id)
        self._notify(Notice(NoticeKind.MODEL_FAILED, load.model_id, error.message))
        log.info("loading %s failed", load.model_id, exc_info=error)
        _finish(load, error.detached())
        give_memory_back()
        self._changed()


def give_memory_back() -> None:
    """What nothing holds any more goes back to the system now."""
    gc.collect()
    mx.clear_cache()


def _finish(load: _Load, found: Resident | EngineError) -> None:
    load.steps = None
    for ready, _ in load.waiters:
        ready(found)
