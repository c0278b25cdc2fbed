"""How weights lie in memory on a Linux processor: in float32, which alone goes through a BLAS, and the long way round.

A row times a weight of shape (outputs, inputs) reads that weight once, and memory sets the pace. BLAS reads it up to
half again as fast when all outputs of one input lie side by side; MLX's reference BLAS, twice as fast.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_lm.utils import dequantize_model

from core.catalog import Float32
from core.compute import on_linux_cpu
from core.mlx.models.rotary import share_angles


def arrange(model: Any, way: Float32 | None) -> None:
    """Lay a lazy model's weights out for this machine, in the precision of `way`."""
    convert(model, way)
    if on_linux_cpu():
        lay_out(model)
        share_angles(model)


def convert(model: Any, way: Float32 | None) -> None:
    """Turn a lazy model's numbers into float32, its quantised weights too where that is the `way`; None does nothing.

    Scales first: a weight that was unpacked by half-precision scales would be rounded to them.
    """
    if way is None:
        return
    model.set_dtype(mx.float32)
    if way.unpacked:
        dequantize_model(model)
        model.set_dtype(mx.float32)  # the formats whose scales are no floats unpack to bfloat16


def lay_out(model: Any) -> None:
    """Store float32 weights that rows are multiplied by with an input's outputs side by side. Shapes stay as they are:
    (outputs, inputs), as transposed views."""
    modules = [module for _, module in model.named_modules()]
    heads = {module.weight.shape for module in modules if type(module) is nn.Linear}
    for module in modules:
        tied = type(module) is nn.Embedding and module.weight.shape not in heads
        if (tied or type(module) is nn.Linear) and module.weight.dtype == mx.float32:
            module.weight = mx.contiguous(module.weight.T).T


def precision(model: Any) -> str:
    """The type in which a model computes, such as "bfloat16": that of most of its floating-point numbers."""
    sizes: Counter[mx.Dtype] = Counter()
    for _, array in tree_flatten(model.parameters()):
        if mx.issubdtype(array.dtype, mx.floating):
            sizes[array.dtype] += array.size
    return str(max(sizes, key=lambda dtype: sizes[dtype])).rpartition(".")[2] if sizes else ""
