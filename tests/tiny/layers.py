"""A text model that mlx-lm can split by layers only: Qwen3-Next's shape, random weights, and the pocket tokenizer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from core.pocket import MODELS_DIR

CONFIG = {
    "architectures": ["Qwen3NextForCausalLM"],
    "model_type": "qwen3_next",
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "linear_conv_kernel_dim": 4,
    "num_experts": 0,
    "num_experts_per_tok": 0,
    "decoder_sparse_step": 1,
    "shared_expert_intermediate_size": 0,
    "mlp_only_layers": [0, 1, 2, 3],
    "moe_intermediate_size": 0,
    "rms_norm_eps": 1e-6,
    "vocab_size": 1536,
    "rope_theta": 10000.0,
    "partial_rotary_factor": 0.5,
    "max_position_embeddings": 2048,
    "full_attention_interval": 2,
    "tie_word_embeddings": False,
    "eos_token_id": 1529,
}
"""Layers 0 and 2 have linear attention, 1 and 3 full: two ranks get one of each."""


def make_layered(folder: Path, **changed: object) -> None:
    """Write the model's folder, with `changed` in its configuration."""
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.models.qwen3_next import Model, ModelArgs

    folder.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(MODELS_DIR / "qwen3" / name, folder / name)
    (folder / "config.json").write_text(json.dumps(CONFIG | changed))
    mx.random.seed(1)
    model = Model(ModelArgs.from_dict(CONFIG | changed))
    weights = {name: value.astype(mx.float32) for name, value in tree_flatten(model.parameters())}
    mx.save_safetensors(str(folder / "model.safetensors"), weights, {"format": "mlx"})
