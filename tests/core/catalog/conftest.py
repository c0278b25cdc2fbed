"""Builders of model folders and Hugging Face caches with real safetensors files in them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.catalog import Catalog
from core.settings import Settings

QWEN3 = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "vocab_size": 64,
    "max_position_embeddings": 40960,
}
TEMPLATE = "{% if tools %}{{ tools }}{% endif %}{% if enable_thinking %}<think>{% endif %}{{ messages }}"


def text_tensors(dtype: Any = np.float16) -> dict[str, np.ndarray]:
    return {
        "model.embed_tokens.weight": np.zeros((64, 128), dtype),
        "model.layers.0.mlp.up_proj.weight": np.zeros((256, 128), dtype),
    }


def quantised(module: str, rows: int, columns: int, bits: int = 4, group: int = 64) -> dict[str, np.ndarray]:
    """The three tensors that MLX stores for a quantised linear layer of rows x columns."""
    return {
        f"{module}.weight": np.zeros((rows, columns * bits // 32), np.uint32),
        f"{module}.scales": np.zeros((rows, columns // group), np.float16),
        f"{module}.biases": np.zeros((rows, columns // group), np.float16),
    }


Build = Callable[..., Path]


@pytest.fixture
def build() -> Build:
    """build(folder, config, tensors=..., shards=1, files={}, template=...): write a model folder and return it."""

    def write(
        folder: Path,
        config: Mapping[str, Any] | None = QWEN3,
        tensors: Mapping[str, np.ndarray] | None = None,
        shards: int = 1,
        files: Mapping[str, str] | None = None,
        template: str | None = TEMPLATE,
    ) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        if config is not None:
            (folder / "config.json").write_text(json.dumps(config))
        tensors = text_tensors() if tensors is None else tensors
        if shards == 1 and tensors:
            save_file(dict(tensors), folder / "model.safetensors")
        elif tensors:
            names = sorted(tensors)
            places = {name: f"model-{i % shards + 1:05d}-of-{shards:05d}.safetensors" for i, name in enumerate(names)}
            for shard in sorted(set(places.values())):
                save_file({name: tensors[name] for name in names if places[name] == shard}, folder / shard)
            (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
        (folder / "tokenizer.json").write_text("{}")
        tokenizer = {} if template is None else {"chat_template": template}
        (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
        for name, content in (files or {}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
        return folder

    return write


Cache = Callable[..., Path]


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "hub"
    folder.mkdir()
    return folder


@pytest.fixture
def add_to_cache(cache_dir: Path) -> Cache:
    """add_to_cache(repo_id, folder, commit=..., main=True): move a model into the cache, laid out as downloads are."""

    def add(repo_id: str, folder: Path, commit: str = "a" * 40, main: bool = True) -> Path:
        repo = cache_dir / ("models--" + repo_id.replace("/", "--"))
        snapshot = repo / "snapshots" / commit
        for part in ("blobs", "refs"):
            (repo / part).mkdir(parents=True, exist_ok=True)
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            blob = repo / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
            shutil.copy(file, blob)
            link = snapshot / file.relative_to(folder)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(Path(*[".."] * (len(link.relative_to(repo).parts) - 1)) / "blobs" / blob.name)
        if main:
            (repo / "refs" / "main").write_text(commit)
        shutil.rmtree(folder)
        return snapshot

    return add


@pytest.fixture
def catalog(cache_dir: Path, tmp_path: Path) -> Catalog:
    """A catalog over the empty cache of `cache_dir` and the folder `tmp_path/models`."""
    (tmp_path / "models").mkdir(exist_ok=True)
    return Catalog(Settings(hf_cache=cache_dir, model_folders=[tmp_path / "models"], data_dir=tmp_path / "data"))
