"""What a model means on this machine: when it was last used, and the memory that it may have."""

from __future__ import annotations

import contextlib
from pathlib import Path

from core.chats.history import FILE, History
from core.errors import FiguresError, HistoryError
from core.figures.store import Figures
from core.settings import Settings


def last_used(settings: Settings) -> dict[str, float]:
    """By model, when it last wrote an answer in a kept chat, or left a figure: in seconds since the epoch.

    What cannot be read counts for nothing.
    """
    found: dict[str, float] = {}
    files: tuple[tuple[Path, type[History] | type[Figures]], ...] = (
        (settings.data_dir / FILE, History),
        (settings.figures_file, Figures),
    )
    for path, kind in files:
        if path.is_file():
            with contextlib.suppress(HistoryError, FiguresError), kind(path) as kept:
                for model, when in kept.last_used().items():
                    found[model] = max(when, found.get(model, 0.0))
    return found


def memory_budget(settings: Settings) -> int:
    """Bytes that models may take here, for programs that have no engine: MLX's core is imported to ask."""
    from core.mlx import budget

    return budget.memory_budget(settings)
