"""How much memory a model will take, predicted from its config and its weights' headers alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.catalog.config import CHOSEN_EXPERTS, model_type, number, text_part
from core.catalog.libraries import declared_default
from core.catalog.model_info import MemoryEstimate

PREFILL_CHUNK = 512
_CACHE_STEP = 256  # mlx-lm grows a KV cache by so many tokens at a time
_SCORED_TOKENS = 4096
_FUSED_HEADS = {64, 80, 128}  # head sizes for which Metal's attention never writes its scores to memory

# mlx-lm's modules for these types cache the compressed latent of multi-head latent attention; its other MLA modules
# (deepseek_v2, minicpm3, ...) cache whole keys and values.
_LATENT = {
    "bailing_hybrid",
    "deepseek_v3",
    "deepseek_v32",
    "glm4_moe_lite",
    "glm_moe_dsa",
    "joyai_llm_flash",
    "kimi_k2",
    "kimi_k25",
    "kimi_k3",
    "kimi_linear",
    "longcat_flash",
    "longcat_flash_ngram",
    "mistral4",
}
_STATE_ONLY = {"mamba", "mamba2", "falcon_mamba", "rwkv7"}


def estimate(
    config: Mapping[str, Any],
    weights_bytes: int,
    float_bytes: int = 2,
    images: bool = False,
    library_file: Path | None = None,
    prefill_chunk: int = PREFILL_CHUNK,
) -> MemoryEstimate | None:
    """Predict a model's memory, in bytes; None when the config does not tell its shape.

    - weights: the tensors' bytes; MLX maps or copies them once.
    - KV per token: 2 x kv heads x head size x `float_bytes` for each layer with full attention; for multi-head latent
      attention, (latent + rotary part) x `float_bytes` (DeepSeek-V2, arXiv 2405.04434, section 2.1).
    - prefill peak: the activations of one layer for `prefill_chunk` tokens, with two layers alive at once because the
      graph is lazy: tokens x (4 x hidden + 3 x intermediate) x `float_bytes` x 2; one layer's attention scores of
      that chunk against 4,096 tokens, since not every head size has a fused kernel; the logits of one row in float32;
      what fixed caches hold when full (windows of sliding layers, recurrent states); and for a vision model, its
      tower's activations over one image. Measured against MLX in tests/core/catalog/test_memory.py.
    """
    text = text_part(config)

    def field(*names: str) -> int | None:
        value = number(text, *names)
        return value if value is not None else declared_default(library_file, names[0])

    hidden = field("hidden_size", "n_embd", "d_model", "dim", "model_dim")
    layers = field("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_transformer_layers")
    if not hidden or not layers:
        return None
    heads = field("num_attention_heads", "n_head", "n_heads", "num_heads") or max(hidden // 128, 1)
    kv_heads = field("num_key_value_heads", "multi_query_group_num", "n_head_kv", "num_kv_heads") or heads
    head_size = field("head_dim", "attention_head_dim") or max(hidden // heads, 1)
    per_layer = 2 * kv_heads * head_size * float_bytes
    if latent := number(text, "kv_lora_rank"):
        rotary = number(text, "qk_rope_head_dim") or 0
        if model_type(text) in _LATENT or model_type(config) in _LATENT:
            per_layer = (latent + rotary) * float_bytes
        else:
            key = (number(text, "qk_nope_head_dim") or head_size) + rotary
            per_layer = heads * (key + (number(text, "v_head_dim") or head_size)) * float_bytes
    if latent and (index := number(text, "index_head_dim")):  # mlx-lm keeps as many zeros beside the index's keys
        per_layer += 2 * index * float_bytes
    per_full = per_layer
    if wide := field("global_head_dim"):  # Gemma 4: other heads where there is no window
        shared = number(text, "num_global_key_value_heads") if text.get("attention_k_eq_v") else None
        per_full = 2 * (shared or kv_heads) * wide * float_bytes
    full, sliding, state = _layer_counts(text, layers, library_file)
    window = field("sliding_window", "sliding_window_size", "attention_window_size", "attention_chunk_size") or 4096
    intermediate = field("intermediate_size", "n_inner", "ffn_dim", "hidden_dim") or 4 * hidden
    if experts := number(text, *CHOSEN_EXPERTS):
        intermediate = max(intermediate, experts * (number(text, "moe_intermediate_size") or intermediate))
    vocabulary = field("vocab_size") or 0
    activations = prefill_chunk * (4 * hidden + 3 * intermediate) * float_bytes * 2
    scores = heads * prefill_chunk * _SCORED_TOKENS * float_bytes
    fixed = sliding * per_layer * (window + _CACHE_STEP) + state * _state_bytes(text, hidden, float_bytes)
    peak = activations + scores + 4 * vocabulary + fixed + (_vision_peak(config, float_bytes) if images else 0)
    return MemoryEstimate(weights_bytes, full * per_full, peak)


def _layer_counts(text: Mapping[str, Any], layers: int, library_file: Path | None) -> tuple[int, int, int]:
    """How many layers keep the whole context, how many a window of it, how many a recurrent state."""
    if model_type(text) in _STATE_ONLY:
        return 0, 0, layers
    layers = max(layers - (number(text, "num_kv_shared_layers") or 0), 1)
    types = text.get("layer_types") or text.get("layers_block_type") or text.get("block_types")
    if isinstance(types, list) and types:
        names = [str(types[index % len(types)]) for index in range(layers)]
        state = sum(any(word in name for word in ("linear", "mamba", "conv", "recurrent")) for name in names)
        sliding = sum(any(word in name for word in ("sliding", "chunked", "local")) for name in names)
        return len(names) - state - sliding, sliding, state
    pattern = text.get("hybrid_override_pattern")
    if isinstance(pattern, str) and pattern:  # nemotron-h: * attention, M mamba, - and E feed-forward only
        return pattern.count("*"), 0, pattern.count("M")
    linear = text.get("linear_attn_config")
    named = linear.get("full_attn_layers") if isinstance(linear, dict) else text.get("full_attn_idxs")
    if isinstance(named, list):  # Kimi Linear and LFM2 number the layers with full attention
        return len(named), 0, layers - len(named)
    if every := number(text, "full_attention_interval", "layer_group_size"):
        return layers // every, 0, layers - layers // every
    windows = text.get("hybrid_layer_pattern")
    if isinstance(windows, list):  # MiMo-V2: 1 where there is a window
        return windows.count(0), windows.count(1), 0
    if number(text, "attention_chunk_size"):  # Llama 4: every fourth layer sees all chunks
        return layers // 4, layers - layers // 4, 0
    if period := number(text, "attn_layer_period"):
        full = len(range(int(text.get("attn_layer_offset") or 0), layers, period))
        return full, 0, layers - full
    every = number(text, "sliding_window_pattern", "_sliding_window_pattern")
    every = every or declared_default(library_file, "sliding_window_pattern")
    if every and every > 1 and (number(text, "sliding_window") or declared_default(library_file, "sliding_window")):
        return layers // every, layers - layers // every, 0
    return layers, 0, 0


def _state_bytes(text: Mapping[str, Any], hidden: int, float_bytes: int) -> int:
    """One recurrent layer's state: heads x key size x value size, or inner size x state size, whichever is told."""
    if heads := number(text, "linear_num_value_heads", "mamba_num_heads", "mamba_n_heads"):
        key = number(text, "linear_key_head_dim", "ssm_state_size", "mamba_d_state") or 128
        value = number(text, "linear_value_head_dim", "mamba_head_dim", "mamba_d_head") or 128
        return heads * key * value * 4
    inner = number(text, "intermediate_size", "d_inner") or 2 * hidden
    return inner * (number(text, "state_size", "mamba_d_state", "ssm_state_size") or 16) * float_bytes


def _vision_peak(config: Mapping[str, Any], float_bytes: int) -> int:
    """A vision tower over one image: patches x (4 x hidden + 2 x intermediate), and one layer's scores if not fused.

    Towers of a fixed size say so in image_size; the others are given an image of a million pixels.
    """
    vision = config.get("vision_config")
    if not isinstance(vision, dict):
        return 0
    hidden = number(vision, "embed_dim", "hidden_size", "width", "dim") or 1024
    intermediate = number(vision, "intermediate_size", "mlp_dim") or 4 * hidden
    heads = number(vision, "num_attention_heads", "num_heads") or max(hidden // 64, 1)
    patch = number(vision, "patch_size") or 14
    side = number(vision, "image_size") or 1000
    patches = max((side // patch) ** 2, 1)
    scores = 0 if hidden // heads in _FUSED_HEADS else heads * patches * patches * float_bytes
    return patches * (4 * hidden + 2 * intermediate) * float_bytes * 2 + scores
