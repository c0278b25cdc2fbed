"""A model that is shown images one by one makes of them what it makes of all of them in one step."""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from core.calls.requests import GenerationRequest, Message, Role
from core.catalog import Catalog
from core.media.images import ImageData
from core.mlx.decoding.vision_prefill import VisionPrefill
from core.mlx.kv.image_embeddings import ImageEmbeddings
from core.mlx.models.loading import LoadedWeights
from core.mlx.models.templates import finished
from core.mlx.models.vision_decoder import VisionDecoder
from core.mlx.prompt.apart import APART
from core.mlx.prompt.inputs import Inputs, prepare_inputs
from core.mlx.prompt.pixels import ONE_BY_ONE, Pixels
from core.settings import Settings
from tests import pictures
from tests.core.mlx.loaded import load
from tests.tiny.visions import SHAPES, make_vision_model

CLOSE = 5e-4
"""Rounding of float32 in sums of another order, relative to the largest number, some of it deep. An image in the place
of another changes the first digit."""
RED = pictures.shape("square", (200, 0, 0), (10, 20, 60, 80), 96)
BLUE = pictures.shape("circle", (0, 0, 220), (30, 5, 90, 70), 80)
WIDE = pictures.png("green", (300, 60))
BESIDE = [(WIDE, BLUE), (RED, WIDE, RED)]
POCKET, GEMMA = "pocket/qwen2-vl", "pocket/gemma3"


@pytest.fixture(scope="module", params=[POCKET, GEMMA, *sorted((ONE_BY_ONE | APART) & SHAPES.keys())])
def loaded(
    request: pytest.FixtureRequest, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> LoadedWeights:
    if request.param in (POCKET, GEMMA):
        return load(Catalog(settings), request.param)
    folder = tmp_path_factory.mktemp("models")
    make_vision_model(request.param, folder / "tiny")
    return load(Catalog(settings.model_copy(update={"model_folders": [folder]})), f"tiny/{request.param}")


def prompt(loaded: LoadedWeights, *images: ImageData) -> Inputs:
    request = GenerationRequest(loaded.info.id, (Message.text(Role.USER, "What is this?", *images),))
    return finished(prepare_inputs(request, loaded))


def together(loaded: LoadedWeights, monkeypatch: pytest.MonkeyPatch, *images: ImageData) -> Inputs:
    """As every model is prompted that is not known to see images one by one."""
    with monkeypatch.context() as patch:
        patch.setattr("core.mlx.prompt.pixels.ONE_BY_ONE", frozenset())
        patch.setattr("core.mlx.prompt.apart.APART", frozenset())
        return prompt(loaded, *images)


def prefilled(
    loaded: LoadedWeights, inputs: Inputs, decoder: VisionDecoder | None = None, rows: ImageEmbeddings | None = None
) -> tuple[VisionPrefill, int]:
    """A prompt that has been read, and in how many steps its images were looked at."""
    decoder = decoder or VisionDecoder(loaded.model)
    work = VisionPrefill(decoder, loaded.model, inputs, rows or ImageEmbeddings(10**8), loaded.info.id)
    steps = 0
    while not work.step(64):
        steps += work.done == 0
    return work, steps


def test_every_model_of_the_list_is_tried() -> None:
    assert {"qwen2_vl"} | (ONE_BY_ONE & SHAPES.keys()) == ONE_BY_ONE
    assert {"gemma3"} | (APART & SHAPES.keys()) == APART


@pytest.mark.parametrize("images", BESIDE, ids=["two", "one of them twice"])
def test_one_by_one_is_as_together(
    loaded: LoadedWeights, images: tuple[ImageData, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, whole = prompt(loaded, *images), together(loaded, monkeypatch, *images)
    apart = inputs.apart is not None
    assert apart == (inputs.pixels is None)
    assert (whole.pixels, whole.apart) == (None, None)
    assert (inputs.tokens, inputs.key, inputs.runs) == (whole.tokens, whole.key, whole.runs)
    mine, steps = prefilled(loaded, inputs)
    theirs, at_once = prefilled(loaded, whole)
    assert at_once == 1
    assert steps > len({image.sha256 for image in images})
    assert (mine.inputs.pixels, mine.inputs.apart) == (None, None)  # the pictures are not kept
    same(mine._embeddings, theirs._embeddings)
    same([layer.state for layer in mine.cache], [layer.state for layer in theirs.cache])
    mask = theirs._more.pop("attention_mask_4d", None) if apart else None
    assert mask is None or mx.all(mask == 1)  # it hides nothing
    assert mine._more.keys() == theirs._more.keys()
    if mine._more:
        same(mine._more, theirs._more)


def test_an_image_that_was_seen_is_not_seen_again(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(catalog, POCKET)
    shown: list[tuple[int, ...]] = []
    of = Pixels.of

    def watched(self: Pixels, place: int) -> Generator[None, None, mx.array]:
        shown.append(self.grids[place])
        return (yield from of(self, place))

    monkeypatch.setattr(Pixels, "of", watched)
    decoder, rows = VisionDecoder(loaded.model), ImageEmbeddings(10**8)
    for images, new in (((RED,), 1), ((RED, BLUE), 2), ((BLUE, WIDE, BLUE, RED), 1), ((WIDE, RED), 0)):
        shown.clear()
        mine, _ = prefilled(loaded, prompt(loaded, *images), decoder, rows)
        assert len(shown) == new
        theirs, _ = prefilled(loaded, together(loaded, monkeypatch, *images))
        same(mine._embeddings, theirs._embeddings)


def test_pixels_are_made_of_one_image_at_a_time(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlx_vlm.models.qwen3_vl.processing_qwen3_vl import Qwen3VLImageProcessor

    loaded = load(catalog, POCKET)
    made: list[tuple[int, str]] = []
    original = Qwen3VLImageProcessor.__call__

    def watched(self: Any, images: list[Any], **options: Any) -> Any:
        made.append((len(images), threading.current_thread().name))
        return original(self, images, **options)

    monkeypatch.setattr(Qwen3VLImageProcessor, "__call__", watched)
    inputs = prompt(loaded, RED, BLUE, WIDE)
    assert made == []
    prefilled(loaded, inputs)
    assert made == [(1, "assay-aside")] * 3
    assert type(loaded.processor.image_processor) is Qwen3VLImageProcessor  # nothing is left of what stood in for it


def test_an_image_is_processed_when_it_is_seen(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(catalog, GEMMA)
    processor = type(loaded.processor.image_processor)
    made: list[tuple[int, str]] = []
    original = processor.__call__

    def watched(self: Any, images: list[Any], **options: Any) -> Any:
        made.append((len(images), threading.current_thread().name))
        return original(self, images, **options)

    monkeypatch.setattr(processor, "__call__", watched)
    decoder, rows = VisionDecoder(loaded.model), ImageEmbeddings(10**8)
    inputs = prompt(loaded, RED, BLUE, RED, BLUE)
    assert inputs.features is not None
    assert "pixel_values" not in inputs.features
    assert made == [(1, "assay-aside")] * 2, "a look at each size"
    made.clear()
    prefilled(loaded, inputs, decoder, rows)
    assert made == [(1, "assay-aside")] * 2, "each image once, however often it comes"
    assert type(loaded.processor.image_processor) is processor
    again = prompt(loaded, BLUE, WIDE, RED)
    made.clear()
    prefilled(loaded, again, decoder, rows)
    assert made == [(1, "assay-aside")], "the others are known"


def test_images_that_cannot_be_told_apart_are_seen_together(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_tells(*_: Any) -> Generator[None, None, None]:
        yield

    monkeypatch.setattr("core.mlx.prompt.inputs._counts", nothing_tells)
    inputs = prompt(load(catalog, GEMMA), RED, BLUE)
    assert inputs.apart is None
    assert inputs.features is not None
    assert inputs.features["pixel_values"].shape[0] == 2


def same(mine: Any, theirs: Any) -> None:
    pairs = list(zip(tree_flatten(mine), tree_flatten(theirs), strict=True))
    assert pairs
    for (name, ours), (other, wanted) in pairs:
        assert name == other
        if isinstance(ours, mx.array):
            assert ours.shape == wanted.shape, name
            a, b = (np.array(array.astype(mx.float32)) for array in (ours, wanted))
            assert np.abs(a - b).max(initial=0) <= CLOSE * max(np.abs(b).max(initial=0), 1), name
