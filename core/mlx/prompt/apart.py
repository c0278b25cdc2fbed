"""What image processors make of the images of a prompt, one at a time, for models that need not see them together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import mlx.core as mx
import numpy as np

from core.mlx.models.lexicon import Lexicon
from core.mlx.models.templates import aside

PIXELS = "pixel_values"
LIGHT = 4096
"""Numbers of what is said of an image beside its pixels, up to which they are put together with those of the others:
texts are made of those. What is larger is a mask of its pixels."""


class Apart:
    """The images of one prompt before an image processor, which is asked for what it makes of one when that is needed.

    `shape` is how the model's processor asks for them.
    """

    def __init__(self, lexicon: Lexicon, processor: Any, pictures: list[Any], shape: _Shape) -> None:
        self._lexicon = lexicon
        self._processor = processor
        self._pictures = pictures
        self._shape = shape
        self._all: Any = None
        self.heavy = {PIXELS}
        """Names of what is not put together: the model gets those of one image at a time."""

    def look(self) -> Generator[None, None, None]:
        """Find out what the processor says of all images beside their pixels, which their sizes tell."""
        known: dict[tuple[int, int], Any] = {}
        for picture in self._pictures:
            if picture.size not in known:
                found = yield from self._made([picture])
                self.heavy |= {str(name) for name, value in _features(found).items() if _is_heavy(value)}
                known[picture.size] = _without(found, self.heavy) if known else found
        first = known[self._pictures[0].size]
        if len(self._pictures) == 1:
            self._all = first
            return
        parts = [first, *(known[picture.size] for picture in self._pictures[1:])]
        self._all = _joined(parts, *(yield from self._samples()), self.heavy)

    def _samples(self) -> Generator[None, None, tuple[Any, Any]]:
        """What is said of one image beside its pixels, and of twice the same."""
        if self._lexicon.image_samples is None:
            smallest = min(self._pictures, key=lambda picture: picture.width * picture.height)
            one, two = (yield from self._made([smallest])), (yield from self._made([smallest] * 2))
            self._lexicon.image_samples = _without(one, {PIXELS}), _without(two, {PIXELS})
        return self._lexicon.image_samples

    def of(self, place: int) -> Generator[None, None, dict[str, Any]]:
        """The pixels of one image and what goes with them; whoever waits for them may let others go on."""
        found = yield from self._made([self._pictures[place]])
        return {name: _array(value) for name, value in _features(found).items() if value is not None}

    def all(self) -> Any:
        """What the processor makes of all images, but for the pixels, which are those of the first."""
        return self._all

    def _made(self, pictures: list[Any]) -> Generator[None, None, Any]:
        work = partial(self._shape.call(self._processor), [pictures] if self._shape.nested else pictures)
        if _computes_with_mlx(self._processor):  # which is bound to this thread
            return work()
        return (yield from aside(work))


@dataclass(frozen=True)
class _Shape:
    """How a model's processor asks for the images: nested in one list for each prompt or not, by which method, with
    which other arguments."""

    nested: bool
    method: str
    options: dict[str, Any]

    def call(self, processor: Any) -> Callable[[Any], Any]:
        return partial(getattr(processor, self.method), **self.options)


class _StandIn:
    """An image processor that does as it is told."""

    def __init__(self, processor: Any, answer: Callable[[Any, str, dict[str, Any]], Any]) -> None:
        self._processor = processor
        self._answer = answer

    def __call__(self, images: Any, **options: Any) -> Any:
        return self._answer(images, "__call__", options)

    def preprocess(self, images: Any, **options: Any) -> Any:
        return self._answer(images, "preprocess", options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processor, name)


def _stand_in(processor: Any, answer: Callable[[Any, str, dict[str, Any]], Any]) -> _StandIn:
    """One of the same name: some processors (LFM2-VL's) put another in the place of what they do not know by name."""
    kind: type[_StandIn] = type(type(processor).__name__, (_StandIn,), {})
    return kind(processor, answer)


def asked(lexicon: Lexicon, process: Callable[[], Any]) -> Apart | None:
    """How a model's processor asks for the images when it is run by `process`; None where they cannot be told apart."""
    from mlx_vlm.models.base import BaseImageProcessor

    found: list[Apart] = []
    original = getattr(lexicon.processor, "image_processor", None)
    if original is None or isinstance(original, BaseImageProcessor):
        return None

    def answer(images: Any, method: str, options: dict[str, Any]) -> Any:
        nested = bool(images) and isinstance(images[0], list | tuple)
        pictures = [picture for row in images for picture in row] if nested else list(images)
        options = {name: value for name, value in options.items() if name not in ("padding", "return_tensors")}
        found.append(Apart(lexicon, original, pictures, _Shape(nested, method, options)))
        raise RuntimeError("the processor is not to go on")

    try:
        with _instead(lexicon.processor, _stand_in(original, answer)):
            process()
    except Exception:
        if not found:
            raise
    return found[0] if found else None


@contextmanager
def given(lexicon: Lexicon, apart: Apart) -> Iterator[None]:
    """Have a model's processor be told what its image processor makes of the images."""
    with _instead(lexicon.processor, _stand_in(lexicon.processor.image_processor, lambda *_: apart.all())):
        yield


@contextmanager
def _instead(processor: Any, stand_in: _StandIn) -> Iterator[None]:
    original = processor.image_processor
    processor.image_processor = stand_in
    try:
        yield
    finally:
        processor.image_processor = original


def _features(found: Any) -> Mapping[str, Any]:
    features: Mapping[str, Any] = found[0] if isinstance(found, tuple) else found
    return features


def _without(found: Any, names: set[str]) -> Any:
    if isinstance(found, tuple):
        return (_without(found[0], names), *found[1:])
    return {name: value for name, value in found.items() if name not in names}


def _is_heavy(value: Any) -> bool:
    return isinstance(value, np.ndarray | mx.array) and value.size > LIGHT


def _array(value: Any) -> Any:
    """As mlx-vlm gives it to models."""
    if isinstance(value, list) and value and not isinstance(value[0], np.ndarray | int | float):
        return value
    return value if isinstance(value, mx.array) else mx.array(np.asarray(value))


def _computes_with_mlx(processor: Any) -> bool:
    return any(getattr(sys.modules.get(kind.__module__), "mx", None) is mx for kind in type(processor).__mro__)


def _joined(parts: list[Any], one: Any, two: Any, heavy: set[str]) -> Any:
    """What is said of each of several images as if it were said of all; what is `heavy`, or only the first has, stays.

    `one` and `two` are what is said of one image and of twice the same, from which it is told where images follow each
    other. Raises ValueError where nothing tells.
    """
    first = parts[0]
    if isinstance(first, tuple):
        own = [list(values) for values in zip(*parts, strict=True)]
        return tuple(_joined(values, a, b, heavy) for values, a, b in zip(own, one, two, strict=True))
    if isinstance(first, Mapping):
        return {
            name: value if name in heavy else _joined([part[name] for part in parts], one[name], two[name], heavy)
            for name, value in first.items()
        }
    if isinstance(first, list):
        if len(two) == 2 * len(one):
            return [value for part in parts for value in part]
        if len(two) == len(one) == 1:
            return [_joined([part[0] for part in parts], one[0], two[0], heavy)]
        raise ValueError("lists of images have a length of their own")
    if isinstance(first, np.ndarray | mx.array):
        axes = [axis for axis, (a, b) in enumerate(zip(one.shape, two.shape, strict=True)) if a != b]
        if not axes:
            return first
        return (mx.concatenate if isinstance(first, mx.array) else np.concatenate)(parts, axis=axes[0])
    return first
