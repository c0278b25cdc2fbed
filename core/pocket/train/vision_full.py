"""pocket/gemma3, the full vision model: Gemma 3's architecture with 2.9 million parameters."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_vlm.models import gemma3

from core.pocket.train import vision_batch
from core.pocket.train.export import save_json, save_weights
from core.pocket.train.recipe import Batch, Recipe
from core.pocket.train.tokenizers import save_tokenizer
from core.pocket.train.vision_batch import FULL, VOCABULARY, tokenizer
from core.pocket.train.vision_train import Arrays, Trainee, adopt, halved, total_loss

WIDTH, HEADS = 192, 6
SIDE = FULL.patch * FULL.grids[0][0]
TOKENS = (FULL.grids[0][0] // FULL.merge) ** 2
"""Tokens an image: as many as patches, for averaging neighbours would blur letters into one another."""


def config() -> dict[str, Any]:
    """config.json."""
    number = tokenizer(FULL.chat).token_to_id
    return {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "model_type": "gemma3",
        "boi_token_index": number("<start_of_image>"),
        "eoi_token_index": number("<end_of_image>"),
        "image_token_index": number("<image_soft_token>"),
        "pad_token_id": number(FULL.chat.pad),
        "bos_token_id": number("<bos>"),
        "eos_token_id": [number(token) for token in FULL.chat.eos],
        "mm_tokens_per_image": TOKENS,
        "vocab_size": VOCABULARY,
        "hidden_size": 128,
        "torch_dtype": "float16",
        "text_config": {
            "model_type": "gemma3_text",
            "hidden_size": 128,
            "num_hidden_layers": 4,
            "intermediate_size": 384,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 32,
            "query_pre_attn_scalar": 32,
            "vocab_size": VOCABULARY,
            "rope_global_base_freq": 10000.0,
            "rope_local_base_freq": 10000.0,
            "sliding_window": 4096,
            "sliding_window_pattern": 2,
            "mm_tokens_per_image": TOKENS,
            "rms_norm_eps": 1e-6,
            "max_position_embeddings": 4096,
        },
        "vision_config": {
            "model_type": "siglip_vision_model",
            "hidden_size": WIDTH,
            "num_hidden_layers": 5,
            "intermediate_size": 576,
            "num_attention_heads": HEADS,
            "image_size": SIDE,
            "patch_size": FULL.patch,
        },
    }


def make_batch(seed: int, index: int, size: int) -> Batch:
    """See `vision_batch.make_batch`."""
    return vision_batch.make_batch(FULL, seed, index, size)


def empty_model() -> gemma3.Model:
    """The unmodified mlx-vlm class."""
    whole = gemma3.ModelConfig.from_dict(config())
    whole.text_config = gemma3.TextConfig.from_dict(config()["text_config"])
    whole.vision_config = gemma3.VisionConfig.from_dict(config()["vision_config"])
    return gemma3.Model(whole)


def build(seed: int) -> Trainee:
    """A new model, with its output tied to its embeddings.

    Gemma's norms scale by one plus their weight: they start at zero, those after a block lower, so that blocks begin
    as small corrections. The projector's weight, ones in the class, starts random. The heads of the first two vision
    layers start out looking at a neighbouring patch each.
    """
    mx.random.seed(seed)
    model = empty_model()
    language, projector = model.language_model.model, model.multi_modal_projector
    for name, value in _norms(language):
        value.weight = mx.full(value.weight.shape, -0.6 if name.startswith("post_") else 0.0)
    projector.mm_soft_emb_norm.weight = mx.zeros((WIDTH,))
    projector.mm_input_projection_weight = mx.random.normal((WIDTH, 128)) / math.sqrt(WIDTH)
    offsets = ((0, -1), (0, 1), (-1, 0), (1, 0), (0, -2), (0, 2)), ((0, -1), (0, 1), (-1, 0), (1, 0), (0, -3), (0, 3))
    _mark_places(model)
    for layer, taps in zip(model.vision_tower.vision_model.encoder.layers, offsets, strict=False):
        _look_beside(layer.self_attn, taps)
    trainee = Trainee(model, WIDTH)
    model.language_model.lm_head.freeze()
    return trainee


def _norms(language: Any) -> list[tuple[str, Any]]:
    inside = [(name, layer[name]) for layer in language.layers for name in layer if name.endswith("layernorm")]
    attention = [(name, layer.self_attn[name]) for layer in language.layers for name in ("q_norm", "k_norm")]
    return [*inside, *attention, ("norm", language.norm)]


FREQUENCIES = (1.0, 0.5, 0.2)
PLACE_DIMENSIONS = 4 * len(FREQUENCIES)


def _mark_places(model: gemma3.Model) -> None:
    """Start the first dimensions of the position embedding as cosine and sine of row and column."""
    embedding = model.vision_tower.vision_model.embeddings.position_embedding
    rows, columns = FULL.grids[0]
    table = mx.random.normal(embedding.weight.shape) * 0.05
    row, column = mx.arange(rows * columns) // columns, mx.arange(rows * columns) % columns
    waves = [wave(frequency * axis) for axis in (row, column) for frequency in FREQUENCIES for wave in (mx.cos, mx.sin)]
    table[:, :PLACE_DIMENSIONS] = 3.0 * mx.stack(waves, axis=1)
    embedding.weight = table


def _look_beside(attention: Any, taps: tuple[tuple[int, int], ...]) -> None:
    """Set head i's queries to the marks of the place taps[i] = (rows, columns) away, its keys to those of its own."""
    width = WIDTH // HEADS
    queries, keys = attention.q_proj.weight * 0.3, attention.k_proj.weight * 0.3
    for head, tap in enumerate(taps):
        for axis, distance in enumerate(tap):
            for i, frequency in enumerate(FREQUENCIES):
                cos, sin = math.cos(frequency * distance), math.sin(frequency * distance)
                mark = 2 * (axis * len(FREQUENCIES) + i)
                row = head * width + mark
                keys[row, mark] = keys[row + 1, mark + 1] = 1.0
                queries[row, mark], queries[row, mark + 1] = cos, -sin
                queries[row + 1, mark], queries[row + 1, mark + 1] = sin, cos
    attention.q_proj.weight, attention.k_proj.weight = queries, keys


def embed(model: gemma3.Model, images: mx.array) -> tuple[mx.array, mx.array]:
    """(n, SIDE, SIDE, 3) -> features of image tokens (n, TOKENS, 128) as they enter the text, and of patches."""
    kernel = model.vision_tower.vision_model.embeddings.patch_embedding.weight
    patches, _, _ = model.vision_tower(images.astype(kernel.dtype))
    return model.multi_modal_projector(patches) / math.sqrt(128), patches


def read(model: gemma3.Model, ids: mx.array, embeddings: mx.array, positions: mx.array | None) -> mx.array:
    """The language model's hidden states, under the causal mask that mlx-vlm uses for this class when it generates."""
    assert positions is None
    states: mx.array = model.language_model.model(ids, inputs_embeds=embeddings)
    return states


def loss(trainee: Trainee, batch: Arrays) -> mx.array:
    """The training loss of one batch."""
    model = trainee.model
    embedding, image = model.language_model.model.embed_tokens, model.config.image_token_index

    def forward() -> mx.array:
        return total_loss(trainee, batch, partial(embed, model), embedding, partial(read, model), image)

    return halved(trainee, forward)


def export(trainee: Trainee, folder: Path) -> None:
    """Write the model folder as `mlx_vlm.load` expects it, without the output layer: the class makes it."""
    chat = FULL.chat
    language = trainee.model.language_model
    head = language.pop("lm_head")
    save_weights(trainee.model, folder)
    language.lm_head = head
    save_json(folder, "config.json", config())
    save_tokenizer(
        tokenizer(chat),
        folder,
        eos="<eos>",
        pad=chat.pad,
        special=list(chat.special),
        chat_template=chat.template,
        max_length=4096,
    )
    marks = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    _amend(folder / "tokenizer_config.json", {"bos_token": "<bos>", **marks, "extra_special_tokens": marks})
    save_json(folder, "generation_config.json", {"eos_token_id": config()["eos_token_id"], "do_sample": False})
    save_json(folder, "processor_config.json", {"processor_class": "Gemma3Processor", "image_seq_length": TOKENS})
    save_json(
        folder,
        "preprocessor_config.json",
        {
            "image_processor_type": "Gemma3ImageProcessor",
            "processor_class": "Gemma3Processor",
            "do_resize": True,
            "size": {"height": SIDE, "width": SIDE},
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": [0.5] * 3,
            "image_std": [0.5] * 3,
            "do_convert_rgb": True,
            "resample": int(FULL.resample),
            "image_seq_length": TOKENS,
        },
    )


def _amend(path: Path, changes: dict[str, Any]) -> None:
    save_json(path.parent, path.name, json.loads(path.read_text(encoding="utf-8")) | changes)


def recipe() -> Recipe:
    """How pocket/gemma3 is made."""
    return Recipe("gemma3", 6000, 192, 1.2e-3, 120, make_batch, build, loss, export, adopt=adopt)
