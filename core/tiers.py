"""Which model stands for a tier: the user's choice, else the reference model on disk, else a pocket model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.catalog import Catalog, ModelInfo, ModelKind
from core.errors import ModelBroken, ModelNotFound
from core.pocket import POCKET_MODELS
from core.settings import Settings


class Tier(StrEnum):
    """How much is expected of a model: the quick tier is held to loose expectations, the full tier to strict ones."""

    QUICK = "quick"
    FULL = "full"


QUICK_VISION = ("mlx-community/Qwen2-VL-2B-Instruct-4bit",)
FULL_VISION = ("mlx-community/gemma-3-27b-it-4bit-DWQ", "mlx-community/gemma-3-27b-it-qat-4bit")
QUICK_TEXT = ("mlx-community/Qwen3-0.6B-4bit-DWQ",)


def references(tier: Tier, images: bool) -> tuple[str, ...]:
    """Ids of the reference models of a tier, the preferred one first.

    There is no text model of the full tier: its vision model answers text as well, and the quick one stands in.
    """
    if images:
        return QUICK_VISION if tier is Tier.QUICK else FULL_VISION
    return QUICK_TEXT if tier is Tier.QUICK else FULL_VISION + QUICK_TEXT


@dataclass(frozen=True)
class Resolved:
    """The model that stands for a tier, and the sentence that says why this one."""

    model: ModelInfo
    reason: str


def resolve_tier(
    catalog: Catalog, settings: Settings, tier: Tier, images: bool = True, named: Sequence[str] = ()
) -> Resolved:
    """The model for a tier's prompts, with images or without.

    `named` are the models that a suite asks for, in its order; None on disk falls back to the references. A model
    that the user set wins over all of these, except for prompts with images when it takes none.

    Raises ModelNotFound or ModelBroken when the user's own choice is missing or unusable, and ModelNotFound when
    nothing at all can stand in.
    """
    skipped: list[str] = []
    setting = f"{tier}_model"
    chosen: str | None = getattr(settings, setting)
    if chosen is not None:
        info = _own_choice(catalog, chosen, setting)
        if _suits(info, images):
            return Resolved(info, f"{setting} is set to {chosen}.")
        skipped.append(f"{setting} = {chosen} takes no images" if images else f"{setting} = {chosen} does not chat")
    for ids, what in ((named, "the suite names it"), (references(tier, images), "it is the reference model")):
        for model_id in ids:
            usable, why_not = _usable(catalog, model_id, images)
            if usable is not None:
                return Resolved(usable, _sentence(f"{model_id}: {what}", skipped))
            skipped.append(f"{model_id} {why_not}")
    for model_id in _stand_ins(tier, images):
        usable, why_not = _usable(catalog, model_id, images)
        if usable is not None:
            return Resolved(usable, _sentence(f"{model_id} stands in", skipped))
        skipped.append(f"{model_id} {why_not}")
    raise ModelNotFound(
        f"No model can stand for the {tier} tier ({'images' if images else 'text'}): {'; '.join(skipped)}. "
        f"Download {references(tier, images)[0]}, or set {setting} to a model of yours."
    )


def _own_choice(catalog: Catalog, model_id: str, setting: str) -> ModelInfo:
    try:
        info = catalog.get(model_id)
    except ModelNotFound as error:
        raise ModelNotFound(f"The setting {setting} cannot be used. {error}") from error
    if info.problem is not None:
        raise ModelBroken(f"The setting {setting} = {model_id} cannot be used: {info.problem}.")
    return info


def _suits(info: ModelInfo, images: bool) -> bool:
    return info.images if images else info.kind in (ModelKind.TEXT, ModelKind.VISION)


def _usable(catalog: Catalog, model_id: str, images: bool) -> tuple[ModelInfo | None, str]:
    try:
        info = catalog.get(model_id)
    except ModelNotFound:
        return None, "is not on disk"
    if info.problem is not None:
        return None, f"cannot be loaded ({info.problem})"
    if not _suits(info, images):
        return None, "takes no images" if images else "does not chat"
    return info, ""


def _stand_ins(tier: Tier, images: bool) -> list[str]:
    """Pocket models of the right kind, those of this tier first."""
    kind = "vision" if images else "text"
    fitting = [model for model in POCKET_MODELS if model.kind == kind]
    return [model.id for model in sorted(fitting, key=lambda model: model.tier != tier)]


def _sentence(what: str, skipped: list[str]) -> str:
    return f"{what} ({'; '.join(skipped)})." if skipped else f"{what}."
