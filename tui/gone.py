"""Models that have gone from the disk while the workbench runs: who stands for a tier then, and what is said of it."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from typing import TYPE_CHECKING

from tui.state import WorkbenchState

if TYPE_CHECKING:
    from tui.services import Usual

TIERS = ("quick", "full")


def names_one_gone(state: WorkbenchState, there: Container[str]) -> bool:
    """Whether a tier's model, or its text model, is not among those that are there."""
    named = (state.quick, state.full, *(model for _, model in state.text))
    return any(model is not None and model not in there for model in named)


def without_gone(state: WorkbenchState, there: Container[str], usual: Usual) -> tuple[WorkbenchState, list[str]]:
    """The state in which each tier whose model has gone has its usual one, and a sentence for each of these tiers."""
    told = []
    for tier in TIERS:
        model = getattr(state, tier)
        if model is None or model in there:
            continue
        instead = getattr(usual, tier)
        state = replace(state, chosen=state.chosen - {tier}, **{tier: instead})
        stands = f"{instead} stands for the {tier} tier now." if instead else f"Nothing stands for the {tier} tier now."
        told.append(f"{model} is not on this disk any more. {stands}")
    return replace(state, text=tuple(usual.text.items())), told
