"""The one thread that owns MLX for the life of the process: commands in, one step of every busy model, events out."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from core.catalog import Catalog
from core.errors import EngineClosed, EngineError
from core.launch import launched_rank
from core.mlx.commands import Close, Command, Save, UnloadIdle
from core.settings import Settings
from core.status import EngineStatus, Notice

if TYPE_CHECKING:
    from core.mlx.ranks.distributed import Ranks
    from core.mlx.scheduler import Scheduler

log = logging.getLogger(__name__)


class MlxThread:
    """Posts commands to a `Scheduler` that lives on its own thread.

    MLX arrays that are not yet evaluated belong to the thread that made them, so loading, generating and freeing all
    happen here. MLX itself is imported here too: a face can paint before.

    Under mlx.launch every rank has such a thread. Rank 0's tells the others what to do; they are posted nothing.
    """

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        notify: Callable[[Notice], None],
        publish: Callable[[EngineStatus], None],
        on_death: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._on_death = on_death
        self._make: Callable[[Ranks], Scheduler] = partial(_make_scheduler, settings, catalog, notify, publish)
        self._commands: deque[Command] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._launched = launched_rank() is not None
        self._stuck = False
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="assay-mlx", daemon=True)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self._closing

    def start(self) -> None:
        self._thread.start()

    def post(self, command: Command) -> bool:
        """Run `command` on the thread soon; False when the thread has ended or is about to."""
        with self._wake:
            if self._closing:
                return False
            self._commands.append(command)
            self._wake.notify()
            return True

    def close(self, within_s: float | None = None) -> bool:
        """End every request, free the models, end the thread, and `join` it. On a follower: wait for rank 0's."""
        with self._wake:
            if not self._closing:
                self._closing = True
                self._commands.append(Close())
            self._wake.notify()
        if self._thread.ident is not None and threading.current_thread() is not self._thread:
            return self.join(within_s)
        return True

    def join(self, within_s: float | None = None) -> bool:
        """Wait until the thread has ended, or is known to wait for a rank that has gone silent.

        Returns False where it is still at work after `within_s` seconds; None waits as long as it takes.
        """
        deadline = None if within_s is None else time.monotonic() + within_s
        while self._thread.is_alive() and not self._stuck:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            self._thread.join(0.5 if self._launched else left)
        return True

    def _run(self) -> None:
        try:
            ranks = _connect(self._settings)
            scheduler = self._make(ranks)
        except BaseException as error:
            log.exception("the MLX thread could not start")
            _clear_streams()
            self._give_up(error)
            return
        ranks.watch(self._lost)
        try:
            commands: list[Command] = []
            while self.failure is None:
                commands = self._follow(scheduler, ranks, commands) if ranks.rank else self._take(scheduler, ranks)
                commands = ranks.share(commands, scheduler.busy, scheduler.position)
                for command in commands:
                    try:
                        command.run(scheduler)
                    except Exception:
                        log.exception("a command failed on the MLX thread")
                if any(isinstance(command, Close) for command in commands):
                    break
                if scheduler.busy:
                    scheduler.step()
        except BaseException as error:
            log.exception("the MLX thread died")
            self._give_up(error)
        finally:
            ranks.close()
            scheduler.close(EngineClosed("The engine has stopped; start it again to go on."))

    def _take(self, scheduler: Scheduler, ranks: Ranks) -> list[Command]:
        """What was posted, once there is something to do."""
        with self._wake:
            while not self._commands and not scheduler.busy and not ranks.owed:
                patience, rest = scheduler.until_idle(), scheduler.until_save()
                if patience == 0:
                    return [UnloadIdle(scheduler.expired())]
                if rest == 0:
                    return [Save()]
                if ranks.size == 1:
                    self._wake.wait(min((wait for wait in (patience, rest) if wait is not None), default=None))
                else:
                    self._wake.wait(ranks.nap_s)
                    break  # the followers want a word, even if it is that there is nothing to do
            commands = list(self._commands)
            self._commands.clear()
            return commands

    def _follow(self, scheduler: Scheduler, ranks: Ranks, last: list[Command]) -> list[Command]:
        """Nothing: a follower's commands come from rank 0. Where there is nothing to do, it rests as long as that."""
        if not last and not scheduler.busy and not ranks.owed:
            time.sleep(ranks.nap_s)
        return []

    def _lost(self, error: EngineError) -> None:
        """Called on another thread: this one waits inside MLX for a rank that does not answer."""
        self._stuck = True
        log.error("%s", error)
        self._give_up(error)

    def _give_up(self, error: BaseException) -> None:
        with self._wake:
            self.failure = error
            self._closing = True
        self._on_death()


def _clear_streams() -> None:
    """Before the thread ends without a scheduler that would do it: live streams would abort the process at its exit."""
    if "mlx.core" in sys.modules:
        sys.modules["mlx.core"].clear_streams()


def _connect(settings: Settings) -> Ranks:
    """The other ranks, if there are any. First comes what has to be in place before MLX and transformers are."""
    from core import blas
    from core.mlx import open_files
    from core.mlx.models import lazy_tables

    blas.install(settings.cpu_openblas, settings.cache_dir)
    lazy_tables.install(settings.cache_dir / "tables")
    open_files.keep_limit()
    from core.mlx.ranks.distributed import connect

    return connect(launched_rank())


def _make_scheduler(
    settings: Settings,
    catalog: Catalog,
    notify: Callable[[Notice], None],
    publish: Callable[[EngineStatus], None],
    ranks: Ranks,
) -> Scheduler:
    from core.mlx.scheduler import Scheduler

    return Scheduler(settings, catalog, notify, publish, ranks)
