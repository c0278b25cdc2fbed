"""What a model is predicted to take, by hand-worked figures and against MLX's own counters."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from core.catalog.libraries import mlx_lm_file, mlx_vlm_folder
from core.catalog.memory import estimate

LLAMA_8B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
}


@pytest.mark.parametrize(
    ("config", "kv_per_token"),
    [
        (LLAMA_8B, 32 * 2 * 8 * 128 * 2),
        ({**LLAMA_8B, "num_key_value_heads": None}, 32 * 2 * 32 * 128 * 2),
        ({**LLAMA_8B, "head_dim": 64}, 32 * 2 * 8 * 64 * 2),
        ({**LLAMA_8B, "sliding_window": 4096, "sliding_window_pattern": 4}, 8 * 2 * 8 * 128 * 2),
        ({**LLAMA_8B, "layer_types": ["sliding_attention", "full_attention"] * 16}, 16 * 2 * 8 * 128 * 2),
        ({**LLAMA_8B, "layer_types": ["linear_attention", "full_attention"] * 16}, 16 * 2 * 8 * 128 * 2),
        ({**LLAMA_8B, "full_attention_interval": 4}, 8 * 2 * 8 * 128 * 2),
        ({**LLAMA_8B, "hybrid_override_pattern": "M-*-M-*-"}, 2 * 2 * 8 * 128 * 2),
        ({**LLAMA_8B, "attn_layer_period": 8, "attn_layer_offset": 4}, 4 * 2 * 8 * 128 * 2),
        ({**LLAMA_8B, "num_kv_shared_layers": 16}, 16 * 2 * 8 * 128 * 2),
        ({**LLAMA_8B, "full_attn_idxs": [2, 5, 8]}, 3 * 2 * 8 * 128 * 2),
        ({**LLAMA_8B, "linear_attn_config": {"full_attn_layers": [4, 8]}}, 2 * 2 * 8 * 128 * 2),
        ({**LLAMA_8B, "attention_chunk_size": 8192}, 8 * 2 * 8 * 128 * 2),
        ({**LLAMA_8B, "hybrid_layer_pattern": [0, *[1] * 30, 0]}, 2 * 2 * 8 * 128 * 2),
        ({**LLAMA_8B, "global_head_dim": 512}, 32 * 2 * 8 * 512 * 2),
        ({**LLAMA_8B, "block_types": ["recurrent", "recurrent", "attention"]}, 10 * 2 * 8 * 128 * 2),
        ({**LLAMA_8B, "model_type": "mamba"}, 0),
        ({**LLAMA_8B, "model_type": "deepseek_v3", "kv_lora_rank": 512, "qk_rope_head_dim": 64}, 32 * 576 * 2),
        (
            {
                **LLAMA_8B,
                "model_type": "deepseek_v32",
                "kv_lora_rank": 512,
                "qk_rope_head_dim": 64,
                "index_head_dim": 128,
            },
            32 * (576 + 2 * 128) * 2,
        ),
        (
            {
                **LLAMA_8B,
                "model_type": "deepseek_v2",
                "kv_lora_rank": 512,
                "qk_rope_head_dim": 64,
                "qk_nope_head_dim": 128,
                "v_head_dim": 128,
            },
            32 * 32 * (192 + 128) * 2,
        ),
        ({"text_config": LLAMA_8B, "model_type": "llava"}, 32 * 2 * 8 * 128 * 2),
        ({"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12}, 12 * 2 * 12 * 64 * 2),
    ],
)
def test_kv_per_token(config, kv_per_token):
    predicted = estimate(config, weights_bytes=1000)
    assert predicted.kv_per_token == kv_per_token
    assert predicted.weights == 1000
    assert predicted.total(100) == 1000 + 100 * kv_per_token + predicted.prefill_peak


def test_float32_doubles_the_cache():
    assert estimate(LLAMA_8B, 0, float_bytes=4).kv_per_token == 2 * estimate(LLAMA_8B, 0).kv_per_token


def test_a_window_is_paid_for_once_and_not_by_the_token():
    windowed = estimate({**LLAMA_8B, "sliding_window": 4096, "sliding_window_pattern": 4}, 0)
    plain = estimate(LLAMA_8B, 0)
    assert windowed.prefill_peak > plain.prefill_peak
    assert windowed.total(131072) < plain.total(131072) / 3


def test_what_the_config_leaves_out_comes_from_the_librarys_class():
    gemma_4b = {
        "model_type": "gemma3",
        "text_config": {
            "model_type": "gemma3_text",
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "num_hidden_layers": 34,
            "sliding_window": 1024,
        },
        "vision_config": {"hidden_size": 1152, "image_size": 896, "patch_size": 14, "num_attention_heads": 16},
    }
    predicted = estimate(gemma_4b, 0, images=True, library_file=mlx_vlm_folder(gemma_4b) / "config.py")
    # 34 layers, every sixth with the whole context, 4 KV heads of 256: the class's defaults.
    assert predicted.kv_per_token == 5 * 2 * 4 * 256 * 2


def test_an_image_costs_its_towers_activations():
    vision = {"hidden_size": 1152, "image_size": 896, "patch_size": 14, "num_attention_heads": 16}
    config = {"model_type": "gemma3", "text_config": LLAMA_8B, "vision_config": vision}
    without, with_images = estimate(config, 0), estimate(config, 0, images=True)
    scores = 16 * 4096**2 * 2  # 72 numbers a head: no fused kernel
    assert with_images.prefill_peak - without.prefill_peak >= scores


@pytest.mark.parametrize("config", [{}, {"model_type": "x"}, {"hidden_size": 8}, {"num_hidden_layers": 2}])
def test_a_config_without_a_shape_has_no_estimate(config):
    assert estimate(config, 1000) is None


MEASURE = """
import json, sys
from core import blas
blas.install()
import mlx.core as mx
from mlx_lm.generate import BatchGenerator
from mlx_lm.models import qwen3

config, tokens = json.loads(sys.argv[1]), int(sys.argv[2])
model = qwen3.Model(qwen3.ModelArgs.from_dict(config))
mx.eval(model.parameters())
weights = mx.get_active_memory()
mx.reset_peak_memory()
generator = BatchGenerator(model, max_tokens=2, prefill_step_size=512)
generator.insert([[1 + i % 1000 for i in range(tokens)]])
while not generator.next()[1]:
    pass
print(json.dumps([weights, mx.get_peak_memory()]))
generator.close()
"""


def test_the_prediction_is_close_to_what_mlx_takes():
    config = {
        "model_type": "qwen3",
        "hidden_size": 128,
        "num_hidden_layers": 6,
        "intermediate_size": 384,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 32,
        "rms_norm_eps": 1e-6,
        "vocab_size": 2000,
        "rope_theta": 1e4,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": True,
    }
    tokens = 2048
    command = [sys.executable, "-c", MEASURE, json.dumps(config), str(tokens)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    weights, peak = json.loads(done.stdout)
    predicted = estimate(config, weights, float_bytes=4, library_file=mlx_lm_file(config), prefill_chunk=512)
    ratio = (predicted.total(tokens) - weights) / (peak - weights)
    assert 0.7 < ratio < 2.5, f"predicted {predicted.total(tokens):,} bytes, took {peak:,}"
