"""One cell that says whether a model is in memory."""

from __future__ import annotations

from core.status import ModelState
from tui.state import WorkbenchState

LOADED, LOADING, NOT_LOADED = "●", "◐", "○"


def lamp(state: WorkbenchState, model_id: str | None) -> str:
    """One cell that says whether a model is in memory."""
    loaded = state.loaded(model_id)
    if loaded is None:
        return NOT_LOADED
    return LOADED if loaded.state is ModelState.READY else LOADING


def lamp_style(glyph: str) -> str:
    """The colour of a lamp."""
    return {LOADED: "$success", LOADING: "$warning", NOT_LOADED: "$dim"}[glyph]
