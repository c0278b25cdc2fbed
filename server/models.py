"""The model that a client means: a name is looked up in the catalog, never joined to a path and never downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.catalog import ModelInfo, ModelKind
from core.errors import ModelBroken, ModelNotFound
from core.status import ModelState
from core.text_safety import alternatives
from core.tiers import Tier, resolve_tier

if TYPE_CHECKING:
    from core.engine import Engine
    from core.settings import Settings

DEFAULT = "default"
"""The name for "whatever is loaded"; the tiers' names are "quick" and "full"."""


NAMED = 3
"""Models that are named where another was asked for, those that are loaded first."""


def loaded_ids(engine: Engine) -> list[str]:
    """Ids of the models in memory."""
    return [model.id for model in engine.status().models if model.state is ModelState.READY]


def find_model(engine: Engine, settings: Settings, name: str, *, images: bool) -> ModelInfo:
    """The model for a request that names `name` and holds images or not. May read the disk: not for the event loop.

    Raises ModelNotFound (also for a model that is on disk only, when `load_on_request` is off) or ModelBroken.
    """
    catalog = engine.catalog
    if name in (Tier.QUICK, Tier.FULL):
        info = resolve_tier(catalog, settings, Tier(name), images).model
    elif name == DEFAULT:
        info = _default(engine, settings, images)
    else:
        info = named_model(engine, name, (DEFAULT, *Tier))
    return _usable(engine, settings, info)


def find_other_model(
    engine: Engine, settings: Settings, name: str, suitable: Sequence[ModelInfo], what: str
) -> ModelInfo:
    """The model for a request that is no chat: `suitable` are the models that could answer, `what` their common name.

    "default" is the first of them that is loaded, else the first. Raises as `find_model`.
    """
    if name != DEFAULT:
        return _usable(engine, settings, named_model(engine, name, (DEFAULT,)))
    if not suitable:
        raise ModelNotFound(f"There is no {what} on this machine. Download one, then name it or ask for 'default'.")
    loaded = loaded_ids(engine)
    return _usable(engine, settings, next((info for info in suitable if info.id in loaded), suitable[0]))


def named_model(engine: Engine, name: str, special: Sequence[str] = ()) -> ModelInfo:
    """The model of that id. Raises ModelNotFound, with the one of `special` that differs in its case alone, or with
    ids that there are."""
    catalog = engine.catalog
    try:
        return catalog.get(name)
    except ModelNotFound as error:
        near = [name.lower()] if name.lower() in special else error.near
    told = f"There is no model {name!r} on this machine."
    if near:
        raise ModelNotFound(
            f"{told} Did you mean {alternatives(near)}? GET /v1/models lists what is there.",
            near,
        )
    others = [info.id for info in catalog.list() if info.problem is None]
    loaded = loaded_ids(engine)
    shown = sorted(others, key=lambda id: id not in loaded)[:NAMED]
    more = f" and {len(others) - len(shown)} more" if len(others) > len(shown) else ""
    listed = f"There are {', '.join(shown)}{more}: GET /v1/models lists them." if shown else "There is none at all."
    raise ModelNotFound(" ".join((told, listed, *catalog.notes())))


def _usable(engine: Engine, settings: Settings, info: ModelInfo) -> ModelInfo:
    if info.problem is not None:
        raise ModelBroken(f"{info.id} cannot be loaded: {info.problem}.")
    if not settings.load_on_request and info.id not in (loaded := loaded_ids(engine)):
        raise ModelNotFound(
            f"{info.id} is on disk but not loaded, and load_on_request is off. "
            f"Loaded: {', '.join(loaded) or 'none'}; GET /v1/models lists all. Load it in Assay, or set "
            "load_on_request = true."
        )
    return info


def _default(engine: Engine, settings: Settings, images: bool) -> ModelInfo:
    """The first loaded model that can answer, a text model first where there is no image; else the quick tier's."""
    loaded = [engine.catalog.get(model_id) for model_id in loaded_ids(engine)]
    for kind in (ModelKind.VISION,) if images else (ModelKind.TEXT, ModelKind.VISION):
        for info in loaded:
            if info.kind is kind and (info.images or not images):
                return info
    return resolve_tier(engine.catalog, settings, Tier.QUICK, images).model
