"""Weights on disk: a float16 safetensors file and JSON beside it, as mlx-lm and mlx-vlm load them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten


def save_weights(model: nn.Module, folder: Path) -> int:
    """Write the model's parameters to folder/model.safetensors in float16 and return the number of parameters."""
    weights = {name: value.astype(mx.float16) for name, value in sorted(tree_flatten(model.parameters()))}
    folder.mkdir(parents=True, exist_ok=True)
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    return sum(int(value.size) for value in weights.values())


def save_json(folder: Path, name: str, data: Mapping[str, object]) -> None:
    """Write folder/name as indented JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def average(folders: Sequence[Path], out: Path) -> None:
    """Write to `out` the model whose weights are the mean of those in `folders`; the other files are the first's.

    The mean of two points of one run, or of a run and its continuation, is often better than either: it does much of
    what a longer fall of the learning rate would.
    """
    shutil.copytree(folders[0], out, dirs_exist_ok=True)
    loaded: list[Any] = [mx.load(str(folder / "model.safetensors")) for folder in folders]
    mean = {name: sum(one[name].astype(mx.float32) for one in loaded) / len(loaded) for name in loaded[0]}
    weights = {name: value.astype(mx.float16) for name, value in mean.items()}
    mx.save_safetensors(str(out / "model.safetensors"), weights, metadata={"format": "mlx"})
