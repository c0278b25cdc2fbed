"""pocket/qwen3: its shape, its tokenizer, its first weights, its loss and its files."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx_lm.models import qwen3
from numpy.typing import NDArray
from tokenizers import Tokenizer

from core.pocket.train import text_data
from core.pocket.train.export import save_json, save_weights
from core.pocket.train.recipe import Recipe
from core.pocket.train.text_dice import Dice
from core.pocket.train.tokenizers import SPLIT_NAMES, save_tokenizer, train_bpe

Matrix = NDArray[np.float32]

VOCABULARY = 1536
CONTEXT = 4096
EOS, PAD = "<|im_end|>", "<|endoftext|>"
SPECIAL = [PAD, "<|im_start|>", EOS]
MARKERS = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>"]
CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": 128,
    "num_hidden_layers": 6,
    "intermediate_size": 320,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "hidden_act": "silu",
    "attention_bias": False,
    "rms_norm_eps": 1e-6,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": CONTEXT,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "float16",
    "bos_token_id": None,
}


def recipe() -> Recipe:
    """How pocket/qwen3 is trained; builds its tokenizer when the model folder has none."""
    if not (text_data.FOLDER / "tokenizer.json").is_file():
        write_tokenizer(build_tokenizer(), text_data.FOLDER)
    return Recipe(
        name="text",
        steps=9000,
        batch=32768,
        learning_rate=3e-3,
        warmup=300,
        make_batch=text_data.make_batch,
        build=build,
        loss=loss,
        export=export,
        adopt=adopt,
    )


def build_tokenizer(conversations: int = 6000) -> Tokenizer:
    """Learn the vocabulary from training conversations: the same on every machine."""
    markers = "|".join(re.escape(token) for token in (*SPECIAL, *MARKERS))

    def texts() -> Iterator[str]:
        d = Dice(random.Random("vocabulary"))
        for _ in range(conversations):
            talk = text_data.make_conversation(d, 700)
            talk.think = True
            yield from re.split(markers, text_data.render(talk))

    return train_bpe(texts(), VOCABULARY, SPECIAL, MARKERS, min_frequency=20, split=SPLIT_NAMES)


def write_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the tokenizer's files to the model folder."""
    template = text_data.TEMPLATE
    save_tokenizer(tokenizer, folder, eos=EOS, pad=PAD, special=SPECIAL, chat_template=template, max_length=CONTEXT)


def build(seed: int) -> qwen3.Model:
    """The untrained model, with attention heads that copy.

    Left to chance, a model this small does not find out how to copy a name from the question. So two heads of layer 0
    start as readers of the token before and of the one before that, and those of layer 1 look for places where what
    came before is what stands here, and say what stood there ("induction heads", Olsson et al. 2022).
    """
    model = qwen3.Model(qwen3.ModelArgs.from_dict(CONFIG))
    rng = np.random.default_rng(seed)
    layers, width = CONFIG["num_hidden_layers"], 128
    assert isinstance(layers, int)

    def normal(rows: int, columns: int, scale: float) -> Matrix:
        return rng.normal(0, scale, (rows, columns)).astype(np.float32)

    weights: dict[str, Matrix] = {}
    embedding = normal(VOCABULARY, width, 0.04)
    embedding[:, 0] = 0.24  # the same for every token, so that a head can attend by distance alone
    weights["model.embed_tokens.weight"] = embedding
    for layer in range(layers):
        name = f"model.layers.{layer}."
        attention, small = model.layers[layer], 0.05 / math.sqrt(2 * layers)
        for part in ("q_proj", "k_proj", "v_proj"):
            weights[f"{name}self_attn.{part}.weight"] = normal(attention.self_attn[part].weight.shape[0], width, 0.05)
        weights[f"{name}self_attn.o_proj.weight"] = normal(width, width, small)
        for part in ("gate_proj", "up_proj"):
            weights[f"{name}mlp.{part}.weight"] = normal(320, width, 0.05)
        weights[f"{name}mlp.down_proj.weight"] = normal(width, 320, small)
    _seed_copying(weights, rng)
    model.load_weights([(name, mx.array(value)) for name, value in weights.items()], strict=False)
    for layer in (0, 1):
        for norm in (model.layers[layer].self_attn.q_norm, model.layers[layer].self_attn.k_norm):
            norm.weight = norm.weight * 1.5
    return model


def _seed_copying(weights: dict[str, Matrix], rng: np.random.Generator) -> None:
    """Set the heads of layers 0 and 1 that copying starts from, in place."""
    width, size = 128, 32

    def orthonormal(columns: int) -> Matrix:
        return np.linalg.qr(rng.normal(size=(width, columns)))[0].astype(np.float32)

    first, second = "model.layers.0.self_attn.", "model.layers.1.self_attn."
    # Rotary halves: dimension i turns with i + 16. Four fast frequencies are enough to point one or two places back.
    turns = 1.0 / 10000.0 ** (np.arange(0, size, 2)[:4] / size)
    for head, back in ((0, 0), (1, 1)):
        query = np.zeros(size, np.float32)
        query[:4], query[16:20] = np.cos(back * turns), -np.sin(back * turns)
        weights[first + "q_proj.weight"][head * size : (head + 1) * size] *= 0.1
        weights[first + "q_proj.weight"][head * size : (head + 1) * size, 0] = query
    key = np.zeros(size, np.float32)
    key[:4], key[16:20] = np.cos(turns), np.sin(turns)
    weights[first + "k_proj.weight"][:size] *= 0.1
    weights[first + "k_proj.weight"][:size, 0] = key
    token = orthonormal(size).T.copy()
    token[:, 0] = 0
    one_back, two_back = orthonormal(size), orthonormal(size)
    weights[first + "v_proj.weight"][:size] = token
    weights[first + "o_proj.weight"][:, :size] = one_back * 0.08
    weights[first + "o_proj.weight"][:, size : 2 * size] = two_back * 0.08
    # Heads 0 and 1 of layer 1: here = one back of there. Heads 2 and 3: one back of here = two back of there.
    for head, query_of in ((0, token), (1, token), (2, one_back.T), (3, one_back.T)):
        weights[second + "q_proj.weight"][head * size : (head + 1) * size] = query_of * 0.5
    weights[second + "k_proj.weight"] = np.concatenate([one_back.T, two_back.T]) * np.float32(0.5)
    said = orthonormal(2 * size)
    weights[second + "v_proj.weight"] = said.T.copy()
    copied = np.concatenate([said[:, :size], said[:, :size], said[:, size:], said[:, size:]], axis=1)
    weights[second + "o_proj.weight"] = copied * np.float32(0.05)


def loss(model: nn.Module, batch: dict[str, mx.array]) -> mx.array:
    """Weighted cross entropy of the next token."""
    logits = model(batch["ids"][:, :-1])
    each: mx.array = nn.losses.cross_entropy(logits, batch["ids"][:, 1:])
    return (each * batch["weights"]).sum() / batch["weights"].sum()


def adopt(model: nn.Module, folder: Path) -> None:
    """Take over the weights of an exported model."""
    weights = cast("dict[str, mx.array]", mx.load(str(folder / "model.safetensors")))
    model.load_weights([(name, value.astype(mx.float32)) for name, value in weights.items()])


def export(model: nn.Module, folder: Path) -> None:
    """Write the model folder."""
    tokenizer = text_data.tokenizer()
    eos, pad = tokenizer.token_to_id(EOS), tokenizer.token_to_id(PAD)
    save_weights(model, folder)
    save_json(folder, "config.json", CONFIG | {"eos_token_id": eos, "pad_token_id": pad})
    generation = {"do_sample": False, "temperature": 0.0, "eos_token_id": [eos, pad], "pad_token_id": pad}
    save_json(folder, "generation_config.json", generation)
    write_tokenizer(tokenizer, folder)
