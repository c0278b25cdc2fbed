"""The vision tower over the images of a prompt, one after the other."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import mlx.core as mx

from core.mlx.prompt.pixels import Pixels


def see_each(model: Any, pixels: Pixels, names: list[str], known: Mapping[str, mx.array]) -> Generator[None, None, Any]:
    """What a model's vision tower returns for all images, seen one by one; it yields after each.

    An image whose name came before, or whose rows of shape (tokens, hidden) are `known`, is not seen again.
    """
    tower = model.vision_tower
    dtype = tower.patch_embed.proj.weight.dtype
    made: dict[str, Any] = {}
    for place, name in enumerate(names):
        if name in known or name in made:
            continue
        patches = yield from pixels.of(place)
        made[name] = tower(patches.astype(dtype), mx.array([pixels.grids[place]]))
        mx.eval(made[name])
        del patches
        mx.clear_cache()  # the next image is of another size: what it took would be kept beside
        yield
    pattern = next(iter(made.values()), None)
    return _joined([made[name] if name in made else _like(pattern, known[name]) for name in names])


@contextmanager
def seen(model: Any, output: Any) -> Iterator[None]:
    """Have a model's vision tower return `output`, whatever it is shown."""
    tower = model.vision_tower
    model["vision_tower"] = _Seen(tower, output)
    try:
        yield
    finally:
        model["vision_tower"] = tower


class _Seen:
    def __init__(self, tower: Any, output: Any) -> None:
        self._tower = tower
        self._output = output

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self._output

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tower, name)


def _joined(outputs: list[Any]) -> Any:
    """Towers return rows, or rows and a list of more rows for layers of the language model."""
    first = outputs[0]
    if isinstance(first, mx.array):
        return mx.concatenate(outputs) if len(outputs) > 1 else first
    if isinstance(first, tuple | list):
        return type(first)(_joined(list(parts)) for parts in zip(*outputs, strict=True))
    return first


def _like(pattern: Any, rows: mx.array) -> Any:
    """Rows in the place where a tower returns them; those that are kept have none for other layers beside them."""
    return (rows, *pattern[1:]) if isinstance(pattern, tuple) else rows
