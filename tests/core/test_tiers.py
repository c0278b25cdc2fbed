"""Which model stands for a tier."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.catalog import ModelInfo, ModelKind
from core.errors import ModelBroken, ModelNotFound
from core.pocket import POCKET_MODELS
from core.settings import Settings
from core.tiers import FULL_VISION, QUICK_TEXT, QUICK_VISION, Tier, resolve_tier


class Shelf:
    """A catalog of these models and no others."""

    def __init__(self, *models: ModelInfo) -> None:
        self.models = {info.id: info for info in models}

    def get(self, model_id: str) -> ModelInfo:
        if model_id not in self.models:
            raise ModelNotFound(f"There is no model {model_id!r} on this machine.")
        return self.models[model_id]


def model(model_id: str, kind: str = "vision", problem: str | None = None) -> ModelInfo:
    return ModelInfo(model_id, Path(), "cache", ModelKind(kind), family="x", images=kind == "vision", problem=problem)


POCKET = tuple(model(pocket.id, pocket.kind) for pocket in POCKET_MODELS)


@pytest.mark.parametrize(
    ("tier", "images", "reference"),
    [
        (Tier.QUICK, True, QUICK_VISION[0]),
        (Tier.FULL, True, FULL_VISION[0]),
        (Tier.FULL, True, FULL_VISION[1]),
        (Tier.QUICK, False, QUICK_TEXT[0]),
        (Tier.FULL, False, FULL_VISION[0]),
        (Tier.FULL, False, QUICK_TEXT[0]),
    ],
)
def test_the_reference_on_disk_is_taken(tier, images, reference):
    kind = "text" if reference in QUICK_TEXT else "vision"
    resolved = resolve_tier(Shelf(*POCKET, model(reference, kind)), Settings(), tier, images)
    assert resolved.model.id == reference
    assert "reference model" in resolved.reason


@pytest.mark.parametrize(
    ("tier", "images", "pocket"),
    [
        (Tier.QUICK, True, "pocket/qwen2-vl"),
        (Tier.FULL, True, "pocket/gemma3"),
        (Tier.QUICK, False, "pocket/qwen3"),
        (Tier.FULL, False, "pocket/qwen3"),
    ],
)
def test_a_pocket_model_stands_in_and_the_reason_says_for_what(tier, images, pocket):
    resolved = resolve_tier(Shelf(*POCKET), Settings(), tier, images)
    assert resolved.model.id == pocket
    assert f"{pocket} stands in" in resolved.reason
    assert "is not on disk" in resolved.reason


def test_the_users_choice_wins_over_the_reference_and_the_suite():
    shelf = Shelf(*POCKET, model(QUICK_VISION[0]), model("my/vlm"), model("suite/vlm"))
    settings = Settings(quick_model="my/vlm")
    assert resolve_tier(shelf, settings, Tier.QUICK, named=["suite/vlm"]).model.id == "my/vlm"
    assert resolve_tier(shelf, settings, Tier.QUICK, images=False).model.id == "my/vlm"
    assert resolve_tier(shelf, settings, Tier.FULL).model.id == "pocket/gemma3"


def test_a_chosen_text_model_answers_text_and_leaves_images_to_the_next_with_the_reason():
    shelf = Shelf(*POCKET, model("my/llm", "text"))
    settings = Settings(quick_model="my/llm")
    assert resolve_tier(shelf, settings, Tier.QUICK, images=False).model.id == "my/llm"
    resolved = resolve_tier(shelf, settings, Tier.QUICK, images=True)
    assert resolved.model.id == "pocket/qwen2-vl"
    assert "quick_model = my/llm takes no images" in resolved.reason


def test_the_suites_models_come_before_the_reference_in_their_order():
    shelf = Shelf(*POCKET, model(QUICK_VISION[0]), model("b"), model("c"))
    resolved = resolve_tier(shelf, Settings(), Tier.QUICK, named=["a", "b", "c"])
    assert resolved.model.id == "b"
    assert resolved.reason == "b: the suite names it (a is not on disk)."


def test_a_broken_reference_is_passed_over_with_its_problem():
    shelf = Shelf(*POCKET, model(QUICK_VISION[0], problem="incomplete: missing shard x"))
    resolved = resolve_tier(shelf, Settings(), Tier.QUICK)
    assert resolved.model.id == "pocket/qwen2-vl"
    assert "incomplete: missing shard x" in resolved.reason


def test_a_chosen_model_that_is_missing_or_broken_is_an_error_that_names_the_setting():
    with pytest.raises(ModelNotFound, match="full_model cannot be used"):
        resolve_tier(Shelf(*POCKET), Settings(full_model="gone"), Tier.FULL)
    shelf = Shelf(*POCKET, model("bad", problem="incomplete: missing shard x"))
    with pytest.raises(ModelBroken, match=r"full_model = bad.*missing shard x"):
        resolve_tier(shelf, Settings(full_model="bad"), Tier.FULL)


def test_nothing_at_all_is_an_error_that_says_what_to_download():
    with pytest.raises(ModelNotFound, match=f"Download {QUICK_TEXT[0]}, or set quick_model"):
        resolve_tier(Shelf(), Settings(), Tier.QUICK, images=False)
