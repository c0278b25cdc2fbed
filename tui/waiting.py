"""Models on their way into memory, and what a request waits for that has not begun, in words.

The facts are the engine's, in its status.
"""

from __future__ import annotations

from core.status import EngineStatus, LoadedModel, ModelState
from tui.foreign import one_line, short_name

QUEUED = "queued"


def coming(status: EngineStatus | None, model: str) -> str:
    """Where a model is on its way: "loading", "stopping" or "queued" behind another; "" for one that is not on it."""
    loads = status.loads if status is not None else ()
    load = next((load for load in loads if load.id == model), None)
    if load is None:
        return ""
    return QUEUED if load.state is ModelState.LOADING and load is not loads[0] else load.state.value


def progress(load: LoadedModel) -> str:
    """How far a load is."""
    return f"{load.progress * 100:.0f} %"


def load_ahead(status: EngineStatus | None, model: str) -> str:
    """The load that a request to `model` waits for: its own, or the one before it; "" where none goes on."""
    loads = status.loads if status is not None else ()
    if not loads:
        return ""
    names = [load.id for load in loads]
    first = one_line(short_name(names[0]))
    stops = loads[0].state is ModelState.STOPPING
    if names[0] == model:
        return f"stopping the load of {first}" if stops else f"loading {first}, {progress(loads[0])}"
    between = names.index(model) - 1 if model in names else 0
    now = "which is stopping" if stops else progress(loads[0])
    return f"behind the load of {first}, {now}{f', and {between} more' if between else ''}"
