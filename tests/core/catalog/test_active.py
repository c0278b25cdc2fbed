"""Which weights take part in a token: told from names and shapes, on real models and on layouts of experts."""

from __future__ import annotations

from collections import Counter

import mlx.core as mx
import pytest

from core.catalog import Catalog
from core.catalog.active import Activity

MOE = {"num_experts": 8, "num_experts_per_tok": 2}


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("model.layers.0.mlp.switch_mlp.gate_proj.weight", 0.25),
        ("model.layers.0.mlp.experts.3.up_proj.scales", 0.25),
        ("model.layers.0.mlp.experts.gate_up_proj_blocks", 0.25),
        ("model.layers.0.mlp.shared_experts.gate_proj.weight", 1.0),
        ("model.layers.0.mlp.shared_expert.down_proj.weight", 1.0),
        ("model.layers.0.self_attn.q_proj.weight", 1.0),
        ("model.embed_tokens.weight", 0.0),
        ("lm_head.weight", 1.0),
        ("model.embed_tokens_per_layer.weight", 0.0),
        ("vision_tower.blocks.0.attn.qkv.weight", 0.0),
    ],
)
def test_the_share_of_a_tensor(name: str, share: float) -> None:
    assert Activity(MOE, ["lm_head.weight"]).share(name) == share


def test_a_table_that_is_the_output_too_is_read_whole() -> None:
    assert Activity({}, ["model.embed_tokens.weight"]).share("model.embed_tokens.weight") == 1.0


def test_a_layout_that_the_config_does_not_explain_counts_whole() -> None:
    assert Activity({"num_experts": 8}, []).share("model.layers.0.mlp.experts.3.up_proj.weight") == 1.0


@pytest.mark.parametrize("model", ["pocket/qwen3", "pocket/qwen2-vl", "pocket/gemma3"])
def test_pocket_models_read_what_their_language_half_holds(catalog: Catalog, model: str) -> None:
    info = catalog.get(model)
    arrays = mx.load(str(info.path / "model.safetensors"))
    language = Counter[str]()
    for name, array in arrays.items():
        if not any(part in name for part in ("vision", "visual", "projector")):
            language["parameters"] += array.size
            language["bytes"] += array.nbytes
    tied = "lm_head" not in " ".join(arrays)
    assert tied, "else its table would have to be taken off here"
    assert (info.active_parameters, info.active_bytes) == (language["parameters"], language["bytes"])
