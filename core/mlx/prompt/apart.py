"""What image processors make of the images of a prompt, one at a time, for models that need not see them together."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import mlx.core as mx
import numpy as np

from core.mlx.models.lexicon import Lexicon
from core.mlx.models.templates import aside

APART = frozenset({"gemma3", "gemma4", "llava", "mistral3", "pixtral"})
"""Models (`model_type`) that make the same embeddings of an image alone as beside others, given what the image
processor makes of it alone. tests/core/mlx/decoding/test_image_tower.py shows it of each."""
PIXELS = "pixel_values"


class Apart:
    """The images of one prompt before an image processor, which is asked for what it makes of one when that is needed.

    `nested` and `options` are how the model's processor asks for them.
    """

    def __init__(self, processor: Any, pictures: list[Any], nested: bool, options: dict[str, Any]) -> None:
        self._processor = processor
        self._pictures = pictures
        self._nested = nested
        self._options = options
        self._all: Any = None

    def look(self) -> Generator[None, None, None]:
        """Find out what the processor says of all images beside their pixels, which their sizes tell."""
        known: dict[tuple[int, int], Any] = {}
        for picture in self._pictures:
            if picture.size not in known:
                found = yield from aside(partial(self._made, picture))
                known[picture.size] = _without_pixels(found) if known else found
        first = known[self._pictures[0].size]
        self._all = _joined([first, *(_without_pixels(known[picture.size]) for picture in self._pictures[1:])])

    def of(self, place: int) -> Generator[None, None, dict[str, Any]]:
        """The pixels of one image and what goes with them; whoever waits for them may let others go on."""
        found = yield from aside(partial(self._made, self._pictures[place]))
        features = found[0] if isinstance(found, tuple) else found
        return {name: mx.array(np.asarray(value)) for name, value in features.items() if value is not None}

    def all(self) -> Any:
        """What the processor makes of all images, but for the pixels, which are those of the first."""
        return self._all

    def _made(self, picture: Any) -> Any:
        return self._processor([[picture]] if self._nested else [picture], **self._options)


class _StandIn:
    """An image processor that does as it is told."""

    def __init__(self, processor: Any, answer: Callable[..., Any]) -> None:
        self._processor = processor
        self._answer = answer

    def __call__(self, images: Any, **options: Any) -> Any:
        return self._answer(images, options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processor, name)


def asked(lexicon: Lexicon, process: Callable[[], Any]) -> Apart | None:
    """How a model's processor asks for the images when it is run by `process`; None where they cannot be told apart."""
    from mlx_vlm.models.base import BaseImageProcessor

    found: list[Apart] = []
    original = getattr(lexicon.processor, "image_processor", None)
    if original is None or isinstance(original, BaseImageProcessor) or lexicon.config.model_type not in APART:
        return None

    def answer(images: Any, options: dict[str, Any]) -> Any:
        nested = bool(images) and isinstance(images[0], list | tuple)
        pictures = [picture for row in images for picture in row] if nested else list(images)
        options = {name: value for name, value in options.items() if name not in ("padding", "return_tensors")}
        found.append(Apart(original, pictures, nested, options))
        raise RuntimeError("the processor is not to go on")

    try:
        with _instead(lexicon.processor, _StandIn(original, answer)):
            process()
    except Exception:
        if not found:
            raise
    return found[0] if found else None


@contextmanager
def given(lexicon: Lexicon, apart: Apart) -> Iterator[None]:
    """Have a model's processor be told what its image processor makes of the images."""
    with _instead(lexicon.processor, _StandIn(lexicon.processor.image_processor, lambda images, options: apart.all())):
        yield


@contextmanager
def _instead(processor: Any, stand_in: _StandIn) -> Iterator[None]:
    original = processor.image_processor
    processor.image_processor = stand_in
    try:
        yield
    finally:
        processor.image_processor = original


def _without_pixels(found: Any) -> Any:
    if isinstance(found, tuple):
        return (_without_pixels(found[0]), *found[1:])
    return {name: value for name, value in found.items() if name != PIXELS}


def _joined(parts: list[Any]) -> Any:
    """What is said of each of several images as if it were said of all; what only the first has stays."""
    first = parts[0]
    if isinstance(first, tuple):
        return tuple(_joined(list(values)) for values in zip(*parts, strict=True))
    if isinstance(first, list):
        return [value for part in parts for value in part]
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    if isinstance(first, Mapping):
        return {
            name: value if name == PIXELS else _joined([part[name] for part in parts]) for name, value in first.items()
        }
    return first
