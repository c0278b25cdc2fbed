"""Figures on their way to the disk: taken from the engine in a moment, written by a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from core.calls.events import Finished
from core.calls.requests import GenerationRequest
from core.catalog import Catalog
from core.errors import EngineError, FiguresError
from core.figures.figure import Figure, figure_of_answer, figure_of_load
from core.status import EngineStatus, LoadedModel

if TYPE_CHECKING:
    from core.figures.store import Figures, Kept, Versions

log = logging.getLogger(__name__)

Taken = tuple[Figure, int]
"""A figure, and the bytes that its model takes in memory."""
Inbox = SimpleQueue[Taken | None]


class Recorder:
    """Keeps what an engine's requests and loads say. For any thread; nothing here raises, and only `close` waits.

    What cannot be written is dropped, and that is logged: no request fails on account of a figure.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.written = 0
        """How many figures have been written: who shows some looks again when it has changed."""
        self.source = ""
        """Who asks for loads: BENCHMARK for a benchmark."""
        self._catalog = catalog
        self._lock = threading.Lock()
        self._running: tuple[threading.Thread, Inbox] | None = None

    def answered(self, request: GenerationRequest, finished: Finished, status: EngineStatus) -> None:
        """A request has ended. Called on the MLX thread."""
        if (figure := figure_of_answer(request, finished, status)) is not None:
            self._put(figure, next(model.memory_bytes for model in status.models if model.id == request.model))

    def loaded(self, model: LoadedModel, machine: str) -> None:
        """A model is in memory. Called on the MLX thread."""
        if (figure := figure_of_load(model, machine, self.source)) is not None:
            self._put(figure, model.memory_bytes)

    def close(self, within_s: float) -> None:
        """Write what was taken, for at most so many seconds, and let go of the file. Later figures open it again."""
        with self._lock:
            running, self._running = self._running, None
        if running is not None:
            thread, inbox = running
            inbox.put(None)
            thread.join(within_s)

    def _put(self, figure: Figure, in_memory: int) -> None:
        with self._lock:
            if self._running is None:
                inbox: Inbox = SimpleQueue()
                thread = threading.Thread(target=self._run, args=(inbox,), name="assay-figures", daemon=True)
                self._running = (thread, inbox)
                thread.start()
            self._running[1].put((figure, in_memory))

    def _run(self, inbox: Inbox) -> None:
        """Write what comes, all that is there in one go, until None does."""
        figures: Figures | None = None
        ended = False
        while not ended:
            taken = [inbox.get(), *_rest(inbox)]
            ended = None in taken
            try:
                figures = figures or self._open()
                kept = [kept for one in taken if one is not None and (kept := self._kept(*one)) is not None]
                if kept:
                    figures.add(kept)
                    self.written += len(kept)
            except FiguresError as error:
                log.warning("figures are not kept: %s", error)
            except Exception:
                log.exception("figures are not kept")
        if figures is not None:
            try:
                figures.close()
            except FiguresError as error:
                log.warning("%s", error)

    def _open(self) -> Figures:
        from core.figures.store import Figures

        return Figures(self._catalog.settings.figures_file)

    def _kept(self, figure: Figure, in_memory: int) -> Kept | None:
        from core.figures.shape import shape_of
        from core.figures.store import Kept

        try:
            info = self._catalog.get(figure.model)
        except EngineError:  # it has been deleted meanwhile
            return None
        return Kept(figure, info.revision or "", shape_of(info, in_memory), versions())


def _rest(inbox: Inbox) -> Iterator[Taken | None]:
    while True:
        try:
            yield inbox.get_nowait()
        except Empty:
            return


@cache
def versions() -> Versions:
    """Of the programs that run here; "" for one that is not installed."""
    from core.figures.store import Versions

    def of(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return ""

    return Versions(of("mlx-assay"), of("mlx"), of("mlx-lm"), of("mlx-vlm"))
