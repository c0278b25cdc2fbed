"""Images and a rendered prompt through the model's own processor, and which of its tokens stand for which image."""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from core.errors import InvalidImage, ended
from core.media.images import ImageData
from core.mlx.models.lexicon import Lexicon
from core.mlx.prompt.apart import Apart, asked, given
from core.mlx.prompt.pixels import Pixels, one_by_one, pixels_later

MARKERS = ("image_token_index", "image_token_id", "media_placeholder_token_id", "image_patch_id")
"""Names under which configurations keep the token that an image's embeddings replace."""


SIZES = 8
"""Sizes of images that a refusal names."""


@dataclass(frozen=True)
class Seen:
    """What a processor made of a prompt with images. `places` are those of the image tokens, in order.

    `pixels` are those that can be shown to the vision tower one image at a time, and `apart` makes them where the
    images can be prompted with one at a time; others are among the features.
    """

    tokens: list[int]
    features: dict[str, Any]
    places: list[int]
    pixels: Pixels | None = None
    apart: Apart | None = None


def see(
    text: str,
    images: Sequence[ImageData],
    pictures: list[Any],
    lexicon: Lexicon,
    *,
    special: bool,
    together: bool = False,
) -> Generator[None, None, Seen]:
    """Run the processor over a rendered prompt and what the images were decoded to.

    `special` asks for the tokenizer's special tokens around it, `together` for the pixels of all images at once where
    they could be had one by one.

    Raises InvalidImage for images that it refuses.
    """
    process = partial(_processed, text, pictures, lexicon, special)
    apart: Apart | None = None
    try:
        if len(pictures) > 1 and not together and (apart := asked(lexicon, process)) is not None:
            yield from apart.look()
            with given(lexicon, apart):
                features = process()
            features = {name: value for name, value in features.items() if name not in apart.heavy}
        with pixels_later(lexicon) as measure:
            if apart is None:
                features = process()
    except InvalidImage:
        raise
    except MemoryError as error:  # numpy would name its arrays
        raise InvalidImage(_refusal(lexicon.info.id, images, "not enough memory for them")) from error
    except Exception as error:  # processors raise what they like on images or counts they cannot place
        raise InvalidImage(_refusal(lexicon.info.id, images, str(error) or type(error).__name__)) from error
    tokens = [int(token) for token in features.pop("input_ids").reshape(-1).tolist()]
    features = {name: value for name, value in features.items() if value is not None}
    pixels = measure.pixels if measure is not None else None
    if pixels is None and one_by_one(lexicon.config) and {"pixel_values", "image_grid_thw"} <= features.keys():
        pixels = Pixels.made(features.pop("pixel_values"), features["image_grid_thw"])
    markers = [features["image_token_index"]] if "image_token_index" in features else _markers(lexicon)
    marker = next((marker for marker in markers if marker in tokens), None)
    # Phi-3.5-vision's processor numbers its images -1, -2, ... instead of giving them a token.
    places = [place for place, token in enumerate(tokens) if token == marker or token < 0]
    return Seen(tokens, features, places, pixels, apart)


def _refusal(model: str, images: Sequence[ImageData], said: str) -> str:
    """Why a processor took no images, from what its library raised; only some say it in words of their own."""
    if "aspect ratio" in said:
        longest = max(images, key=lambda image: max(image.width, image.height) / min(image.width, image.height))
        limit = re.search(r"smaller than (\d+)", said)
        ratio = max(longest.width, longest.height) / min(longest.width, longest.height)
        possible = f"and less than {limit[1]} times is possible" if limit else "which is too much"
        return (
            f"{model} cannot take an image of {longest.width} x {longest.height} pixels: one side is {ratio:,.0f} "
            f"times the other, {possible}. Crop the image, or pad it on its short side."
        )
    reason = said.removeprefix("Failed to process inputs with error: ")
    return (
        f"{model} could not take {_sized(images)}; its image processor says: {ended(reason)} Send fewer images, or "
        "other sizes."
    )


def unseen(model: str, images: Sequence[ImageData]) -> InvalidImage:
    """The refusal of images at which a vision tower fails that sees others."""
    return InvalidImage(
        f"{model} could not see {_sized(images)}, though it sees others: its vision tower failed there. Send other "
        "sizes: crop what is long and narrow, and enlarge what is tiny."
    )


def _sized(images: Sequence[ImageData]) -> str:
    different = list(dict.fromkeys(f"{image.width} x {image.height}" for image in images))
    sizes = ", ".join(different[:SIZES]) + (", …" if len(different) > SIZES else "")
    return f"the {'image' if len(images) == 1 else f'{len(images)} images'} of {sizes} pixels"


def name_images(
    seen: Seen, images: Sequence[ImageData], counts: Sequence[int] | None
) -> tuple[list[int], list[tuple[int, int]]]:
    """The prompt's key for the prefix cache, and (start, end) of each run of image tokens.

    Each image token is replaced by a negative number made of its image's digest and of how many runs of that image came
    before. `counts` says how many tokens each image has; without them every run is named after all images.
    """
    key, runs = list(seen.tokens), []
    owners = [place for place, count in enumerate(counts or ()) for _ in range(count)] or [0] * len(seen.places)
    names = [image.name_in_keys for image in images]
    names = names if counts else ["/".join(names)]
    earlier: dict[int, int] = {}
    start = 0
    for index, place in enumerate(seen.places):
        follows = index > 0 and seen.places[index - 1] == place - 1 and owners[index - 1] == owners[index]
        if not follows:
            start = place
            earlier[owners[index]] = earlier.get(owners[index], -1) + 1
            runs.append((start, start))
        runs[-1] = (start, place + 1)
        key[place] = image_number(names[owners[index]], earlier[owners[index]])
    return key, runs


def image_number(name: str, run: int = 0) -> int:
    """What stands in keys for an image, or for the run number `run` of its tokens; no token is negative there."""
    text = f"{name}/{run}" if run else name
    return -1 - int(hashlib.sha256(text.encode()).hexdigest()[:15], 16)


def run_count(places: Sequence[int]) -> int:
    """How many runs of neighbours there are."""
    return sum(1 for index, place in enumerate(places) if index == 0 or places[index - 1] != place - 1)


def _markers(lexicon: Lexicon) -> list[int]:
    """Which tokens may stand for images; configurations have defaults for names that a checkpoint does not use."""
    values = (getattr(lexicon.config, name, None) for name in MARKERS)
    return [int(value) for value in values if value is not None]


def _processed(text: str, pictures: list[Any], lexicon: Lexicon, special: bool) -> dict[str, Any]:
    from mlx_vlm.utils import prepare_inputs

    processor = lexicon.processor
    arguments = {"images": pictures, "prompts": text, "add_special_tokens": special}
    arguments["image_token_index"] = next(iter(_markers(lexicon)), None)
    with _special_tokens(processor, special), _whole(processor):
        try:
            found = prepare_inputs(processor, **arguments)
        except ValueError as error:
            if "'padding'" not in str(error):
                raise
            found = prepare_inputs(Unpadded(processor), **arguments)
    return dict(found)


class Unpadded:
    """A processor that is not told to pad.

    mlx-vlm tells every one, and some (LLaVA's) pass it on to an image processor that takes no such argument.
    """

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        target = getattr(processor, "process", processor)

        def process(**arguments: Any) -> Any:
            arguments.pop("padding", None)
            return target(**arguments)

        process.__signature__ = inspect.signature(target)  # type: ignore[attr-defined]
        self.process = process

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processor, name)


@contextmanager
def _whole(processor: Any) -> Iterator[None]:
    """Keep a processor from having prompts cut off, as InternVL's does: whether they fit the window is told later."""
    tokenizer = getattr(processor, "tokenizer", processor)
    before = getattr(tokenizer, "model_max_length", None)
    if before is None:
        yield
        return
    tokenizer.model_max_length = sys.maxsize
    try:
        yield
    finally:
        tokenizer.model_max_length = before


@contextmanager
def _special_tokens(processor: Any, wanted: bool) -> Iterator[None]:
    """Keep a tokenizer from adding special tokens although its processor cannot be told to.

    Chat templates write the first token themselves, and Gemma answers badly when it comes twice.
    """
    backend = getattr(getattr(processor, "tokenizer", processor), "backend_tokenizer", None)
    target = getattr(processor, "process", processor)
    if wanted or backend is None or "add_special_tokens" in inspect.signature(target).parameters:
        yield
        return
    before = backend.post_processor
    backend.post_processor = None
    try:
        yield
    finally:
        backend.post_processor = before
