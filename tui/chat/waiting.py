"""What a request waits for that has not begun, in words. The facts are the engine's, in its status."""

from __future__ import annotations

from core.status import EngineStatus
from tui.foreign import one_line, short_name


def load_ahead(status: EngineStatus | None, model: str) -> str:
    """The load that a request to `model` waits for: its own, or the one before it; "" where none goes on."""
    loads = status.loads if status is not None else ()
    if not loads:
        return ""
    names = [load.id for load in loads]
    now = f"{one_line(short_name(names[0]))}, {loads[0].progress * 100:.0f} %"
    if names[0] == model:
        return f"loading {now}"
    between = names.index(model) - 1 if model in names else 0
    return f"behind the load of {now}{f', and {between} more' if between else ''}"
