"""The lines of models' figures for the panel: read off the event loop, and again when there may be new ones."""

from __future__ import annotations

import logging

from core.catalog import ModelInfo
from core.errors import FiguresError
from core.figures.expect import known_figures
from core.status import EngineStatus
from tui.models.figure_lines import Line, known_lines
from tui.models.fit import free
from tui.services import Services

log = logging.getLogger(__name__)


class FigureReader:
    """Holds the lines that were read last, by model. `read` may be called on any thread, the rest on the event loop."""

    def __init__(self, services: Services) -> None:
        self._path = services.settings.figures_file
        self._figures = services.engine.figures
        self._lines: dict[str, tuple[Line, ...]] = {}
        self._seen: dict[str, int] = {}
        """By model, how many figures this program had written when its own were asked for."""

    def lines(self, model: str) -> tuple[Line, ...]:
        """What is known so far, without waiting."""
        return self._lines.get(model, ())

    def is_stale(self, model: str) -> bool:
        """Whether figures were written since this model's were asked for."""
        return self._seen.get(model) != self._written

    def ask(self, model: str) -> None:
        """Take note that a model's figures are read next."""
        self._seen[model] = self._written

    @property
    def _written(self) -> int:
        return self._figures.written if self._figures is not None else 0

    def read(self, info: ModelInfo, status: EngineStatus) -> None:
        """Read a model's figures. Waits for the disk, and raises nothing: an unreadable file has none."""
        try:
            known = known_figures(self._path, info.id, info, status.machine, free(status))
        except FiguresError as error:
            log.info("%s", error)
            return
        self._lines[info.id] = known_lines(*known)
