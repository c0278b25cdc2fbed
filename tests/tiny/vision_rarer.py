"""More configurations of `tiny_visions`: architectures that fewer people run."""

from __future__ import annotations

from tests.tiny.vision_others import CLIP, SIGLIP, image_files
from tests.tiny.vision_shapes import END, ID, TEXT, Shape

RARER = {
    "internvl": Shape(
        {
            "model_type": "internvl",
            "architectures": ["InternVLForConditionalGeneration"],
            "image_token_id": ID["<IMG_CONTEXT>"],
            "downsample_ratio": 0.5,
            "max_dynamic_patch": 2,
            "text_config": TEXT | {"model_type": "qwen3", "head_dim": 16, "tie_word_embeddings": False},
            "vision_config": SIGLIP | {"model_type": "internvl_vision"},
        },
        "<IMG_CONTEXT>",
        {"processor_config.json": {"image_seq_length": 4}},
    ),
    "kimi_vl": Shape(
        {
            "model_type": "kimi_vl",
            "architectures": ["KimiVLForConditionalGeneration"],
            "media_placeholder_token_id": ID["<|media_pad|>"],
            "text_config": TEXT
            | {
                "model_type": "deepseek_v3",
                "num_key_value_heads": 4,
                "moe_intermediate_size": 32,
                "n_routed_experts": 4,
                "n_shared_experts": 1,
                "num_experts_per_tok": 2,
                "n_group": 1,
                "topk_group": 1,
                "first_k_dense_replace": 1,
                "kv_lora_rank": 32,
                "q_lora_rank": None,
                "qk_rope_head_dim": 8,
                "qk_nope_head_dim": 16,
                "v_head_dim": 16,
            },
            "vision_config": {
                "model_type": "moonvit",
                "depth": 2,
                "embed_dim": 48,
                "hidden_size": 48,
                "intermediate_size": 64,
                "num_heads": 4,
                "patch_size": 8,
                "init_pos_emb_height": 8,
                "init_pos_emb_width": 8,
                "merge_kernel_size": [2, 2],
            },
        },
        "<|media_pad|>",
    ),
    "glm_ocr": Shape(
        {
            "model_type": "glm_ocr",
            "architectures": ["GlmOcrForConditionalGeneration"],
            "image_token_id": ID["<|image|>"],
            "video_token_id": ID["<|video|>"],
            "image_start_token_id": ID["<|begin_of_image|>"],
            "image_end_token_id": ID["<|end_of_image|>"],
            "text_config": {key: value for key, value in TEXT.items() if key != "rope_theta"}
            | {"model_type": "glm_ocr_text", "eos_token_id": [END], "head_dim": 16}
            | {
                "rope_parameters": {
                    "rope_type": "default",
                    "mrope_section": [2, 3, 3],
                    "partial_rotary_factor": 1.0,
                    "rope_theta": 100.0,
                }
            },
            "vision_config": {
                "model_type": "glm_ocr_vision",
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
        {
            "preprocessor_config.json": {
                "patch_size": 8,
                "temporal_patch_size": 2,
                "merge_size": 2,
                "size": {"shortest_edge": 2 * 16 * 64, "longest_edge": 2 * 64 * 64},
            }
        },
        {"image_token": "<|image|>", "video_token": "<|video|>"},
    ),
    "llama4": Shape(
        {
            "model_type": "llama4",
            "architectures": ["Llama4ForConditionalGeneration"],
            "image_token_id": ID["<|patch|>"],
            "text_config": TEXT
            | {
                "model_type": "llama4_text",
                "num_hidden_layers": 4,
                "head_dim": 16,
                "intermediate_size_mlp": 96,
                "num_local_experts": 4,
                "attention_chunk_size": 32,
                "interleave_moe_layer_step": 2,
                "no_rope_layers": [1, 1, 1, 0],
            },
            "vision_config": {
                "model_type": "llama4_vision_model",
                "hidden_size": 48,
                "intermediate_size": 192,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_channels": 3,
                "image_size": 32,
                "patch_size": 8,
                "norm_eps": 1e-5,
                "initializer_range": 0.02,
                "pixel_shuffle_ratio": 0.5,
                "projector_dropout": 0.0,
                "projector_input_dim": 64,
                "projector_output_dim": 64,
                "rope_theta": 100.0,
                "vision_feature_layer": -1,
                "vision_feature_select_strategy": "default",
                "vision_output_dim": 64,
            },
        },
        "<|image|>",
        {"preprocessor_config.json": {"size": {"height": 32, "width": 32}, "max_patches": 4}},
    ),
    "llava_next": Shape(
        {
            "model_type": "llava_next",
            "architectures": ["LlavaNextForConditionalGeneration"],
            "image_token_index": ID["<image>"],
            "text_config": TEXT | {"model_type": "mistral"},
            "vision_config": CLIP,
        },
        "<image>",
        image_files(
            "LlavaNextImageProcessor",
            {"patch_size": 8, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1},
            size={"shortest_edge": 32},
            crop_size={"height": 32, "width": 32},
            image_grid_pinpoints=[[32, 64], [64, 32]],
        ),
    ),
}
