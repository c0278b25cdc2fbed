"""Writing on a thread of its own, in order; what fails is kept and tried again until it succeeds."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

from core.errors import EngineError

T = TypeVar("T")

log = logging.getLogger(__name__)

RETRY_EVERY_S = 5.0


@dataclass(frozen=True, eq=False)
class Job:
    """Something to write. Jobs of one owner are done in order: where one fails, those behind it wait for it.

    One that `replaces` others, which have the same name and owner, is done in their stead where they have failed.
    """

    work: Callable[[], None]
    owner: object
    replaces: str = ""

    def makes_needless(self, other: Job) -> bool:
        return bool(self.replaces) and self.replaces == other.replaces and self.owner is other.owner


class SavingThread:
    """Does jobs and answers questions in the order in which they come.

    `on_change` is called on its thread with the reason when something cannot be written, and with "" when all is.
    `on_end` is called there last.
    """

    def __init__(self, name: str, on_change: Callable[[str], None], on_end: Callable[[], None]) -> None:
        self._on_change = on_change
        self._on_end = on_end
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._failed: list[Job] = []
        self._why = ""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    # -- from any thread ----------------------------------------------------------------------------------------------

    def put(self, job: Job) -> None:
        """Have something written, and what failed before it."""
        self._queue.put(lambda: self._do(job))

    def retry(self) -> None:
        """Try again what has failed, in its turn."""
        self._queue.put(self._try)

    async def ask(self, work: Callable[[], T]) -> T:
        """Run `work` in its turn and wait for what it gives, or raises."""
        future: Future[T] = Future()

        def job() -> None:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

        self._queue.put(job)
        return await asyncio.shield(asyncio.wrap_future(future))

    async def unsaved(self, owner: object = None) -> str:
        """Try again what has failed; returns why something of `owner`, or of anybody (None), still cannot be written,
        "" where everything is."""

        def look() -> str:
            self._try()
            return self._why if any(owner in (None, job.owner) for job in self._failed) else ""

        return await self.ask(look)

    def close(self, within_s: float) -> None:
        """Do what is left, and end. Blocks, for that long at most."""
        self._queue.put(None)
        self._thread.join(within_s)

    # -- on its thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                job = self._queue.get(timeout=RETRY_EVERY_S if self._failed else None)
            except queue.Empty:
                self._try()
                continue
            if job is None:
                break
            job()
        self._try()
        self._on_end()

    def _do(self, job: Job) -> None:
        self._failed = [*(other for other in self._failed if not job.makes_needless(other)), job]
        self._try()

    def _try(self) -> None:
        """Do all that is to be done, and keep what fails."""
        left: list[Job] = []
        why = ""
        for job in self._failed:
            if any(job.owner is other.owner for other in left):
                left.append(job)
                continue
            try:
                job.work()
            except EngineError as error:
                left.append(job)
                why = why or error.message
            except Exception as error:  # the thread has to go on: what comes next may well be written
                log.exception("A chat is not saved.")
                left.append(job)
                why = why or f"This is a fault of Assay: {error!r}. The log says more."
        self._failed = left
        if why != self._why:
            self._why = why
            self._on_change(why)
