"""Rotary positions on a processor: the sines and cosines of a step once for all layers, not once for each of them.

MLX has no kernel for rotary positions there. It makes them of some thirty small operations for the queries and as many
for the keys of every layer, most of which come to the same: a step of a small model is bound by their number.
"""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten


class _Angles:
    """Cosines and sines of the positions that were asked for last: what every layer of a step asks for."""

    def __init__(self, dims: int, base: float, scale: float) -> None:
        halves = dims // 2
        self._scale = scale
        self._frequencies = mx.exp(mx.arange(0, -halves, -1, dtype=mx.float32) * (math.log(base) / halves))
        self._asked = (-1, 0)
        self._found = (self._frequencies, self._frequencies)

    def at(self, offset: int, count: int) -> tuple[mx.array, mx.array]:
        """For `count` positions from `offset` on, each of shape (count, dims / 2), as `mx.fast.rope` computes them."""
        if self._asked != (offset, count):
            positions = (mx.arange(count, dtype=mx.float32) + offset) * self._scale
            angles = positions[:, None] * self._frequencies
            self._found = mx.cos(angles), mx.sin(angles)
            self._asked = (offset, count)
        return self._found


class SharedRoPE(nn.RoPE):  # type: ignore[misc]
    """`mlx.nn.RoPE`, which shares its angles with those that rotate alike.

    Where rows have offsets of their own, an array that grows in place from step to step, it is MLX's.
    """

    def __init__(self, rope: nn.RoPE, angles: _Angles) -> None:
        super().__init__(rope.dims, rope.traditional, rope.base, rope.scale)
        self._angles = angles

    def __call__(self, x: mx.array, offset: int | mx.array = 0) -> mx.array:
        if not isinstance(offset, int) or x.dtype != mx.float32 or x.ndim != 4:
            return super().__call__(x, offset)  # type: ignore[no-any-return]
        cosines, sines = self._angles.at(offset, x.shape[2])
        halves = self.dims // 2
        first, second = x[..., :halves], x[..., halves : self.dims]
        parts = [first * cosines - second * sines, first * sines + second * cosines]
        if self.dims < x.shape[-1]:
            parts.append(x[..., self.dims :])
        return mx.concatenate(parts, axis=-1)


def share_angles(model: Any) -> None:
    """Let the layers of a model share what they compute of rotary positions, where they use MLX's own module."""
    shared: dict[tuple[int, float, float], _Angles] = {}
    replaced: list[tuple[str, Any]] = []
    for name, module in model.named_modules():
        if type(module) is nn.RoPE and not module.traditional:
            kind = (module.dims, module.base, module.scale)
            if kind not in shared:
                shared[kind] = _Angles(*kind)
            replaced.append((name, SharedRoPE(module, shared[kind])))
    if replaced:
        model.update_modules(tree_unflatten(replaced))
