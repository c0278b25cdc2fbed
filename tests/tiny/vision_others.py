"""The configurations of `tiny_visions` beside the Qwen family, which has a file of its own."""

from __future__ import annotations

from typing import Any

from tests.tiny.vision_shapes import END, HALF, ID, TEXT, VOCABULARY, Shape

CLIP = {
    "model_type": "clip_vision_model",
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
    "projection_dim": 64,
}
SIGLIP = CLIP | {"model_type": "siglip_vision_model"}


def image_files(kind: str, processor: dict[str, Any] | None = None, **changed: Any) -> dict[str, dict[str, Any]]:
    """preprocessor_config.json for one of transformers' image processors, and processor_config.json."""
    size = {"size": {"height": 32, "width": 32}}
    steps = {"do_resize": True, "do_rescale": True, "do_normalize": True, "do_convert_rgb": True}
    files: dict[str, dict[str, Any]] = {
        "preprocessor_config.json": {"image_processor_type": kind} | steps | size | HALF | changed
    }
    if processor:
        files["processor_config.json"] = processor
    return files


_SLIDING = {"sliding_window": 24, "max_position_embeddings": 4096, "head_dim": 16, "vocab_size": VOCABULARY}
_GEMMA4_ROPE = {
    "full_attention": {"partial_rotary_factor": 0.25, "rope_theta": 1000.0, "rope_type": "proportional"},
    "sliding_attention": {"rope_theta": 100.0, "rope_type": "default"},
}
_GEMMA4_TEXT = {
    "model_type": "gemma4_text",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "global_head_dim": 32,
    "rope_parameters": _GEMMA4_ROPE,
    "layer_types": ["sliding_attention", "sliding_attention", "full_attention"] * 2,
    "vocab_size_per_layer_input": VOCABULARY,
    **_SLIDING,
}
_GEMMA4_VISION = {
    "model_type": "gemma4_vision",
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 12,
    "global_head_dim": 12,
    "patch_size": 8,
    "position_embedding_size": 64,
    "pooling_kernel_size": 2,
    "default_output_length": 16,
}
_GEMMA_TOKENS = {
    "boi_token": "<start_of_image>",
    "eoi_token": "<end_of_image>",
    "image_token": "<image_soft_token>",
    "boa_token": "<start_of_audio>",
    "eoa_token": "<end_of_audio>",
    "audio_token": "<audio_soft_token>",
}
_GEMMA_TOKENIZER = _GEMMA_TOKENS | {"extra_special_tokens": _GEMMA_TOKENS}
_GEMMA4_FILES = {
    "processor_config.json": {
        "processor_class": "Gemma4Processor",
        "image_processor": {"patch_size": 8, "max_soft_tokens": 16, "pooling_kernel_size": 2},
    }
}
_GEMMA4_IDS = {
    "image_token_id": ID["<image_soft_token>"],
    "audio_token_id": ID["<audio_soft_token>"],
    "boi_token_id": ID["<start_of_image>"],
    "eoi_token_id": ID["<end_of_image>"],
    "pad_token_id": ID["<pad>"],
}


def _gemma4(**text: Any) -> Shape:
    config = {
        "model_type": "gemma4",
        "architectures": ["Gemma4ForConditionalGeneration"],
        **_GEMMA4_IDS,
        "text_config": _GEMMA4_TEXT | text,
        "vision_config": _GEMMA4_VISION,
        "audio_config": None,
    }
    return Shape(config, "<image_soft_token>", _GEMMA4_FILES, _GEMMA_TOKENIZER)


GEMMAS = {
    "gemma4": _gemma4(hidden_size_per_layer_input=16, num_kv_shared_layers=3),
    "gemma4_bidirectional": _gemma4(
        hidden_size_per_layer_input=0, num_kv_shared_layers=0, use_bidirectional_attention="vision"
    ),
    "gemma3n": Shape(
        {
            "model_type": "gemma3n",
            "architectures": ["Gemma3nForConditionalGeneration"],
            "image_token_id": ID["<image_soft_token>"],
            "audio_token_id": VOCABULARY - 1,
            "vision_soft_tokens_per_image": 16,
            "text_config": {
                "model_type": "gemma3n_text",
                "hidden_size": 64,
                "intermediate_size": [96] * 6,
                "activation_sparsity_pattern": [0.5, 0.0] * 3,
                "num_hidden_layers": 6,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "laurel_rank": 8,
                "hidden_size_per_layer_input": 16,
                "vocab_size_per_layer_input": 720,
                "num_kv_shared_layers": 3,
                "altup_num_inputs": 2,
                "layer_types": ["sliding_attention", "sliding_attention", "full_attention"] * 2,
                **_SLIDING,
            },
            "vision_config": {"model_type": "gemma3n_vision", "hidden_size": 32, "vocab_size": 46, "vocab_offset": 720},
            "audio_config": {
                "hidden_size": 32,
                "conf_num_hidden_layers": 1,
                "conf_num_attention_heads": 4,
                "vocab_size": 2,
                "vocab_offset": VOCABULARY - 2,
                "sscp_conv_channel_size": [8, 4],
            },
        },
        "<image_soft_token>",
        image_files("SiglipImageProcessor", {"image_seq_length": 16}, size={"height": 64, "width": 64}),
        _GEMMA_TOKENIZER,
    ),
    "paligemma": Shape(
        {
            "model_type": "paligemma",
            "architectures": ["PaliGemmaForConditionalGeneration"],
            "image_token_index": ID["<image>"],
            "pad_token_id": ID["<pad>"],
            "hidden_size": 64,
            "projection_dim": 64,
            "text_config": TEXT
            | {"model_type": "gemma2", "head_dim": 16, "sliding_window": 4096}
            | {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "query_pre_attn_scalar": 16},
            "vision_config": SIGLIP,
        },
        "<image>",
        image_files("SiglipImageProcessor", None, image_seq_length=16),
    ),
}


def _tiled(kind: str, family: str) -> Shape:
    """An image as tiles of 32 pixels and the whole, each of four tokens."""
    return Shape(
        {
            "model_type": kind,
            "architectures": [f"{family}ForConditionalGeneration"],
            "image_token_id": ID["<image>"],
            "scale_factor": 2,
            "text_config": TEXT | {"model_type": "llama"},
            "vision_config": SIGLIP,
        },
        "<image>",
        image_files(
            f"{family}ImageProcessor",
            {"image_seq_len": 4},
            size={"longest_edge": 64},
            max_image_size={"longest_edge": 32},
            do_image_splitting=True,
            do_pad=True,
        ),
    )


_PIXTRAL_VISION = {
    "model_type": "pixtral",
    "hidden_size": 48,
    "head_dim": 12,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 64,
    "patch_size": 8,
}
_PIXTRAL_FILES = image_files(
    "PixtralImageProcessor",
    {"patch_size": 8, "image_token": "[IMG]", "image_break_token": "[IMG_BREAK]", "image_end_token": "[IMG_END]"},
    size={"longest_edge": 64},
    patch_size={"height": 8, "width": 8},
)
_LLAVA_FILES = image_files(
    "CLIPImageProcessor",
    {"patch_size": 8, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1},
    size={"shortest_edge": 32},
    do_center_crop=True,
    crop_size={"height": 32, "width": 32},
)
OTHERS = {
    "mistral3": Shape(
        {
            "model_type": "mistral3",
            "architectures": ["Mistral3ForConditionalGeneration"],
            "image_token_index": ID["[IMG]"],
            "spatial_merge_size": 2,
            "text_config": TEXT | {"model_type": "mistral", "head_dim": 16},
            "vision_config": _PIXTRAL_VISION,
        },
        "[IMG]",
        _PIXTRAL_FILES,
    ),
    "pixtral": Shape(
        {
            "model_type": "pixtral",
            "architectures": ["LlavaForConditionalGeneration"],
            "image_token_index": ID["[IMG]"],
            "text_config": TEXT | {"model_type": "mistral", "head_dim": 16},
            "vision_config": _PIXTRAL_VISION,
        },
        "[IMG]",
        _PIXTRAL_FILES,
    ),
    "smolvlm": _tiled("smolvlm", "SmolVLM"),
    "idefics3": _tiled("idefics3", "Idefics3"),
    "lfm2_vl": Shape(
        {
            "model_type": "lfm2_vl",
            "architectures": ["Lfm2VlForConditionalGeneration"],
            "image_token_id": ID["<image>"],
            "downsample_factor": 2,
            "projector_hidden_size": 64,
            "text_config": TEXT
            | {
                "model_type": "lfm2",
                "num_hidden_layers": 4,
                "layer_types": ["conv", "full_attention"] * 2,
                "block_dim": 64,
                "conv_dim": 64,
                "block_ff_dim": 96,
                "block_multiple_of": 16,
                "norm_eps": 1e-5,
            },
            "vision_config": SIGLIP | {"model_type": "siglip2_vision_model", "num_patches": 64},
        },
        "<image>",
        image_files(
            "Lfm2VlImageProcessor",
            None,
            encoder_patch_size=8,
            min_image_tokens=4,
            max_image_tokens=16,
            tile_size=32,
            downsample_factor=2,
        ),
        {"image_token": "<image>", "image_start_token": "<|image_start|>", "image_end_token": "<|image_end|>"}
        | {"image_thumbnail": "<|img_thumbnail|>"},
    ),
    "internvl_chat": Shape(
        {
            "model_type": "internvl_chat",
            "architectures": ["InternVLChatModel"],
            "image_token_index": ID["<IMG_CONTEXT>"],
            "downsample_ratio": 0.5,
            "max_dynamic_patch": 2,
            "llm_config": TEXT | {"model_type": "qwen2"},
            "vision_config": SIGLIP | {"model_type": "intern_vit_6b"},
        },
        "<image>",
    ),
    "llava": Shape(
        {
            "model_type": "llava",
            "architectures": ["LlavaForConditionalGeneration"],
            "image_token_index": ID["<image>"],
            "text_config": TEXT | {"model_type": "llama"},
            "vision_config": CLIP,
        },
        "<image>",
        _LLAVA_FILES,
    ),
    "glm4v": Shape(
        {
            "model_type": "glm4v",
            "architectures": ["Glm4vForConditionalGeneration"],
            "image_token_id": ID["<|image|>"],
            "image_token_index": ID["<|image|>"],
            "video_token_id": ID["<|video|>"],
            "vision_start_token_id": ID["<|begin_of_image|>"],
            "vision_end_token_id": ID["<|end_of_image|>"],
            "text_config": TEXT
            | {"model_type": "glm4v_text", "eos_token_id": [END], "partial_rotary_factor": 0.5}
            | {"rope_scaling": {"rope_type": "default", "mrope_section": [2, 1, 1]}},
            "vision_config": {
                "model_type": "glm4v",
                "depth": 2,
                "hidden_size": 64,
                "intermediate_size": 96,
                "out_hidden_size": 64,
                "num_heads": 4,
                "patch_size": 8,
                "image_size": 64,
            },
        },
        "<|begin_of_image|><|image|><|end_of_image|>",
        image_files(
            "Glm4vImageProcessor",
            None,
            size={"shortest_edge": 2 * 16 * 64, "longest_edge": 2 * 64 * 64},
            patch_size=8,
            temporal_patch_size=2,
            merge_size=2,
        ),
        {"image_token": "<|image|>", "video_token": "<|video|>"},
    ),
    "mllama": Shape(
        {
            "model_type": "mllama",
            "architectures": ["MllamaForConditionalGeneration"],
            "image_token_index": ID["<|image|>"],
            "text_config": TEXT | {"model_type": "mllama", "num_hidden_layers": 4, "cross_attention_layers": [1, 3]},
            "vision_config": {
                "image_size": 32,
                "patch_size": 8,
                "hidden_size": 48,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_global_layers": 1,
                "max_num_tiles": 4,
                "intermediate_layers_indices": [0, 1],
                "vision_output_dim": 144,
            },
        },
        "<|image|>",
        image_files("MllamaImageProcessor", None, max_image_tiles=4),
        {"image_token": "<|image|>"},
    ),
}
