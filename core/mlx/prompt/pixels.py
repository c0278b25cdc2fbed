"""The pixels of a prompt's images: made of one image at a time, when the vision tower is to see it and no earlier."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy as np

from core.mlx.models.templates import aside

if TYPE_CHECKING:
    from core.mlx.models.lexicon import Lexicon

ONE_BY_ONE = frozenset(
    {
        "qwen2_5_vl",
        "qwen2_vl",
        "qwen3_5",
        "qwen3_5_moe",
        "qwen3_vl",
        "qwen3_vl_moe",
    }
)
"""Models (`model_type`) whose vision tower makes of an image what it makes of it beside others, given its patches and
its grid. tests/core/mlx/decoding/test_image_tower.py shows it of each; the others are in `apart`, or see all images in
one step."""


def one_by_one(config: Any) -> bool:
    """Whether a model's vision tower may see the images of a prompt one after the other."""
    return getattr(config, "model_type", "") in ONE_BY_ONE


class Pixels:
    """Patches of the images of one prompt; `grids` says how many there are: (time, rows, columns) of each image.

    They are made of `pictures` by `processor` when they are asked for, or have been made already.
    """

    def __init__(self, grids: Sequence[Sequence[int]]) -> None:
        self.grids = [tuple(grid) for grid in grids]
        self._processor: Any = None
        self._pictures: list[Any] = []
        self._options: dict[str, Any] = {}
        self._patches: mx.array | None = None

    @classmethod
    def later(cls, processor: Any, pictures: Sequence[Any], options: dict[str, Any]) -> Pixels:
        """Those that mlx-vlm's processor of the Qwen-VL family will make. Raises ValueError for sizes it refuses."""
        sizes = (processor._resolved_size(picture.height, picture.width, **options) for picture in pictures)
        pixels = cls([(1, height // processor.patch_size, width // processor.patch_size) for height, width in sizes])
        pixels._processor, pixels._pictures, pixels._options = processor, list(pictures), options
        return pixels

    @classmethod
    def made(cls, patches: mx.array, grids: mx.array) -> Pixels:
        """Patches of shape (patches of all images, ...) and grids of shape (images, 3)."""
        pixels = cls(np.array(grids).tolist())
        pixels._patches = patches
        return pixels

    def of(self, place: int) -> Generator[None, None, mx.array]:
        """The patches of one image; whoever waits for them may let others go on. Each image is asked for once."""
        if self._patches is not None:
            counts = [int(np.prod(grid)) for grid in self.grids[: place + 1]]
            return self._patches[sum(counts[:-1]) : sum(counts)]
        work = partial(self._processor, images=[self._pictures[place]], **self._options)
        found = yield from aside(work)
        return mx.array(found["pixel_values"])


class _Measure:
    """An image processor that tells grids alone and leaves the pixels for later."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self.pixels: Pixels | None = None

    def __call__(self, images: list[Any], **options: Any) -> dict[str, Any]:
        self.pixels = Pixels.later(self._processor, images, options)
        return {"image_grid_thw": np.array(self.pixels.grids, dtype=np.int64)}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processor, name)


@contextmanager
def pixels_later(lexicon: Lexicon) -> Iterator[_Measure | None]:
    """Keep a model's processor from making pixels, where they can be made later; else None."""
    from mlx_vlm.models.qwen3_vl.processing_qwen3_vl import Qwen3VLImageProcessor

    processor = lexicon.processor
    original = getattr(processor, "image_processor", None)
    if type(original) is not Qwen3VLImageProcessor or not one_by_one(lexicon.config):
        yield None
        return
    measure = _Measure(original)
    processor.image_processor = measure
    try:
        yield measure
    finally:
        processor.image_processor = original
