"""Tokens of images told from their sizes: what does not fit is refused before it is decoded."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.calls.requests import GenerationRequest, Message, Role
from core.catalog import Catalog
from core.errors import ContextOverflow, EngineError
from core.media.images import ImageData
from core.mlx.models.lexicon import lexicon_steps
from core.mlx.models.templates import aside, finished
from core.mlx.prompt import inputs
from core.mlx.prompt.chat_template import rendering
from core.mlx.prompt.image_counts import count_image, tokens_with_images
from core.mlx.prompt.inputs import prepare_inputs
from core.settings import Settings
from tests.core.mlx.loaded import load
from tests.pictures import png
from tests.tiny.visions import SHAPES, make_vision_model, thin_towers

SIZES = [(64, 64), (300, 40), (128, 96), (64, 64), (90, 200), (640, 480)]


def asked(model: str, images: list[ImageData]) -> GenerationRequest:
    return GenerationRequest(model, (Message.text(Role.USER, "What is this?", *images),))


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_told_from_sizes_is_what_the_processor_makes(shape: str, settings: Settings, tmp_path: Path) -> None:
    with thin_towers():
        make_vision_model(shape, tmp_path / "tiny")
        loaded = load(Catalog(settings.model_copy(update={"model_folders": [tmp_path]})), f"tiny/{shape}")
    loaded.context_length = 100_000
    images = [png((20 * place, 0, 0), size) for place, size in enumerate(SIZES)]
    request = asked(f"tiny/{shape}", images)
    try:
        made = finished(prepare_inputs(request, loaded))
    except EngineError as error:
        pytest.skip(f"it takes no more than one image: {error}")
    lexicon = finished(lexicon_steps(loaded.info, loaded.info.path, allow_code=False))
    rendered = finished(aside(rendering(request, lexicon)))
    assert finished(tokens_with_images(rendered, request, lexicon, fitting=False))[1].tokens == made.tokens
    told = [finished(count_image(image, loaded)) for image in images]
    assert sum(told) == made.image_tokens or not made.runs


def test_images_that_do_not_fit_are_refused_undecoded(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "decode", lambda image: pytest.fail("it was decoded"))
    loaded = load(catalog, "pocket/qwen2-vl")
    with pytest.raises(ContextOverflow, match="has at least 4") as refused:
        finished(prepare_inputs(asked("pocket/qwen2-vl", [png("red")] * 1_000), loaded))
    assert refused.value.prompt_tokens >= refused.value.context_length == loaded.context_length
