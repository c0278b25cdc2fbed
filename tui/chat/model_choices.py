"""Which models a chat can be had with, and how each is called in the chooser."""

from __future__ import annotations

from collections.abc import Sequence

from core.catalog import ModelInfo, ModelKind
from tui.state import WorkbenchState

TIERS = ("quick", "full")
CHAT_KINDS = (ModelKind.TEXT, ModelKind.VISION)


def model_of(choice: str, state: WorkbenchState, images: bool) -> str | None:
    """The model that answers: for a tier's name the one that it stands for now, with images or without."""
    return state.answers(choice, images) if choice in TIERS else choice


def choices(models: Sequence[ModelInfo], state: WorkbenchState, images: bool) -> list[tuple[str, str]]:
    """(label, choice) pairs: the two tiers, then models in memory, then the rest of those that chat.

    A choice is a tier's name or a model's id, so that a chat with "quick" follows the tier when its model changes.
    `images` says whether the next message is answered with images in view; the labels name who answers then.
    """
    answering = {tier: model_of(tier, state, images) for tier in TIERS}
    one = answering["quick"] is not None and answering["quick"] == answering["full"]
    others = {"quick": " (also full)", "full": " (also quick)"}
    found = [
        (f"{tier} · {model or 'no model'}{others[tier] if one else ''}", tier) for tier, model in answering.items()
    ]
    usable = [info for info in models if info.kind in CHAT_KINDS and not info.problem]
    usable.sort(key=lambda info: state.loaded(info.id) is None)
    return found + [(info.id, info.id) for info in usable]
