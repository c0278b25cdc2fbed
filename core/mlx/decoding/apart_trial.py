"""Whether a model makes of an image alone what it makes of it beside others: found out by showing it two, once."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from core.calls.requests import GenerationRequest, ImagePart, Message, Role
from core.errors import ended
from core.media.images import ImageData
from core.mlx.decoding.vision_prefill import VisionPrefill
from core.mlx.kv.image_embeddings import ImageEmbeddings
from core.mlx.models.loading import LoadedWeights
from core.mlx.models.templates import aside, finished
from core.mlx.models.vision_decoder import VisionDecoder
from core.mlx.prompt.chat_template import Prompt, rendering
from core.mlx.prompt.inputs import Inputs, with_pictures
from core.mlx.prompt.pixels import one_by_one

KNOWN = frozenset(
    {
        "gemma3",
        "gemma3n",
        "gemma4",
        "glm4v",
        "glm_ocr",
        "idefics3",
        "internvl",
        "internvl_chat",
        "kimi_vl",
        "lfm2_vl",
        "llava",
        "mistral3",
        "mllama",
        "pixtral",
        "smolvlm",
    }
)
"""Models (`model_type`) of which tests/core/mlx/decoding/test_image_tower.py shows it: they are spared the seconds."""

log = logging.getLogger(__name__)

SIZES = ((640, 640), (640, 320))
"""Width and height of the two: some models cut up one of such a size that is alone."""
PATCH = 20
"""Pixels of a side of the squares that they are made of: seen well, however small a model makes them."""
CLOSE = 0.05
"""By how much the two ways may differ, of how much the image tokens differ from each other. The sums are of another
order, in half precision a hundredth; an image that is seen through another, or in its place, differs by more."""


def find_out(request: GenerationRequest, loaded: LoadedWeights) -> Generator[None, None, None]:
    """Set `loaded.apart` where the request has images that it concerns, and it is not known."""
    if len(request.images) < 2 or loaded.apart is not None or one_by_one(loaded.config):
        return
    if loaded.model.config.model_type in KNOWN:
        loaded.apart = True
        return
    try:
        told = yield from parted(loaded)
    except Exception as error:  # processors and towers raise what they like
        told = f"{type(error).__name__}: {error}"
    loaded.apart = told is None
    if told is not None:
        log.info("%s sees the images of a request at once, since one at a time fails: %s", loaded.info.id, ended(told))


def sees_usual_images(loaded: LoadedWeights) -> bool:
    """Whether a model's vision tower does its work at all: it is shown an image of a usual size."""
    try:
        prompt, images = finished(_prompt(loaded, SIZES[:1]))
        finished(_embedded(finished(_inputs(prompt, images, loaded, together=True)), loaded))
    except Exception as error:  # towers raise what they like
        log.info("%s sees no image: %s: %s", loaded.info.id, type(error).__name__, error)
        return False
    return True


def parted(loaded: LoadedWeights) -> Generator[None, None, str | None]:
    """In what the two ways part; None where they do not."""
    prompt, images = yield from _prompt(loaded, SIZES)
    apart = yield from _inputs(prompt, images, loaded, together=False)
    if apart.apart is None:
        return "what belongs to which cannot be told"
    whole = yield from _inputs(prompt, images, loaded, together=True)
    if (apart.tokens, apart.runs) != (whole.tokens, whole.runs):
        return "it gives images other tokens"
    return _difference((yield from _embedded(apart, loaded)), (yield from _embedded(whole, loaded)))


def _prompt(
    loaded: LoadedWeights, sizes: Sequence[tuple[int, int]]
) -> Generator[None, None, tuple[Prompt, list[ImageData]]]:
    """A prompt with made-up images of these sizes."""
    images = [ImageData(b"", "image/png", *size, sha256=f"trial {place}") for place, size in enumerate(sizes)]
    message = Message(Role.USER, tuple(ImagePart(image) for image in images))
    prompt = yield from aside(rendering(GenerationRequest(loaded.info.id, (message,)), loaded))
    return prompt, images


def _inputs(
    prompt: Prompt, images: list[ImageData], loaded: LoadedWeights, *, together: bool
) -> Generator[None, None, Inputs]:
    return (yield from with_pictures(prompt, images, _pictures()[: len(images)], loaded, together=together))


def _pictures() -> list[Any]:
    """Two that have nothing in common."""
    from PIL import Image

    random = np.random.default_rng(0)
    squares = (random.integers(0, 256, (height // PATCH, width // PATCH, 3), np.uint8) for width, height in SIZES)
    return [
        Image.fromarray(one).resize(size, Image.Resampling.NEAREST) for one, size in zip(squares, SIZES, strict=True)
    ]


def _embedded(inputs: Inputs, loaded: LoadedWeights) -> Generator[None, None, VisionPrefill]:
    """The prompt with its images looked at, and nothing prefilled."""
    work = VisionPrefill(VisionDecoder(loaded.model), loaded.model, inputs, ImageEmbeddings(0), loaded.info.id)
    while work.encoding:
        work.step(1)
        yield
    return work


def _difference(mine: VisionPrefill, theirs: VisionPrefill) -> str | None:
    ours, wanted = mine.given, theirs.given
    if not ours.keys() <= wanted.keys():
        return "it gives the language model something else"
    left_out = {name for name in wanted.keys() - ours.keys() if not mx.all(wanted[name] == 1).item()}
    if left_out:
        return f"it gives the language model {', '.join(sorted(left_out))} as well"
    for name, value in wanted.items():
        if name in ours and not _same(ours[name], value, theirs.inputs):
            return f"{name} differ"
    if mine.indivisible != theirs.indivisible:
        return "its prompts are divided otherwise"
    return None


def _same(ours: Any, wanted: Any, inputs: Inputs) -> bool:
    if not isinstance(wanted, mx.array):
        return bool(ours == wanted)
    if ours.shape != wanted.shape:
        return False
    ours, wanted = ours.astype(mx.float32), wanted.astype(mx.float32)
    off = mx.abs(ours - wanted).mean()
    spread = mx.abs(wanted - wanted.mean()).mean()
    if wanted.ndim == 3 and wanted.shape[1] == inputs.length:  # embeddings: the images' rows are meant
        places = mx.array([place for start, end in inputs.runs for place in range(start, end)])
        rows = wanted[0, places]
        off = mx.abs(ours[0, places] - rows).mean()
        spread = mx.abs(rows - rows.mean(axis=0)).mean()
    return bool(off <= CLOSE * spread)
