"""Which models a chat can be had with, and how each is called in the chooser."""

from __future__ import annotations

from collections.abc import Sequence

from core.catalog import ModelInfo, ModelKind
from tui.state import WorkbenchState

TIERS = ("quick", "full")
CHAT_KINDS = (ModelKind.TEXT, ModelKind.VISION)


def model_of(choice: str, state: WorkbenchState) -> str | None:
    """The model that a choice stands for: a tier's model as it is now, or the model itself."""
    if choice in TIERS:
        return state.quick if choice == "quick" else state.full
    return choice


def choices(models: Sequence[ModelInfo], state: WorkbenchState) -> list[tuple[str, str]]:
    """(label, choice) pairs: the two tiers, then models in memory, then the rest of those that chat.

    A choice is a tier's name or a model's id, so that a chat with "quick" follows the tier when its model changes.
    """
    found = [(f"{tier} · {model_of(tier, state) or 'no model'}", tier) for tier in TIERS]
    usable = [info for info in models if info.kind in CHAT_KINDS and not info.problem]
    usable.sort(key=lambda info: state.loaded(info.id) is None)
    return found + [(info.id, info.id) for info in usable]
