"""Rows of images: within a budget, the least recent first, and gone with their model."""

from __future__ import annotations

import mlx.core as mx
import pytest

from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.engine import Engine
from core.mlx.kv.image_embeddings import ImageEmbeddings
from core.settings import Settings
from tests.pictures import png

MODEL = "pocket/qwen2-vl"


def rows(tokens: int = 10) -> mx.array:
    return mx.zeros((tokens, 8))


def test_the_least_recent_image_goes_when_the_budget_is_full() -> None:
    kept = ImageEmbeddings(2 * rows().nbytes)
    for image in (-1, -2):
        kept.put("m", image, rows())
    kept.get("m", -1)
    kept.put("m", -3, rows())
    assert [kept.get("m", image) is not None for image in (-1, -2, -3)] == [True, False, True]
    assert kept.nbytes == kept.budget


def test_an_image_put_twice_is_counted_once() -> None:
    kept = ImageEmbeddings(10**6)
    kept.put("m", -1, rows())
    kept.put("m", -1, rows())
    assert kept.nbytes == rows().nbytes


def test_rows_belong_to_their_model_and_go_with_it() -> None:
    kept = ImageEmbeddings(10**6)
    kept.put("a", -1, rows())
    kept.put("b", -1, rows())
    assert kept.get("c", -1) is None
    kept.forget("a")
    assert kept.get("a", -1) is None
    assert kept.get("b", -1) is not None
    assert kept.nbytes == rows().nbytes


@pytest.mark.parametrize("budget_gb", [0.0, 0.0001])
def test_an_engine_keeps_images_within_an_eighth_of_its_budget(settings: Settings, budget_gb: float) -> None:
    with Engine(settings.model_copy(update={"cache_budget_gb": budget_gb})) as engine:
        for colour in ("red", "green", "blue"):
            turn = Message.text(Role.USER, "What is it?", png(colour, (256, 256)))
            engine.generate(GenerationRequest(MODEL, (turn,), sampling=Sampling(max_tokens=2))).result()
            assert engine.status().kept_memory <= budget_gb * 1e9 * 9 / 8
        engine.unload(MODEL).result(timeout=60)
        assert engine.status().kept_memory == 0
