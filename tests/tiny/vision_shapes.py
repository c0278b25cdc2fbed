"""The configurations of `tiny_visions`: each architecture at a size that a test can make in a moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

VOCABULARY = 768
END = VOCABULARY
"""The end token lies beyond the model's vocabulary: random weights cannot stop early."""

_SPECIAL = [
    "<s>",
    "<image>",
    "<fake_token_around_image>",
    "<end_of_utterance>",
    "<global-img>",
    "[IMG]",
    "[IMG_BREAK]",
    "[IMG_END]",
    "<|image_start|>",
    "<|image_end|>",
    "<|img_thumbnail|>",
    "<IMG_CONTEXT>",
    "<img>",
    "</img>",
    "<|image|>",
    "<|video|>",
    "<|begin_of_image|>",
    "<|end_of_image|>",
    "<start_of_image>",
    "<end_of_image>",
    "<image_soft_token>",
    "<audio_soft_token>",
    "<start_of_audio>",
    "<end_of_audio>",
    "<|begin_of_box|>",
    "<|end_of_box|>",
    "<|media_pad|>",
    "<|media_start|>",
    "<|media_end|>",
    "<|media_content|>",
    "<pad>",
    "<|patch|>",
    "<|tile_x_separator|>",
    "<|tile_y_separator|>",
]
ADDED = {704 + place: token for place, token in enumerate(_SPECIAL)} | {END: "<|never|>"}
ID = {token: place for place, token in ADDED.items()}

TEMPLATE = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' -}}
{%- if message.content is string -%}{{- message.content -}}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == 'image' -%}{{- 'IMAGE' -}}{%- else -%}{{- part.text -}}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""


@dataclass(frozen=True)
class Shape:
    """A model to make: config.json, what the chat template writes for an image, and the processor's files by name."""

    config: Mapping[str, Any]
    image: str
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tokenizer: Mapping[str, Any] = field(default_factory=dict)
    lively: float = 1.5


QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
QWEN_TOKENS = {
    "image_token_id": 702,
    "video_token_id": 703,
    "vision_start_token_id": 699,
    "vision_end_token_id": 700,
    "vision_token_id": 701,
}
HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
TEXT = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 4096,
    "rope_theta": 100.0,
    "eos_token_id": END,
}
MROPE = {"type": "mrope", "mrope_section": [2, 3, 3]}


def _qwen_files(patch: int) -> dict[str, dict[str, Any]]:
    size = {"min_pixels": 16 * patch**2, "max_pixels": 64 * patch**2}
    merged = {"patch_size": patch, "temporal_patch_size": 2, "merge_size": 2}
    return {"preprocessor_config.json": {"image_processor_type": "Qwen2VLImageProcessor"} | merged | size | HALF}


QWEN3_VISION = {
    "depth": 3,
    "hidden_size": 48,
    "intermediate_size": 64,
    "out_hidden_size": 64,
    "num_heads": 4,
    "patch_size": 8,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "num_position_embeddings": 64,
    "in_channels": 3,
}
LINEAR = {
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "linear_conv_kernel_dim": 4,
    "full_attention_interval": 2,
    "head_dim": 16,
    "rope_parameters": {
        "rope_type": "default",
        "mrope_section": [2, 1, 1],
        "rope_theta": 100.0,
        "partial_rotary_factor": 0.5,
    },
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}

QWENS = {
    "qwen2_5_vl": Shape(
        {
            "model_type": "qwen2_5_vl",
            "architectures": ["Qwen2_5_VLForConditionalGeneration"],
            **TEXT,
            **QWEN_TOKENS,
            "rope_scaling": MROPE,
            "vision_config": {
                "model_type": "qwen2_5_vl",
                "depth": 2,
                "hidden_size": 48,
                "intermediate_size": 64,
                "out_hidden_size": 64,
                "num_heads": 4,
                "patch_size": 8,
                "spatial_patch_size": 8,
                "window_size": 32,
                "fullatt_block_indexes": [1],
            },
        },
        QWEN_IMAGE,
        _qwen_files(8),
    ),
    "qwen3_vl": Shape(
        {
            "model_type": "qwen3_vl",
            "architectures": ["Qwen3VLForConditionalGeneration"],
            **QWEN_TOKENS,
            "text_config": TEXT
            | {"model_type": "qwen3_vl_text", "head_dim": 16}
            | {"rope_scaling": {"rope_type": "default", "mrope_section": [2, 3, 3]}},
            "vision_config": QWEN3_VISION | {"model_type": "qwen3_vl", "deepstack_visual_indexes": [0, 1]},
        },
        QWEN_IMAGE,
        _qwen_files(8),
    ),
    "qwen3_vl_moe": Shape(
        {
            "model_type": "qwen3_vl_moe",
            "architectures": ["Qwen3VLMoeForConditionalGeneration"],
            **QWEN_TOKENS,
            "text_config": TEXT
            | EXPERTS
            | {"model_type": "qwen3_vl_moe_text", "head_dim": 16, "decoder_sparse_step": 1, "mlp_only_layers": []}
            | {"rope_scaling": {"rope_type": "default", "mrope_section": [2, 3, 3]}},
            "vision_config": QWEN3_VISION | {"model_type": "qwen3_vl_moe", "deepstack_visual_indexes": [0, 1]},
        },
        QWEN_IMAGE,
        _qwen_files(8),
    ),
    "qwen3_5": Shape(
        {
            "model_type": "qwen3_5",
            "architectures": ["Qwen3_5ForConditionalGeneration"],
            **QWEN_TOKENS,
            "text_config": TEXT | LINEAR | {"model_type": "qwen3_5_text", "num_hidden_layers": 4},
            "vision_config": QWEN3_VISION | {"model_type": "qwen3_5", "deepstack_visual_indexes": []},
        },
        QWEN_IMAGE,
        _qwen_files(8),
    ),
    "qwen3_5_moe": Shape(
        {
            "model_type": "qwen3_5_moe",
            "architectures": ["Qwen3_5MoeForConditionalGeneration"],
            **QWEN_TOKENS,
            "text_config": TEXT
            | LINEAR
            | EXPERTS
            | {"model_type": "qwen3_5_moe_text", "num_hidden_layers": 4, "shared_expert_intermediate_size": 32},
            "vision_config": QWEN3_VISION | {"model_type": "qwen3_5_moe", "deepstack_visual_indexes": []},
        },
        QWEN_IMAGE,
        _qwen_files(8),
    ),
}
