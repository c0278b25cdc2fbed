"""Quantised copies of models, made as the converters make them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_vlm.utils import load_model

GROUP = 32


def quantise(original: Path, folder: Path, bits: int = 4) -> Path:
    """A copy of a vision model with its language half in so many bits, in groups of GROUP weights."""
    shutil.copytree(original, folder)
    model = load_model(original, lazy=False)
    nn.quantize(model, GROUP, bits, class_predicate=_of_language)
    weights = {name: _scale(value) for name, value in tree_flatten(model.parameters())}
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    config = json.loads((folder / "config.json").read_text())
    config["quantization"] = config["quantization_config"] = {"group_size": GROUP, "bits": bits}
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    return folder


def _of_language(path: str, module: Any) -> bool:
    return "language_model" in path and hasattr(module, "to_quantized") and module.weight.shape[-1] % GROUP == 0


def _scale(value: mx.array) -> mx.array:
    """Scales in float32: a Linux processor multiplies ten times as slowly with others."""
    return value.astype(mx.float32) if value.dtype == mx.float16 else value
