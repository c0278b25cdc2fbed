"""The shapes that each measure runs on: sized for a CPU, the reference models' own for a GPU, and tiny for a test.

A CPU reads a prompt of the real ones for minutes. Its models are made for their measure: some whose step is bound by
the memory's pace, some by the number of operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Shape:
    """A model to make: the pocket model it is made from, and the entries of its JSON files that differ.

    `config` and `preprocessor` are merged into config.json and preprocessor_config.json, dictionaries key by key.
    `quantised` means 4 bits in groups of 64 for the language half, bfloat16 for the rest; otherwise all is float32.
    """

    name: str
    base: str
    config: Mapping[str, Any]
    preprocessor: Mapping[str, Any] = field(default_factory=dict)
    quantised: bool = False
    trained: bool = False
    """The pocket model's own weights, in float16 as they are, instead of random ones."""

    @property
    def vision(self) -> bool:
        return self.base != "qwen3"


@dataclass(frozen=True)
class Plan:
    """What one measure runs with: on which models, how often, and how many tokens a request reads and writes."""

    shapes: tuple[Shape, ...]
    rounds: int
    prompt: int
    tokens: int
    loads: int = 1
    """How often both models are loaded anew, where ours is compared with a bare library."""


WINDOW = 8192

TEXT = Shape(
    "text-10m",
    "qwen3",
    {
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "intermediate_size": 1024,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "max_position_embeddings": WINDOW,
    },
)
POCKET = Shape("pocket-qwen3", "qwen3", {}, trained=True)
TEXT_100M = Shape(
    "text-100m",
    "qwen3",
    {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "intermediate_size": 2560,
        "num_attention_heads": 12,
        "num_key_value_heads": 4,
        "head_dim": 64,
        "vocab_size": 16000,
        "max_position_embeddings": WINDOW,
    },
)
LONG_TEXT = Shape(
    "text-long",
    "qwen3",
    {"num_hidden_layers": 3, "intermediate_size": 256, "max_position_embeddings": WINDOW},
)
SMALL_TEXT = Shape(
    "text-small",
    "qwen3",
    {"hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 128, "max_position_embeddings": WINDOW},
)
THIN_VISION = Shape(
    "vision-thin",
    "qwen2-vl",
    {
        "hidden_size": 64,
        "num_hidden_layers": 16,
        "intermediate_size": 128,
        "max_position_embeddings": WINDOW,
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
        "vision_config": {"hidden_size": 64, "depth": 2},
    },
)
VISION = Shape(
    "vision-10m",
    "qwen2-vl",
    {
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "intermediate_size": 1024,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "max_position_embeddings": WINDOW,
        "rope_scaling": {"type": "mrope", "mrope_section": [8, 12, 12]},
        "vision_config": {"embed_dim": 384, "hidden_size": 384, "depth": 4, "num_heads": 6},
    },
)
SMALL_VISION = Shape(
    "vision-small",
    "qwen2-vl",
    {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "intermediate_size": 128,
        "max_position_embeddings": WINDOW,
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
        "vision_config": {"hidden_size": 64, "depth": 1},
    },
)
LONG_VISION = Shape("vision-long", "qwen2-vl", {"max_position_embeddings": WINDOW})
LONG_WINDOWED = Shape(
    "gemma-long", "gemma3", {"text_config": {"max_position_embeddings": WINDOW, "sliding_window": 1024}}
)

# The real shapes, from the models' own config.json; ids of special tokens stay the pocket tokenizers'.
QWEN3_06B = Shape(
    "qwen3-0.6b",
    "qwen3",
    {
        "hidden_size": 1024,
        "num_hidden_layers": 28,
        "intermediate_size": 3072,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151936,
        "max_position_embeddings": 40960,
        "rope_theta": 1000000,
        "torch_dtype": "bfloat16",
    },
    quantised=True,
)
QWEN2_VL_2B = Shape(
    "qwen2-vl-2b",
    "qwen2-vl",
    {
        "hidden_size": 1536,
        "num_hidden_layers": 28,
        "intermediate_size": 8960,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "max_position_embeddings": 32768,
        "rope_theta": 1000000.0,
        "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
        "sliding_window": 32768,
        "torch_dtype": "bfloat16",
        "vision_config": {
            "depth": 32,
            "embed_dim": 1280,
            "hidden_size": 1536,
            "num_heads": 16,
            "image_size": 384,
            "patch_size": 14,
            "spatial_patch_size": 14,
        },
    },
    {"patch_size": 14, "min_pixels": 3136, "max_pixels": 12845056},
    quantised=True,
)
GEMMA3_27B = Shape(
    "gemma-3-27b",
    "gemma3",
    {
        "hidden_size": 5376,
        "vocab_size": 262208,
        "torch_dtype": "bfloat16",
        "text_config": {
            "hidden_size": 5376,
            "num_hidden_layers": 62,
            "intermediate_size": 21504,
            "num_attention_heads": 32,
            "num_key_value_heads": 16,
            "head_dim": 128,
            "query_pre_attn_scalar": 168,
            "vocab_size": 262208,
            "rope_global_base_freq": 1000000.0,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
            "sliding_window": 1024,
            "sliding_window_pattern": 6,
            "max_position_embeddings": 131072,
        },
        "vision_config": {
            "hidden_size": 1152,
            "num_hidden_layers": 27,
            "intermediate_size": 4304,
            "num_attention_heads": 16,
            "image_size": 896,
            "patch_size": 14,
        },
    },
    {"size": {"height": 896, "width": 896}},
    quantised=True,
)

CPU = {
    "prefill": Plan((TEXT,), rounds=9, prompt=500, tokens=1, loads=3),
    "one_stream": Plan((TEXT, POCKET, TEXT_100M), rounds=12, prompt=32, tokens=48, loads=3),
    "eight_streams": Plan((TEXT,), rounds=12, prompt=32, tokens=24, loads=3),
    "eight_vision": Plan((VISION, THIN_VISION), rounds=9, prompt=16, tokens=64, loads=3),
    "followup_text": Plan((LONG_TEXT, LONG_WINDOWED), rounds=3, prompt=4096, tokens=8),
    "followup_vision": Plan((LONG_VISION, LONG_WINDOWED), rounds=3, prompt=4096, tokens=8),
    "short_behind_long": Plan((LONG_TEXT,), rounds=5, prompt=4096, tokens=4),
    "cancel_steps": Plan((LONG_TEXT,), rounds=20, prompt=16, tokens=2000),
    "queue_growth_mb": Plan((SMALL_TEXT,), rounds=1000, prompt=32, tokens=2),
    "http_one": Plan((TEXT,), rounds=31, prompt=32, tokens=128),
    "http_eight": Plan((TEXT,), rounds=31, prompt=32, tokens=128),
    "http_ttft_ms": Plan((TEXT,), rounds=30, prompt=32, tokens=4),
}
GPU = {
    "prefill": Plan((QWEN3_06B, GEMMA3_27B), rounds=5, prompt=500, tokens=1),
    # more rounds where a shape's first use, which captures its kernels as a graph, would show
    "one_stream": Plan((QWEN3_06B, GEMMA3_27B), rounds=9, prompt=128, tokens=128),
    "eight_streams": Plan((QWEN3_06B, GEMMA3_27B), rounds=5, prompt=128, tokens=128),
    "eight_vision": Plan((QWEN2_VL_2B, GEMMA3_27B), rounds=5, prompt=32, tokens=128),
    "followup_text": Plan((QWEN3_06B, GEMMA3_27B), rounds=9, prompt=4096, tokens=32),
    "followup_vision": Plan((QWEN2_VL_2B, GEMMA3_27B), rounds=9, prompt=4096, tokens=32),
    "short_behind_long": Plan((QWEN3_06B, GEMMA3_27B), rounds=5, prompt=16384, tokens=8),
    "cancel_steps": Plan((QWEN3_06B, GEMMA3_27B), rounds=20, prompt=32, tokens=4000),
    "queue_growth_mb": Plan((QWEN3_06B,), rounds=1000, prompt=32, tokens=2),
    "http_one": Plan((QWEN3_06B, GEMMA3_27B), rounds=21, prompt=128, tokens=128),
    "http_eight": Plan((QWEN3_06B, GEMMA3_27B), rounds=21, prompt=128, tokens=128),
    "http_ttft_ms": Plan((QWEN3_06B,), rounds=30, prompt=128, tokens=4),
}
QUICK = {
    "prefill": Plan((SMALL_TEXT,), rounds=1, prompt=64, tokens=1),
    "one_stream": Plan((SMALL_TEXT,), rounds=1, prompt=16, tokens=8),
    "eight_streams": Plan((SMALL_TEXT,), rounds=1, prompt=16, tokens=8),
    "eight_vision": Plan((SMALL_VISION,), rounds=1, prompt=16, tokens=4),
    "followup_text": Plan((SMALL_TEXT,), rounds=1, prompt=700, tokens=4),
    "followup_vision": Plan((SMALL_VISION,), rounds=1, prompt=300, tokens=4),
    "short_behind_long": Plan((SMALL_TEXT,), rounds=1, prompt=3600, tokens=4),
    "cancel_steps": Plan((SMALL_TEXT,), rounds=2, prompt=16, tokens=400),
    "queue_growth_mb": Plan((SMALL_TEXT,), rounds=60, prompt=16, tokens=2),
    "http_one": Plan((SMALL_TEXT,), rounds=1, prompt=16, tokens=8),
    "http_eight": Plan((SMALL_TEXT,), rounds=1, prompt=16, tokens=4),
    "http_ttft_ms": Plan((SMALL_TEXT,), rounds=2, prompt=16, tokens=4),
}
