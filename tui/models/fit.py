"""Whether a model fits in memory beside what is loaded, in a word for a table and in words where there is room."""

from __future__ import annotations

from enum import StrEnum

from core.catalog import ModelInfo
from core.status import EngineStatus
from tui.waiting import coming

CHAT_TOKENS = 4096
TIGHT = 0.85


class Fit(StrEnum):
    LOADED = "loaded"
    LOADING = "loading"
    QUEUED = "queued"
    STOPPING = "stopping"
    OK = "fits"
    TIGHT = "tight"
    EVICTS = "evicts"  # fits once other models have been unloaded
    NO = "no"
    UNFINISHED = "unfinished"
    BROKEN = "broken"
    UNKNOWN = "?"

    @property
    def in_words(self) -> str:
        """The same for whoever has not learnt the words."""
        return _IN_WORDS[self]


_IN_WORDS = {
    Fit.LOADED: "in memory",
    Fit.LOADING: "on its way into memory",
    Fit.QUEUED: "loaded after the models before it",
    Fit.STOPPING: "on its way, to be given up",
    Fit.OK: "fits",
    Fit.TIGHT: "fits, tightly",
    Fit.EVICTS: "fits once other models are unloaded",
    Fit.NO: "does not fit",
    Fit.UNFINISHED: "its download has not ended",
    Fit.BROKEN: "cannot be loaded",
    Fit.UNKNOWN: "not known",
}
FIT_CELLS = max(len(found.value) for found in Fit)
"""What a column of the words takes."""
FIT_STYLE = {
    Fit.OK: "$success",
    Fit.LOADED: "$success",
    Fit.LOADING: "$warning",
    Fit.QUEUED: "$warning",
    Fit.STOPPING: "$warning",
    Fit.TIGHT: "$warning",
    Fit.EVICTS: "$warning",
    Fit.NO: "$error",
    Fit.UNFINISHED: "$warning",
    Fit.BROKEN: "$error",
    Fit.UNKNOWN: "$dim",
}
"""The colours of the words."""


def fit(info: ModelInfo, status: EngineStatus | None) -> Fit:
    """Told from the predicted bytes with 4,096 tokens in the KV cache, against the engine's budget."""
    if info.problem:
        return Fit.UNFINISHED if info.unfinished else Fit.BROKEN
    if on_its_way := coming(status, info.id):
        return Fit(on_its_way)
    if status is None or not status.memory_budget or info.memory is None:
        return Fit.UNKNOWN
    if any(model.id == info.id for model in status.models):
        return Fit.LOADED
    need = info.memory.total(CHAT_TOKENS)
    if need > status.memory_budget:
        return Fit.NO
    left = free(status)
    if need > left:
        return Fit.EVICTS
    return Fit.TIGHT if left - need < (1 - TIGHT) * status.memory_budget else Fit.OK


def free(status: EngineStatus) -> int:
    """Bytes of the budget that are free; what is kept for later turns gives way."""
    return status.memory_budget - status.active_memory + status.kept_memory


def predicted(info: ModelInfo, status: EngineStatus | None) -> tuple[int, bool]:
    """Bytes that the model would take if it were loaded now, with CHAT_TOKENS, and whether in float32 instead of as it
    is stored; 0 where nothing tells."""
    way, memory = info.loaded_into(free(status) if status else 0)
    return memory.total(CHAT_TOKENS) if memory else 0, way is not None
