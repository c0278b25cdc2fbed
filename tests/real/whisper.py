"""Whisper base out of two packages: a CTranslate2 model, cut in two, to the folder that mlx-audio reads.

CTranslate2's binary format (https://github.com/OpenNMT/CTranslate2, python/ctranslate2/specs/model_spec.py): version,
name, revision, count; then for each variable its name, rank, sizes, type, bytes, data. All of these are float16. The
queries, keys and values are one matrix; where a decoder attends to the encoder, keys and values are one.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

FLOAT16 = 4
FIRST_TIMESTAMP, TIMESTAMPS = 50_364, 1_501
"""<|0.00|> to <|30.00|> in steps of 0.02 s, which the package's tokenizer leaves out."""

OUTSIDE = {
    "conv1/weight": "conv1.weight",
    "conv1/bias": "conv1.bias",
    "conv2/weight": "conv2.weight",
    "conv2/bias": "conv2.bias",
    "layer_norm/gamma": "layer_norm.weight",
    "layer_norm/beta": "layer_norm.bias",
    "position_encodings/encodings": "embed_positions.weight",
    "embeddings/weight": "embed_tokens.weight",
}
CONFIG = {
    "architectures": ["WhisperForConditionalGeneration"],
    "model_type": "whisper",
    "d_model": 512,
    "encoder_layers": 6,
    "decoder_layers": 6,
    "encoder_attention_heads": 8,
    "decoder_attention_heads": 8,
    "encoder_ffn_dim": 2048,
    "decoder_ffn_dim": 2048,
    "num_mel_bins": 80,
    "max_source_positions": 1500,
    "max_target_positions": 448,
    "vocab_size": 51_865,
    "bos_token_id": 50_257,
    "eos_token_id": 50_257,
    "decoder_start_token_id": 50_258,
    "torch_dtype": "float32",
}
TOKENIZER = {
    "tokenizer_class": "WhisperTokenizerFast",
    "model_max_length": 448,
    **{f"{name}_token": "<|endoftext|>" for name in ("bos", "eos", "unk", "pad")},
}
FEATURES = {
    "feature_extractor_type": "WhisperFeatureExtractor",
    "processor_class": "WhisperProcessor",
    "feature_size": 80,
    "sampling_rate": 16_000,
    "hop_length": 160,
    "chunk_length": 30,
    "n_fft": 400,
    "padding_value": 0.0,
    "return_attention_mask": False,
}

Arrays = dict[str, np.ndarray]


def make_whisper(parts: Sequence[Path], folder: Path, timestamps: bool = True) -> Path:
    """Write the model whose halves lie in `parts` to `folder`; `timestamps` completes its tokenizer."""
    data = b"".join((part / f"model.bin.part{number}").read_bytes() for number, part in enumerate(parts, start=1))
    arrays: Arrays = {}
    for name, array in _variables(data):
        arrays.update(_renamed(name, array))
    folder.mkdir(parents=True)
    save_file(
        {name: np.ascontiguousarray(array) for name, array in arrays.items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    tokenizer = json.loads((parts[0] / "tokenizer.json").read_text())
    if timestamps:
        tokenizer["added_tokens"] += [
            {
                "id": FIRST_TIMESTAMP + step,
                "content": f"<|{step * 0.02:.2f}|>",
                **dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False),
            }
            for step in range(TIMESTAMPS)
        ]
    for file, value in (
        ("tokenizer.json", tokenizer),
        ("config.json", CONFIG),
        ("tokenizer_config.json", TOKENIZER),
        ("preprocessor_config.json", FEATURES),
    ):
        (folder / file).write_text(json.dumps(value))
    return folder


def _variables(data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    place = 0

    def number(format: str) -> int:
        nonlocal place
        (value,) = struct.unpack_from(f"<{format}", data, place)
        place += struct.calcsize(format)
        return int(value)

    def text() -> str:
        nonlocal place
        length = number("H")
        place += length
        return data[place - length : place].rstrip(b"\0").decode()

    number("I")  # version
    text()
    number("I")  # revision
    for _ in range(number("I")):
        name, sizes = text(), [number("I") for _ in range(number("B"))]
        kind, nbytes = number("B"), number("I")
        if kind == FLOAT16:
            yield name, np.frombuffer(data, np.float16, math_prod(sizes), place).reshape(sizes).astype(np.float32)
        place += nbytes


def math_prod(sizes: Sequence[int]) -> int:
    return int(np.prod(sizes)) if sizes else 1


def _renamed(name: str, array: np.ndarray) -> Arrays:
    """A variable by the names that transformers gives its parts; nothing for scales and switches."""
    side, _, rest = name.partition("/")
    layer = re.fullmatch(r"layer_(\d+)/(.*)", rest)
    if layer is None:
        return {f"model.{side}.{OUTSIDE[rest]}": array} if rest in OUTSIDE else {}
    prefix, part = f"model.{side}.layers.{layer[1]}.", layer[2]
    leaf = part.rsplit("/", 1)[-1]
    leaf = {"gamma": "weight", "beta": "bias"}.get(leaf, leaf)
    if part.startswith("ffn/"):
        module = {"layer_norm": "final_layer_norm", "linear_0": "fc1", "linear_1": "fc2"}[part.split("/")[1]]
        return {f"{prefix}{module}.{leaf}": array}
    attention = "self_attn" if part.startswith("self") else "encoder_attn"
    if "layer_norm" in part:
        return {f"{prefix}{attention}_layer_norm.{leaf}": array}
    linear = int(re.search(r"linear_(\d)", part)[1])  # type: ignore[index]
    if attention == "self_attn":
        names = ("q_proj", "k_proj", "v_proj") if linear == 0 else ("out_proj",)
    else:
        names = (("q_proj",), ("k_proj", "v_proj"), ("out_proj",))[linear]
    pieces = zip(names, np.split(array, len(names)), strict=True)
    return {f"{prefix}{attention}.{one}.{leaf}": piece for one, piece in pieces if (one, leaf) != ("k_proj", "bias")}
