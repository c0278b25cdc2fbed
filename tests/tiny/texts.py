"""Text models of many architectures: random float32 weights, a few hundred thousand of them, the pocket tokenizer.

Random weights answer nonsense, but they do so by every cache, mask and position of the architecture: whoever computes
the same tokens has them right. Windows are shorter than the prompts that tests send, so that they slide.
"""

from __future__ import annotations

import copy
import importlib
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_lm.utils import MODEL_REMAPPING

from core.pocket import MODELS_DIR
from tests.tiny.text_shapes import ARCHITECTURES, COMMON, VOCABULARY

NEVER = "<|never|>"


def make_text_model(name: str, folder: Path, bits: int | None = None) -> Path:
    """Write a model of architecture `name` to `folder`, quantised to `bits` in groups of 32 where that is asked."""
    config: dict[str, Any] = {"model_type": name} | COMMON | ARCHITECTURES[name]
    if "text_config" in config:
        config = {key: value for key, value in config.items() if key in ("model_type", "text_config", "eos_token_id")}
        config["vocab_size"] = VOCABULARY
    folder.mkdir(parents=True)
    _copy_tokenizer(MODELS_DIR / "qwen3", folder)
    library = importlib.import_module(f"mlx_lm.models.{MODEL_REMAPPING.get(name, name)}")
    model = library.Model(library.ModelArgs.from_dict(copy.deepcopy(config)))  # some write into what they read
    mx.random.seed(sum(name.encode()))
    model.load_weights(list(_random(model)))
    if bits is not None:
        nn.quantize(model, 32, bits)
        config["quantization"] = {"group_size": 32, "bits": bits}
    (folder / "config.json").write_text(json.dumps(config))
    weights = dict(tree_flatten(model.parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, {"format": "mlx"})
    return folder


def _copy_tokenizer(pocket: Path, folder: Path) -> None:
    shutil.copy(pocket / "chat_template.jinja", folder / "chat_template.jinja")
    tokenizer = json.loads((pocket / "tokenizer.json").read_text())
    tokenizer["added_tokens"].append(tokenizer["added_tokens"][0] | {"id": VOCABULARY, "content": NEVER})
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    config = json.loads((pocket / "tokenizer_config.json").read_text()) | {"eos_token": NEVER}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def _random(model: nn.Module) -> Iterator[tuple[str, mx.array]]:
    """Weights whose products keep their size, so that attention is neither flat nor a single token; vectors near what
    the module began with."""
    for name, value in tree_flatten(model.parameters()):
        if value.ndim > 1:
            scale = 1.5 / math.sqrt(math.prod(value.shape[-1:]))
            yield name, mx.random.normal(value.shape) * scale
        else:
            yield name, (value + 0.1 * mx.random.normal(value.shape)).astype(mx.float32)
