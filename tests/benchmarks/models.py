"""Models of random weights in any size: speed depends on shapes, not on what the numbers say.

A model is a pocket model's folder with other sizes and weights, so it passes the catalog and the loaders as any model
does. Its only end token lies beyond the model's vocabulary: random weights cannot stop early.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from core.pocket import MODELS_DIR
from tests.benchmarks.shapes import Shape

NEVER = "<|never|>"
SHARD_BYTES = 2 * 1024**3
GROUP, BITS = 64, 4


def make_model(shape: Shape, folder: Path) -> Path:
    """Write the model to folder/<name> and return that path."""
    finished, path = folder / shape.name, folder / f".{shape.name}"
    shutil.rmtree(path, ignore_errors=True)  # what a run that broke off left there
    left_out = () if shape.trained else ("*.safetensors",)
    shutil.copytree(MODELS_DIR / shape.base, path, ignore=shutil.ignore_patterns(*left_out))
    config = _merged(_read(path / "config.json"), shape.config)
    vocabulary = int(config.get("text_config", config)["vocab_size"])
    _set_end(config, vocabulary)
    if shape.quantised:
        config["quantization"] = {"group_size": GROUP, "bits": BITS}
    _write(path / "config.json", config)
    _write(path / "generation_config.json", {"eos_token_id": [vocabulary], "do_sample": False})
    if shape.preprocessor:
        for name in ("preprocessor_config.json", "processor_config.json"):
            if (path / name).exists():
                known = _read(path / name)
                changes = {key: value for key, value in shape.preprocessor.items() if key in known}
                _write(path / name, _merged(known, changes))
    _resize_tokenizer(path, vocabulary, int(config.get("text_config", config)["max_position_embeddings"]))
    if not shape.trained:
        _save_weights(_build(shape, config), shape.quantised, path)
    return path.rename(finished)


def _build(shape: Shape, config: dict[str, Any]) -> nn.Module:
    """The module tree with lazy parameters: only their shapes are used."""
    if shape.base == "qwen3":
        from mlx_lm.models import qwen3

        model: nn.Module = qwen3.Model(qwen3.ModelArgs.from_dict(config))
    else:
        from mlx_vlm.utils import get_model_and_args, update_module_configs

        config = json.loads(json.dumps(config))  # from_dict writes into what it reads
        architecture, _ = get_model_and_args(config=config)
        config.setdefault("text_config", {})
        whole = architecture.ModelConfig.from_dict(config)
        whole = update_module_configs(whole, architecture, config, ["text", "vision"])
        model = architecture.Model(whole)
    if shape.quantised:
        model.set_dtype(mx.bfloat16)
        nn.quantize(model, GROUP, BITS, class_predicate=_language_half)
    return model


def _language_half(path: str, module: nn.Module) -> bool:
    return hasattr(module, "to_quantized") and "vision" not in path and "projector" not in path


def _save_weights(model: nn.Module, quantised: bool, path: Path) -> None:
    """Random values in the shapes of the model's parameters, in shards that fit into memory one by one."""
    mx.random.seed(0)
    shard: dict[str, mx.array] = {}
    size = count = 0
    index: dict[str, str] = {}
    for name, value in _random_parameters(model):
        shard[name] = value
        size += value.nbytes
        index[name] = f"model-{count:05d}.safetensors"
        if size >= SHARD_BYTES:
            mx.save_safetensors(str(path / index[name]), shard, metadata={"format": "mlx"})
            shard, size, count = {}, 0, count + 1
    if shard:
        mx.save_safetensors(str(path / f"model-{count:05d}.safetensors"), shard, metadata={"format": "mlx"})
    _write(path / "model.safetensors.index.json", {"metadata": {}, "weight_map": index})


def _random_parameters(model: nn.Module) -> Iterator[tuple[str, mx.array]]:
    """Weights of variance 1 / fan-in, which keeps activations finite at any depth; norms 1, biases 0."""
    for name, value in tree_flatten(model.parameters()):
        kind = name.rsplit(".", 1)[-1]
        if value.dtype == mx.uint32:
            yield name, mx.random.randint(0, 2**32 - 1, value.shape, mx.uint32)
        elif kind in ("scales", "biases") and value.ndim == 2:  # 4-bit numbers are 7.5 +- 4.6, uniform
            scale = 1 / (4.6 * math.sqrt(value.shape[-1] * GROUP))
            yield name, mx.full(value.shape, scale if kind == "scales" else -7.5 * scale, value.dtype)
        elif value.ndim > 1:
            width = math.prod(value.shape[1:])
            yield name, (mx.random.normal(value.shape) / math.sqrt(width)).astype(value.dtype)
        else:
            yield name, (mx.zeros if kind == "bias" else mx.ones)(value.shape, value.dtype)


def _resize_tokenizer(path: Path, vocabulary: int, window: int) -> None:
    """Give every id below `vocabulary` a text, and the id `vocabulary` to an end token that no model can choose."""
    tokenizer = _read(path / "tokenizer.json")
    words: dict[str, int] = tokenizer["model"]["vocab"]
    for token in tokenizer["added_tokens"]:
        words[token["content"]] = token["id"]
    for number in range(len(words), vocabulary):
        words[f"Ġw{number}"] = number
    never = dict(tokenizer["added_tokens"][0]) | {"id": vocabulary, "content": NEVER, "special": True}
    words[NEVER] = vocabulary
    tokenizer["added_tokens"].append(never)
    _write(path / "tokenizer.json", tokenizer)
    config = _read(path / "tokenizer_config.json")
    _write(path / "tokenizer_config.json", config | {"eos_token": NEVER, "model_max_length": window})


def _set_end(config: dict[str, Any], token: int) -> None:
    config["eos_token_id"] = token
    if "text_config" in config:
        config["text_config"]["eos_token_id"] = token


def _merged(known: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(known)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _read(file: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return data


def _write(file: Path, data: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
