"""What it takes to make one pocket model: a recipe is plain data and four functions that the loop calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import mlx.core as mx
    import mlx.nn as nn

Batch = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Recipe:
    """How to train one model."""

    name: str
    steps: int
    """Optimiser steps of the whole cosine schedule."""
    batch: int
    """Size of one batch, in the unit of `make_batch` (tokens for text, samples for vision)."""
    learning_rate: float
    warmup: int
    """Steps of linear warm-up."""
    make_batch: Callable[[int, int, int], Batch]
    """(seed, batch index, batch size) -> arrays. A function of its arguments alone, so that neither the number of
    workers nor a resume changes the data. A module-level function: worker processes import it, so its module should
    not import MLX."""
    build: Callable[[int], nn.Module]
    """seed -> the model to train, initialised. May wrap the model that is exported (auxiliary heads)."""
    loss: Callable[[nn.Module, dict[str, mx.array]], mx.array]
    """(model, batch) -> scalar."""
    export: Callable[[nn.Module, Path], None]
    """(model, folder): writes every file of the model folder, weights in float16."""
    weight_decay: float = 0.05
    adopt: Callable[[nn.Module, Path], None] | None = None
    """(model, folder): take over the weights of an exported model folder, to train it further."""


def batch_rng(seed: int, index: int) -> np.random.Generator:
    """The random source of one batch: the same for the same seed and index on every machine."""
    return np.random.default_rng([seed, index])
