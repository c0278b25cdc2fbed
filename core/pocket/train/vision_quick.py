"""pocket/qwen2-vl, the quick vision model: Qwen2-VL's architecture with 1.4 million parameters."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_vlm.models import qwen2_vl
from mlx_vlm.models.qwen2_vl.vision import apply_rotary_pos_emb_vision

from core.pocket.train import vision_batch
from core.pocket.train.export import save_json, save_weights
from core.pocket.train.recipe import Batch, Recipe
from core.pocket.train.tokenizers import save_tokenizer
from core.pocket.train.vision_batch import QUICK, VOCABULARY, tokenizer
from core.pocket.train.vision_train import Arrays, Trainee, adopt, halved, total_loss

WIDTH, HEADS = 96, 3
SIDE = QUICK.patch * QUICK.grids[0][0]


def config() -> dict[str, Any]:
    """config.json. rope_theta 30: with the usual million, 32 dimensions a head hold hardly any sense of columns."""
    number = tokenizer(QUICK.chat).token_to_id
    return {
        "architectures": ["Qwen2VLForConditionalGeneration"],
        "model_type": "qwen2_vl",
        "hidden_size": 128,
        "num_hidden_layers": 3,
        "intermediate_size": 384,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-6,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 4096,
        "rope_theta": 30.0,
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 7, 7]},
        "tie_word_embeddings": True,
        "sliding_window": 4096,
        "use_sliding_window": False,
        "hidden_act": "silu",
        "torch_dtype": "float16",
        "image_token_id": number("<|image_pad|>"),
        "video_token_id": number("<|video_pad|>"),
        "vision_start_token_id": number("<|vision_start|>"),
        "vision_end_token_id": number("<|vision_end|>"),
        "vision_token_id": number("<|vision_pad|>"),
        "eos_token_id": [number(token) for token in QUICK.chat.eos],
        "pad_token_id": number(QUICK.chat.pad),
        "vision_config": {
            "model_type": "qwen2_vl",
            "depth": 4,
            "embed_dim": WIDTH,
            "hidden_size": 128,
            "num_heads": HEADS,
            "image_size": SIDE,
            "patch_size": QUICK.patch,
            "spatial_patch_size": QUICK.patch,
            "mlp_ratio": 4,
            "in_channels": 3,
            "spatial_merge_size": QUICK.merge,
            "temporal_patch_size": 2,
        },
    }


def make_batch(seed: int, index: int, size: int) -> Batch:
    """See `vision_batch.make_batch`."""
    return vision_batch.make_batch(QUICK, seed, index, size)


def empty_model() -> qwen2_vl.Model:
    """The unmodified mlx-vlm class."""
    whole = qwen2_vl.ModelConfig.from_dict(config())
    whole.text_config = qwen2_vl.TextConfig.from_dict(config())
    whole.vision_config = qwen2_vl.VisionConfig.from_dict(config()["vision_config"])
    return qwen2_vl.Model(whole)


def build(seed: int) -> Trainee:
    """A new model. The heads of the first two vision layers start out looking at a neighbouring patch each."""
    mx.random.seed(seed)
    model = empty_model()
    offsets = ((0, -1), (0, 1), (-1, 0)), ((0, -2), (1, 0), (0, 2))
    for block, taps in zip(model.vision_tower.blocks, offsets, strict=False):
        _look_beside(block.attn.qkv, taps)
    return Trainee(model, WIDTH)


def _look_beside(qkv: nn.Linear, taps: tuple[tuple[int, int], ...]) -> None:
    """Set queries and keys so that head i attends to the patch taps[i] = (rows, columns) away.

    With constant queries and keys, rotary embedding alone decides: the score is a sum of cosines of the distance to the
    tap. The three highest of the eight frequencies of each axis are used: they fall off within a patch or two.
    """
    width = WIDTH // HEADS
    frequencies = [1.0 / 10000 ** (i / (width // 4)) for i in range(3)]
    bias = mx.zeros((3, HEADS, width))
    for head, tap in enumerate(taps):
        for axis, distance in enumerate(tap):
            for i, frequency in enumerate(frequencies):
                place = axis * (width // 4) + i
                bias[0, head, place] = 5.0
                bias[1, head, place] = 5.0 * math.cos(frequency * distance)
                bias[1, head, place + width // 2] = -5.0 * math.sin(frequency * distance)
    qkv.bias = bias.reshape(-1)
    qkv.weight[: 2 * WIDTH] *= 0.3


def embed(model: qwen2_vl.Model, images: mx.array) -> tuple[mx.array, mx.array]:
    """The vision tower over many images of one size: (n, height, width, 3) -> (n, tokens, 128), (n, patches, 96).

    The class itself takes its images one after another. Patches come in the processor's order.
    """
    tower = model.vision_tower
    side, merge = QUICK.patch, QUICK.merge
    count, height, width, _ = images.shape
    rows, columns = height // side, width // side
    tiles = images.reshape(count, rows // merge, merge, side, columns // merge, merge, side, 3)
    tiles = tiles.transpose(0, 1, 4, 2, 5, 3, 6, 7).reshape(count, rows * columns, -1)
    kernel = tower.patch_embed.proj.weight  # (width, frames, side, side, 3); both frames are the same image
    hidden = tiles.astype(kernel.dtype) @ kernel.sum(axis=1).reshape(WIDTH, -1).T
    angles = tower.rot_pos_emb(mx.array([[1, rows, columns]]))
    for block in tower.blocks:
        attention = block.attn
        qkv = attention.qkv(block.norm1(hidden)).reshape(count, rows * columns, 3, HEADS, -1)
        queries, keys = (apply_rotary_pos_emb_vision(qkv[:, :, i], angles).transpose(0, 2, 1, 3) for i in (0, 1))
        values = qkv[:, :, 2].transpose(0, 2, 1, 3)
        mixed = mx.fast.scaled_dot_product_attention(queries, keys, values, scale=attention.scale)
        hidden = hidden + attention.proj(mixed.transpose(0, 2, 1, 3).reshape(count, rows * columns, -1))
        hidden = hidden + block.mlp(block.norm2(hidden))
    return tower.merger(hidden).reshape(count, rows * columns // merge**2, -1), hidden


def read(model: qwen2_vl.Model, ids: mx.array, embeddings: mx.array, positions: mx.array | None) -> mx.array:
    """The language model's hidden states."""
    states: mx.array = model.language_model.model(ids, inputs_embeds=embeddings, position_ids=positions)
    return states


def loss(trainee: Trainee, batch: Arrays) -> mx.array:
    """The training loss of one batch."""
    model = trainee.model
    embedding, image = model.language_model.model.embed_tokens, model.config.image_token_id

    def forward() -> mx.array:
        return total_loss(trainee, batch, partial(embed, model), embedding, partial(read, model), image)

    return halved(trainee, forward)


def export(trainee: Trainee, folder: Path) -> None:
    """Write the model folder as `mlx_vlm.load` expects it."""
    chat = QUICK.chat
    save_weights(trainee.model, folder)
    save_json(folder, "config.json", config())
    save_tokenizer(
        tokenizer(chat),
        folder,
        eos="<|im_end|>",
        pad=chat.pad,
        special=list(chat.special),
        chat_template=chat.template,
        max_length=4096,
    )
    save_json(folder, "generation_config.json", {"eos_token_id": config()["eos_token_id"], "do_sample": False})
    save_json(
        folder,
        "preprocessor_config.json",
        {
            "image_processor_type": "Qwen2VLImageProcessor",
            "processor_class": "Qwen2VLProcessor",
            "patch_size": QUICK.patch,
            "temporal_patch_size": 2,
            "merge_size": QUICK.merge,
            # A little below and above SIDE squared: rounding must not cost a square image a row of patches.
            "min_pixels": SIDE * SIDE - 400,
            "max_pixels": QUICK.largest,
            "image_mean": [0.5] * 3,
            "image_std": [0.5] * 3,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "do_convert_rgb": True,
            "do_resize": True,
            "resample": int(QUICK.resample),
        },
    )


def recipe() -> Recipe:
    """How pocket/qwen2-vl is made."""
    return Recipe("qwen2-vl", 6000, 256, 1.2e-3, 120, make_batch, build, loss, export, adopt=adopt)
