"""Vision models with random weights, one of each architecture that people run: real code paths, no meaning.

A folder looks like a downloaded model's: configuration, processor files, chat template, tokenizer, weights. The weights
are float32 and lively enough that a wrong position, mask or image feature changes the next token.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten

from core.pocket import MODELS_DIR
from tests.tiny.vision_others import GEMMAS, OTHERS
from tests.tiny.vision_rarer import RARER
from tests.tiny.vision_shapes import ADDED, END, QWENS, TEMPLATE, VOCABULARY, Shape

BASE = MODELS_DIR / "qwen2-vl"
SHAPES: dict[str, Shape] = {**QWENS, **GEMMAS, **OTHERS, **RARER}


def make_vision_model(name: str, folder: Path) -> Path:
    """Write the model of `SHAPES[name]` to folder/<name> and return that path."""
    shape = SHAPES[name]
    path = folder / name
    path.mkdir(parents=True)
    _write(path / "config.json", {"vocab_size": VOCABULARY, "eos_token_id": END} | dict(shape.config))
    _write(path / "generation_config.json", {"eos_token_id": [END], "do_sample": False})
    for file, content in shape.files.items():
        _write(path / file, content)
    (path / "chat_template.jinja").write_text(TEMPLATE.replace("IMAGE", shape.image))
    _write_tokenizer(path, shape)
    weights = dict(_random_parameters(_build(path), shape.lively))
    mx.save_safetensors(str(path / "model.safetensors"), weights, {"format": "mlx"})
    return path


@contextmanager
def thin_towers() -> Iterator[None]:
    """Gemma 3n's vision tower, whose sizes are no part of its configuration, with a block for each stage."""
    from mlx_vlm.models.gemma3n import vision

    def stages() -> list[list[Any]]:
        return [
            [vision._er(3, 8, 2)],
            [vision._uir(3, 5, 8, 2, 1.0)],
            [vision._uir(5, 5, 16, 2, 1.0), vision._mmqa(2, 8, 2)],
            [vision._uir(5, 5, 8, 2, 1.0), vision._mmqa(2, 8, 1)],
        ]

    class ThinTower(vision.VisionTower):  # type: ignore[misc]
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.msfa_output_resolution = (4, 4)
            self.msfa = vision.MobileNetV5MultiScaleFusionAdapter([24], config.hidden_size, (4, 4))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vision, "gemma3n_mobilenet_def", stages)
        patch.setattr(vision, "VisionTower", ThinTower)
        yield


def _build(path: Path) -> Any:
    """The module tree with lazy parameters: only their shapes are used."""
    from mlx_vlm.utils import get_model_and_args, load_config, update_module_configs

    config = load_config(path)
    architecture, _ = get_model_and_args(config=config)
    config.setdefault("text_config", config.pop("llm_config", {}))
    config.setdefault("vision_config", {})
    config.setdefault("audio_config", {})
    whole = architecture.ModelConfig.from_dict(config)
    whole = update_module_configs(whole, architecture, config, ["text", "vision", "perceiver", "projector", "audio"])
    return architecture.Model(whole)


def _random_parameters(model: Any, lively: float) -> Iterator[tuple[str, mx.array]]:
    """Weights of variance lively² / fan-in; scales near 1, biases small; nothing is exactly what a fresh model has."""
    mx.random.seed(7)
    for name, value in tree_flatten(model.parameters()):
        if not mx.issubdtype(value.dtype, mx.floating):
            yield name, value
        elif value.ndim > 1:
            noise = mx.random.normal(value.shape) * lively / math.sqrt(math.prod(value.shape[1:]))
            yield name, noise.astype(mx.float32)
        elif name.endswith("bias"):
            yield name, mx.random.normal(value.shape) * 0.1
        else:
            yield name, value.astype(mx.float32) + mx.random.normal(value.shape) * 0.1


def _write_tokenizer(path: Path, shape: Shape) -> None:
    """The pocket model's tokenizer with the special tokens of every architecture, and an end that no model chooses."""
    tokenizer = json.loads((BASE / "tokenizer.json").read_text(encoding="utf-8"))
    pattern = dict(tokenizer["added_tokens"][0])
    tokenizer["added_tokens"] += [pattern | {"id": place, "content": token} for place, token in ADDED.items()]
    words = tokenizer["model"]["vocab"]
    words.update({token["content"]: token["id"] for token in tokenizer["added_tokens"]})
    for place in set(range(VOCABULARY)) - set(words.values()):  # no gaps: some readers count
        words[f"Ġw{place}"] = place
    _write(path / "tokenizer.json", tokenizer)
    config = json.loads((BASE / "tokenizer_config.json").read_text(encoding="utf-8"))
    config.pop("extra_special_tokens", None)
    _write(
        path / "tokenizer_config.json", config | {"eos_token": ADDED[END], "bos_token": "<s>"} | dict(shape.tokenizer)
    )


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
