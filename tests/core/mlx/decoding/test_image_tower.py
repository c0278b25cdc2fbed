"""A model that is shown images one by one makes of them what it makes of all of them in one step."""

from __future__ import annotations

import io
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten
from PIL import Image

from core.calls.requests import GenerationRequest, Message, Role
from core.catalog import Catalog
from core.errors import InvalidImage, UnsupportedInput
from core.media.images import ImageData, check_image
from core.mlx.decoding.apart_trial import KNOWN, find_out, parted
from core.mlx.decoding.vision_prefill import VisionPrefill
from core.mlx.kv.image_embeddings import ImageEmbeddings
from core.mlx.models.loading import LoadedWeights
from core.mlx.models.templates import finished
from core.mlx.models.vision_decoder import VisionDecoder
from core.mlx.prompt.inputs import Inputs, prepare_inputs
from core.mlx.prompt.pixels import ONE_BY_ONE, Pixels, one_by_one
from core.settings import Settings
from tests import pictures
from tests.core.mlx.loaded import load
from tests.tiny.visions import SHAPES, make_vision_model, thin_towers

CLOSE = 5e-4
"""Rounding of float32 in sums of another order, relative to the largest number, some of it deep. An image in the place
of another changes the first digit."""
RED = pictures.shape("square", (200, 0, 0), (10, 20, 60, 80), 96)
BLUE = pictures.shape("circle", (0, 0, 220), (30, 5, 90, 70), 80)
WIDE = pictures.png("green", (300, 60))
BESIDE = [(WIDE, BLUE), (RED, WIDE, RED)]
POCKET, GEMMA = "pocket/qwen2-vl", "pocket/gemma3"


@pytest.fixture(
    scope="module",
    params=[
        POCKET,
        pytest.param(GEMMA, marks=pytest.mark.wide),  # large, and the golden prompts show it two images
        *sorted((ONE_BY_ONE | KNOWN) & SHAPES.keys()),
    ],
)
def loaded(
    request: pytest.FixtureRequest, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> LoadedWeights:
    if request.param in (POCKET, GEMMA):
        return load(Catalog(settings), request.param)
    return made(request.param, settings, tmp_path_factory.mktemp("models"))


def made(name: str, settings: Settings, folder: Path) -> LoadedWeights:
    """A model with random weights."""
    with thin_towers():
        make_vision_model(name, folder / "tiny")
        return load(Catalog(settings.model_copy(update={"model_folders": [folder]})), f"tiny/{name}")


def prompt(loaded: LoadedWeights, *images: ImageData) -> Inputs:
    request = GenerationRequest(loaded.info.id, (Message.text(Role.USER, "What is this?", *images),))
    finished(find_out(request, loaded))
    return finished(prepare_inputs(request, loaded))


def together(loaded: LoadedWeights, monkeypatch: pytest.MonkeyPatch, *images: ImageData) -> Inputs:
    """As every model is prompted that is not known to see images one by one."""
    with monkeypatch.context() as patch:
        patch.setattr("core.mlx.prompt.pixels.ONE_BY_ONE", frozenset())
        patch.setattr(loaded, "apart", False)
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
    assert {"gemma3"} | (KNOWN & SHAPES.keys()) == KNOWN


def test_who_is_known_to_see_images_one_by_one_passes_the_trial(loaded: LoadedWeights) -> None:
    if not one_by_one(loaded.config):
        assert finished(parted(loaded)) is None


@pytest.mark.parametrize("name", ["paligemma", "llama4", "llava_next"])
def test_who_makes_something_else_of_images_beside_others_does_not(
    name: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = made(name, settings, tmp_path)
    inputs = prompt(loaded, RED, RED)
    assert loaded.apart is False
    assert inputs.apart is None
    monkeypatch.setattr(loaded, "context_length", 10**6)
    too_many = "tiny/.* sees all images of a request in one step, and 4,000 of such sizes take more than the 120 MB"
    with pytest.raises(InvalidImage, match=too_many):
        prompt(loaded, *[RED] * 4_000)


@pytest.mark.parametrize("images", BESIDE, ids=["two", "one of them twice"])
def test_one_by_one_is_as_together(
    loaded: LoadedWeights, images: tuple[ImageData, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, whole = prompt(loaded, *images), together(loaded, monkeypatch, *images)
    apart, heavy = inputs.apart is not None, inputs.apart.heavy if inputs.apart else set()
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
    for name in heavy:
        theirs._more.pop(name, None)
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
    prompt(loaded, RED, RED)
    assert made == [(1, "assay-aside")] * 2 + [(2, "assay-aside")], "a look, and how two are told of beside one"
    made.clear()
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


def test_a_prompt_that_is_read_in_one_piece_is_no_longer_than_memory_allows(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = made("paligemma", settings, tmp_path)
    monkeypatch.setattr(loaded, "context_length", 10**6)
    told = "6,400 tokens|reads prompts in one piece.* at most 6,144"
    with pytest.raises(UnsupportedInput, match=told):
        prompt(loaded, *[RED] * 400)
    text = GenerationRequest(loaded.info.id, (Message.text(Role.USER, "word " * 7_000),))
    with pytest.raises(UnsupportedInput, match=told):
        finished(prepare_inputs(text, loaded))


def test_what_every_token_attends_to_of_all_images_is_bounded(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = made("mllama", settings, tmp_path)
    monkeypatch.setattr("core.mlx.decoding.vision_prefill.MOST_STATES", 45_000)
    with pytest.raises(UnsupportedInput, match="cannot be shown 3 images with .* Show it 2 at most"):
        prefilled(loaded, prompt(loaded, RED, BLUE, RED))


def test_long_prompts_with_images_are_not_cut_off(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """InternVL's processor cuts them at what the tokenizer says, 4,096 here, so that images lose their tokens."""
    loaded = made("internvl", settings, tmp_path)
    monkeypatch.setattr(loaded, "context_length", 10**6)
    assert len(prompt(loaded, *[RED] * 1_100).tokens) > 4_400


def test_what_is_not_seen_of_an_image_is_told(catalog: Catalog) -> None:
    frames, file = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")], io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    moving = check_image(file.getvalue())
    notes = prompt(load(catalog, POCKET), moving, RED, moving).prompt.notes
    assert notes == ("The image is animated; only its first frame is looked at.",)


def test_an_image_too_small_for_a_token_is_told_as_that(settings: Settings, tmp_path: Path) -> None:
    loaded = made("kimi_vl", settings, tmp_path)
    tiny = pictures.png("red", (3, 3))
    for images in ((tiny,), (RED, tiny)):
        with pytest.raises(InvalidImage, match="could not see the image of 3 x 3 pixels, though it sees others"):
            prompt(loaded, *images)
