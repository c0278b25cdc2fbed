"""The one thread that owns MLX for the life of the process: commands in, one step of every busy model, events out."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from core.catalog import Catalog
from core.errors import EngineClosed
from core.settings import Settings
from core.status import EngineStatus, Notice

if TYPE_CHECKING:
    from core.mlx.scheduler import Scheduler

log = logging.getLogger(__name__)

Command = Callable[["Scheduler"], None]


class MlxThread:
    """Posts commands to a `Scheduler` that lives on its own thread.

    MLX arrays that are not yet evaluated belong to the thread that made them, so loading, generating and freeing all
    happen here. MLX itself is imported here too: a face can paint before.
    """

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        notify: Callable[[Notice], None],
        publish: Callable[[EngineStatus], None],
        on_death: Callable[[], None],
    ) -> None:
        self._on_death = on_death
        self._make: Callable[[], Scheduler] = partial(_make_scheduler, settings, catalog, notify, publish)
        self._commands: deque[Command] = deque()
        self._wake = threading.Condition()
        self._closing = False
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

    def close(self) -> None:
        """End every request, free the models, end the thread, and wait for that."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread.ident is not None and threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        try:
            scheduler = self._make()
        except BaseException as error:
            log.exception("the MLX thread could not start")
            self._give_up(error)
            return
        try:
            while True:
                with self._wake:
                    while not self._commands and not self._closing and not scheduler.busy:
                        patience = scheduler.until_idle()
                        if patience == 0:
                            break
                        self._wake.wait(patience)
                    commands = list(self._commands)
                    self._commands.clear()
                    closing = self._closing
                for command in commands:
                    try:
                        command(scheduler)
                    except Exception:
                        log.exception("a command failed on the MLX thread")
                if closing:
                    break
                if scheduler.busy:
                    scheduler.step()
                elif scheduler.until_idle() == 0:
                    scheduler.unload_idle()
        except BaseException as error:
            log.exception("the MLX thread died")
            self._give_up(error)
        finally:
            scheduler.close(EngineClosed("The engine has stopped; start it again to go on."))

    def _give_up(self, error: BaseException) -> None:
        with self._wake:
            self.failure = error
            self._closing = True
        self._on_death()


def _make_scheduler(
    settings: Settings,
    catalog: Catalog,
    notify: Callable[[Notice], None],
    publish: Callable[[EngineStatus], None],
) -> Scheduler:
    from core.mlx.scheduler import Scheduler

    return Scheduler(settings, catalog, notify, publish)
