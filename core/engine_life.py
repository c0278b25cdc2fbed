"""An engine's life behind its door: the MLX thread begun and ended, commands on their way to it, and who listens."""

from __future__ import annotations

import atexit
import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar

from core.calls.stream import Work
from core.catalog import Catalog
from core.errors import EngineClosed, EngineError, ended
from core.figures.recorder import Recorder
from core.launch import launched_rank
from core.mlx.commands import Command, Ready
from core.mlx.counter import Counter
from core.mlx.thread import MlxThread
from core.settings import Settings, load_settings
from core.status import EngineStatus, ModelState, Notice, NoticeKind

log = logging.getLogger(__name__)

T = TypeVar("T")

CLOSE_WITHIN_S = 3.0
"""Seconds in which an engine that closes can be expected to end what it is at: a step, or a piece of a load."""

FIGURES_WITHIN_S = 2.0
"""Seconds in which the last figures can be expected on the disk."""

_started: weakref.WeakSet[EngineLife] = weakref.WeakSet()
_left_behind: list[MlxThread] = []
"""Threads of closed engines that were still at work."""


def close_all() -> bool:
    """Close every engine of this process. Returns whether nothing is at work any more: see `Engine.close`."""
    for engine in list(_started):
        if engine.rank == 0:
            engine.close()
    return all(thread.join(0.0) for thread in _left_behind)


@atexit.register
def _end() -> None:
    """A program that ends with a busy engine: MLX aborts the process if its thread is still at work by then."""
    close_all()
    for thread in _left_behind:
        thread.join()


class EngineLife:
    """What every wish to an engine stands on; `core.engine.Engine` has the wishes."""

    def __init__(self, settings: Settings | None = None, catalog: Catalog | None = None) -> None:
        self.settings = settings or load_settings()
        self.catalog = catalog or Catalog(self.settings)
        self.rank = launched_rank() or 0
        """This process's place under mlx.launch. Rank 0 takes the requests, as an engine does that is alone."""
        self._thread: MlxThread | None = None
        self._status = EngineStatus(alive=False, device="")
        self._listeners: list[Callable[[Notice], None]] = []
        self._lock = threading.Lock()
        self._open: list[Work] = []
        self._futures: set[Future[Any]] = set()
        self._refusing = False
        self._stopping: set[str] = set()
        """Models whose load is to be given up; the thread hears of it after the piece that it reads."""
        self._counter = Counter(self.catalog, self.settings.allow_code, self._await_ready)
        self.figures = Recorder(self.catalog) if self.settings.keep_figures and self.rank == 0 else None
        """Keeps what requests and loads say of their models; None where the settings want none, and for other ranks."""

    def start(self) -> Self:
        """Start the MLX thread (which imports MLX there). Idempotent; `with Engine() as engine` does it too.

        An engine that has died is started anew, without its models.
        """
        if self._thread is not None and self._thread.failure is not None and launched_rank() is None:
            self.close()
        with self._lock:
            if self._thread is None:
                self._refusing = False
                self._thread = MlxThread(self.settings, self.catalog, self._notify, self._publish, self._died)
                self._thread.start()
                _started.add(self)
        return self

    def ready(self) -> Future[None]:
        """Done once MLX has been imported and the engine takes commands; raises EngineClosed if that fails."""
        self._check_open()
        return self._ready()

    def _ready(self) -> Future[None]:
        future: Future[None] = self._track(Future())
        self._hand_on(Ready(future))
        return future

    def _await_ready(self) -> None:
        self._ready().result()

    def close(self, drain_s: float = 0.0) -> None:
        """Refuse new work, let running generations go on for `drain_s` seconds, fail the rest, free all. Blocks.

        A thread that is still at a step or at a piece of a load after CLOSE_WITHIN_S is left behind: it ends after
        that, and the process waits for it at its usual end. Under mlx.launch it is waited for here, since other ranks
        depend on it; on a rank above 0 until rank 0 closes.
        """
        with self._lock:
            self._refusing = True
            thread = self._thread
        if thread is None:
            return
        deadline = time.monotonic() + drain_s
        for work in self._unfinished():
            work.wait(max(deadline - time.monotonic(), 0.0))
        self._counter.close()
        if not thread.close(CLOSE_WITHIN_S if launched_rank() is None else None):
            log.error("The engine did not end within %.0f s; it is left behind.", CLOSE_WITHIN_S)
            _left_behind.append(thread)
        self._abandon()
        with self._lock:
            self._thread = None
            _started.discard(self)
        if self.figures is not None:
            self.figures.close(FIGURES_WITHIN_S)

    def follow(self) -> None:
        """On a rank above 0: do what rank 0 does until it closes its engine. Blocks; raises EngineClosed if it dies."""
        thread = self._thread
        if thread is None:
            raise self._closed()
        thread.join()
        if thread.failure is not None:
            raise self._closed()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def status(self) -> EngineStatus:
        """A snapshot, without waiting for the MLX thread."""
        status, stopping = self._status, self._stopping
        if not stopping:
            return status
        models = (
            replace(model, state=ModelState.STOPPING)
            if model.state is ModelState.LOADING and model.id in stopping
            else model
            for model in status.models
        )
        return replace(status, models=tuple(models))

    @property
    def failure(self) -> str | None:
        """Why the engine has died, in a sentence; None where it has not, and once it is started anew."""
        if (thread := self._thread) is None or thread.failure is None:
            return None
        failure = thread.failure
        return failure.message if isinstance(failure, EngineError) else ended(f"{type(failure).__name__}: {failure}")

    def listen(self, listener: Callable[[Notice], None]) -> Callable[[], None]:
        """Call `listener` on every notice, on the MLX thread, which waits for it; returns the function that ends it.

        One that raises is not called again.
        """
        with self._lock:
            self._listeners = [*self._listeners, listener]

        def end() -> None:
            with self._lock:
                self._listeners = [other for other in self._listeners if other is not listener]

        return end

    # ----------------------------------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        """Raise EngineClosed where no command would be taken."""
        if self.rank > 0:
            raise EngineClosed(f"This is rank {self.rank} of a launch: it follows rank 0, which takes the requests.")
        if self._refusing or self._thread is None or not self._thread.alive:
            raise self._closed()

    def _post(self, command: Command) -> None:
        self._check_open()
        self._hand_on(command)

    def _hand_on(self, command: Command) -> None:
        if (thread := self._thread) is None or not thread.post(command):
            raise self._closed()

    def _closed(self) -> EngineError:
        if (reason := self.failure) is None:
            return EngineClosed("The engine is not running.")
        again = "Start it again." if launched_rank() is None else "Launch all ranks again."
        return EngineClosed(f"The engine has died: {reason} {again}")

    def _track(self, future: Future[T]) -> Future[T]:
        """Remember a future until it is done, so that the engine's end answers it."""
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future

    def _abandon(self) -> None:
        """Answer everyone whom the thread can no longer answer."""
        for work in self._unfinished():
            work.fail(self._closed())
        for future in list(self._futures):
            if not future.done():
                with contextlib.suppress(InvalidStateError):  # a thread that was left behind has been quicker
                    future.set_exception(self._closed())

    def _died(self) -> None:
        self._publish(replace(self._status, alive=False, models=()))
        self._abandon()
        self._notify(Notice(NoticeKind.ENGINE_DIED, message=self.failure or ""))

    def _unfinished(self) -> list[Work]:
        with self._lock:
            return [work for work in self._open if not work.done]

    def _notify(self, notice: Notice) -> None:
        if notice.loaded is not None and self.figures is not None:
            self.figures.loaded(notice.loaded, self._status.machine)
        for listener in self._listeners:
            try:
                listener(notice)
            except Exception:
                log.exception("a listener raised, and is not called again")
                with self._lock:
                    self._listeners = [other for other in self._listeners if other is not listener]

    def _publish(self, status: EngineStatus) -> None:
        self._status = status
