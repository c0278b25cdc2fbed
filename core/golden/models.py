"""Decide which model answers for a tier, or say in a sentence why none can."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.catalog import Catalog, ModelInfo, ModelKind
from core.errors import ModelBroken, ModelNotFound
from core.golden.suite import Case, TierModels
from core.settings import Settings
from core.tiers import Tier, resolve_tier


@dataclass(frozen=True)
class Choice:
    """The model for a case on a tier, or None and the reason for which the case is skipped."""

    model: ModelInfo | None
    reason: str = ""


Chooser = Callable[[Case, Tier, TierModels], Choice]
"""Picks the model for a case of a tier for which the suite names these models (none of them: the usual ones)."""


def from_disk(catalog: Catalog, settings: Settings) -> Chooser:
    """Choose among the models on disk: the user's own for the tier, else the suite's, else the usual ones.

    A suite that names models gets one of them or none: others would answer for them without anyone noticing. Raises
    ModelNotFound or ModelBroken at once when the user's own choice cannot be used.
    """
    for setting, own in (("quick", settings.quick_model), ("full", settings.full_model)):
        if own is not None and (problem := catalog.get(own).problem):
            raise ModelBroken(f"{own}, chosen for the {setting} tier, cannot be used: {problem}.")

    def choose(case: Case, tier: Tier, named: TierModels) -> Choice:
        images = bool(case.all_images)
        own = settings.quick_model if tier is Tier.QUICK else settings.full_model
        wanted = named.vision if images else named.text
        if not wanted:
            try:
                return _able(resolve_tier(catalog, settings, tier, images).model, case)
            except ModelNotFound as error:
                return Choice(None, str(error))
        reasons: list[str] = []
        for model_id in ([own] if own else []) + list(wanted):
            fault = _fault(catalog, model_id, images)
            if fault is None:
                return _able(catalog.get(model_id), case)
            reasons.append(f"{model_id} {fault}")
        return Choice(None, "; ".join(reasons))

    return choose


def from_server(model_ids: Iterable[str], known: Mapping[str, ModelInfo], own: Mapping[Tier, str]) -> Chooser:
    """Choose among the ids that a running server lists; `own` is the user's choice, `known` what is known of some.

    Raises ModelNotFound when the server lacks the user's own choice.
    """
    served = {model_id: known.get(model_id) or _unknown(model_id) for model_id in model_ids}
    for tier, model_id in own.items():
        if model_id not in served:
            raise ModelNotFound(
                f"The server has no model {model_id} for the {tier} tier. It has {', '.join(sorted(served)) or 'none'}."
            )

    def choose(case: Case, tier: Tier, named: TierModels) -> Choice:
        images = bool(case.all_images)
        wanted = named.vision if images else named.text
        first = [own[tier]] if tier in own and (served[own[tier]].images or not images) else []
        for model_id in (*first, *wanted):
            if model_id in served:
                return _able(served[model_id], case)
        tried = ", ".join((*first, *wanted)) or "the models that --quick or --full name"
        return Choice(None, f"the server has none of {tried}")

    return choose


def _able(model: ModelInfo, case: Case) -> Choice:
    if case.tools and not model.tools:
        return Choice(None, f"the chat template of {model.id} has no place for tools")
    return Choice(model)


def _fault(catalog: Catalog, model_id: str, images: bool) -> str | None:
    """Why the model cannot answer, or None."""
    try:
        model = catalog.get(model_id)
    except ModelNotFound:
        return "is not on disk"
    if model.problem:
        return f"cannot be loaded ({model.problem})"
    if images and not model.images:
        return "takes no images"
    return None if model.kind in (ModelKind.TEXT, ModelKind.VISION) else "does not chat"


def _unknown(model_id: str) -> ModelInfo:
    """A model of which only the id is known: it is taken to be able to do everything."""
    return ModelInfo(model_id, Path(), "server", ModelKind.UNKNOWN, "", images=True, tools=True)
