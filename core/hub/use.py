"""What a model means on this machine: when it last answered, and the memory that it may have."""

from __future__ import annotations

from core.chats.history import FILE, History
from core.errors import HistoryError
from core.settings import Settings


def last_used(settings: Settings) -> dict[str, float]:
    """By model, when it last wrote an answer in a kept chat: in seconds since the epoch; {} if unreadable."""
    file = settings.data_dir / FILE
    if not file.is_file():
        return {}
    try:
        with History(file) as history:
            return history.last_used()
    except HistoryError:
        return {}


def memory_budget(settings: Settings) -> int:
    """Bytes that models may take here, for programs that have no engine: MLX's core is imported to ask."""
    from core.mlx import budget

    return budget.memory_budget(settings)
