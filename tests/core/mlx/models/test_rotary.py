"""Rotary positions that layers share: the numbers of `mlx.nn.RoPE`, whatever is asked in which order."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx.utils import tree_flatten

from core.mlx.models.rotary import SharedRoPE, share_angles


class Two(nn.Module):
    """Two layers, and a third that rotates in another way."""

    def __init__(self, *ropes: nn.Module) -> None:
        super().__init__()
        self.layers = list(ropes)


def same(ours: mx.array, theirs: mx.array) -> None:
    np.testing.assert_allclose(np.array(ours), np.array(theirs), atol=1e-5)


@given(
    dims=st.sampled_from([8, 16]),
    width=st.sampled_from([16, 24]),
    base=st.sampled_from([1e4, 1e6]),
    scale=st.sampled_from([1.0, 0.125]),
    asked=st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 5)), min_size=1, max_size=6),
)
@settings(max_examples=40, deadline=None)
def test_it_rotates_as_mlx_does(dims: int, width: int, base: float, scale: float, asked: list[tuple[int, int]]) -> None:
    plain = nn.RoPE(dims, base=base, scale=scale)
    model = Two(nn.RoPE(dims, base=base, scale=scale), nn.RoPE(dims, base=base, scale=scale))
    share_angles(model)
    for offset, count in asked:
        x = mx.random.normal((2, 3, count, width))
        for layer in model.layers:
            same(layer(x, offset=offset), plain(x, offset=offset))


def test_layers_share_only_with_those_that_rotate_alike() -> None:
    model = Two(nn.RoPE(8), nn.RoPE(8), nn.RoPE(8, base=1e6), nn.RoPE(8, traditional=True), nn.Linear(2, 2))
    share_angles(model)
    first, second, third, fourth, last = model.layers
    assert first._angles is second._angles
    assert first._angles is not third._angles
    assert type(fourth) is nn.RoPE
    assert type(last) is nn.Linear
    assert all("angles" not in name for name, _ in tree_flatten(model.parameters()))


@pytest.mark.parametrize("dtype", [mx.float16, mx.float32])
def test_rows_with_offsets_of_their_own(dtype: mx.Dtype) -> None:
    """As mlx-lm's batch caches have them: the array stays and its numbers grow."""
    model = Two(nn.RoPE(8))
    share_angles(model)
    (layer,) = model.layers
    assert isinstance(layer, SharedRoPE)
    offsets: Any = mx.array([3, 70])
    for _ in range(3):
        x = mx.random.normal((2, 3, 1, 8)).astype(dtype)
        same(layer(x, offset=offsets).astype(mx.float32), nn.RoPE(8)(x, offset=offsets).astype(mx.float32))
        offsets += 1
    x = mx.random.normal((1, 3, 4, 8)).astype(dtype)
    same(layer(x, offset=7).astype(mx.float32), nn.RoPE(8)(x, offset=7).astype(mx.float32))
