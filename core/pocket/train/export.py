"""Weights on disk: a float16 safetensors file and JSON beside it, as mlx-lm and mlx-vlm load them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

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
