"""A llama-family GGUF file to a folder that mlx-lm reads: weights as they are packed, names, configuration, tokenizer.

The file format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. MLX reads Q4_0, Q4_1 and Q8_0 as quantised
arrays of its own, F16 and F32 as they are, and nothing else rightly; transformers builds the tokenizer from llama.cpp's
metadata. llama.cpp stores the rows of the query and key projections interleaved for its rotary positions; here they are
put back.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm.models import llama

from core.errors import InvalidRequest, ended
from core.mlx.models.gguf_header import check_types

NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""Tensors of llama.cpp's llama architecture by mlx-lm's names; those of a layer without their layer."""

GROUP = 32
"""Parameters that share a scale in every format of GGUF that MLX reads."""

_LAYER = re.compile(r"blk\.(\d+)\.(\w+)\.(\w+)")
_PLAIN = ("default", "gpt-2", "gpt2", "smollm")
_SPECIAL = {"bos": "bos_token_id", "eos": "eos_token_id", "eot": "eot_token_id", "unk": "unknown_token_id"}
_LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}


def convert(file: Path, folder: Path) -> None:
    """Write the model in `file` to `folder`, which exists and is empty.

    Raises InvalidRequest with what of the file cannot be read, and OSError.
    """
    check_types(file)
    weights: Any
    metadata: Any
    try:
        weights, metadata = mx.load(str(file), format="gguf", return_metadata=True)
    except (RuntimeError, ValueError) as error:
        raise InvalidRequest(
            f"MLX cannot read the weights of {file.name}: {ended(_first_line(error))} Download it again."
        ) from error
    about = {name: _plain(value) for name, value in metadata.items()}
    _check(file, about)
    arrays = _renamed(file, weights)
    frequencies = arrays.pop("rope_freqs", None)
    config = _config(file, arrays, about)
    _check_shapes(file, arrays, config)
    if frequencies is not None:
        config["rope_scaling"] = _llama3_scaling(file, frequencies, config)
    _deinterleave(arrays, config)
    mx.save_safetensors(str(folder / "model.safetensors"), arrays, metadata={"format": "mlx"})
    tokens = _token_ids(file, about, config["vocab_size"])
    config |= {f"{name}_token_id": tokens[name] for name in ("bos", "eos") if name in tokens}
    _write(folder / "config.json", config)
    ends = {tokens[name] for name in ("eos", "eot") if name in tokens}
    _write(folder / "generation_config.json", {"eos_token_id": sorted(ends)})
    _save_tokenizer(file, folder, about, tokens)


def _check(file: Path, about: Mapping[str, Any]) -> None:
    """Refuse what would be read and answer nonsense."""
    family = about.get("general.architecture")
    if family != "llama":
        raise InvalidRequest(
            f"{file.name} holds a model of the family {family!r}; only llama files (Llama, Mistral, SmolLM and their "
            "like) are imported. Get an MLX conversion of it."
        )
    if (parts := _number(file, about, "split.count", 1)) > 1:
        raise InvalidRequest(f"{file.name} is one of {parts} parts. Join them first: `llama-gguf-split --merge`.")
    if about.get("llama.expert_count"):
        raise InvalidRequest(f"{file.name} holds a mixture of experts, which is not imported. Get an MLX conversion.")
    scaling = about.get("llama.rope.scaling.type", "none")
    if scaling != "none":
        raise InvalidRequest(f"{file.name} stretches its positions ({scaling}), which is not imported.")


def _number(file: Path, about: Mapping[str, Any], name: str, default: float | None = None) -> Any:
    """A field of the metadata that has to be a number above 0."""
    value = about.get(name, default)
    if value is None:
        raise InvalidRequest(f"{file.name} lacks {name}, without which its weights mean nothing.")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 2**31:
        raise InvalidRequest(f"{file.name} says that {name} is {str(value)[:40]}, where a number above 0 belongs.")
    return value


def _renamed(file: Path, weights: Mapping[str, mx.array]) -> dict[str, mx.array]:
    whole = any(array.ndim > 1 and array.dtype == mx.float32 for array in weights.values())
    arrays: dict[str, mx.array] = {}
    for name, array in weights.items():
        if name == "rope_freqs.weight":
            arrays["rope_freqs"] = array
            continue
        layer = _LAYER.fullmatch(name)
        part, _, leaf = name.rpartition(".") if layer is None else ("", "", layer[3])
        part = part if layer is None else layer[2]
        if part not in NAMES or leaf not in ("weight", "scales", "biases"):
            raise InvalidRequest(f"{file.name} has a tensor {name}, of which nothing is known here.")
        if array.dtype == mx.float32 and not whole:  # norms: what they are added to would become floats as well
            array = array.astype(mx.float16)
        arrays[f"model.layers.{layer[1]}.{NAMES[part]}.{leaf}" if layer else f"{NAMES[part]}.{leaf}"] = array
    return arrays


def _deinterleave(arrays: dict[str, mx.array], config: Mapping[str, Any]) -> None:
    """Rows (heads x pairs x 2) as (heads x 2 x pairs): halves instead of pairs are rotated here."""
    for name, array in arrays.items():
        if ".self_attn.q_proj." in name or ".self_attn.k_proj." in name:
            heads = config["num_attention_heads" if ".q_proj." in name else "num_key_value_heads"]
            pairs = array.shape[0] // heads // 2
            arrays[name] = array.reshape(heads, pairs, 2, -1).swapaxes(1, 2).reshape(array.shape)


def _config(file: Path, arrays: Mapping[str, mx.array], about: Mapping[str, Any]) -> dict[str, Any]:
    def field(name: str, default: float | None = None) -> Any:
        return _number(file, about, f"llama.{name}", default)

    for needed in ("model.embed_tokens.weight", "model.norm.weight"):
        if needed not in arrays:
            raise InvalidRequest(f"{file.name} lacks {needed}, without which it is no model.")
    heads, hidden = int(field("attention.head_count")), int(field("embedding_length"))
    config: dict[str, Any] = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": int(field("feed_forward_length")),
        "num_hidden_layers": int(field("block_count")),
        "num_attention_heads": heads,
        "num_key_value_heads": int(field("attention.head_count_kv", heads)),
        "head_dim": int(field("attention.key_length", max(hidden // heads, 1))),
        "rms_norm_eps": round(float(field("attention.layer_norm_rms_epsilon")), 9),
        "rope_theta": float(field("rope.freq_base", 10_000.0)),
        "max_position_embeddings": int(field("context_length")),
        "vocab_size": int(arrays["model.embed_tokens.weight"].shape[0]),
        "tie_word_embeddings": "lm_head.weight" not in arrays,
        "torch_dtype": "float32" if arrays["model.norm.weight"].dtype == mx.float32 else "float16",
    }
    if heads % config["num_key_value_heads"]:
        raise InvalidRequest(
            f"{file.name} says that {heads} heads share {config['num_key_value_heads']} of keys and values, which does "
            "not come out even. It is damaged: get another file."
        )
    bits = _bits(arrays)
    if bits:
        usual = max(set(bits.values()), key=lambda number: sum(value == number for value in bits.values()))
        packing: dict[str, Any] = {"group_size": GROUP, "bits": usual}
        packing |= {name: {"group_size": GROUP, "bits": number} for name, number in bits.items() if number != usual}
        config["quantization"] = config["quantization_config"] = packing
    return config


def _check_shapes(file: Path, arrays: Mapping[str, mx.array], config: Mapping[str, Any]) -> None:
    """Refuse tensors that are not exactly those of the model that the metadata describes."""
    layers = {name.split(".")[2] for name in arrays if name.startswith("model.layers.")}
    if len(layers) != config["num_hidden_layers"]:
        raise InvalidRequest(
            f"{file.name} says that it has {config['num_hidden_layers']} layers (llama.block_count), and holds tensors "
            f"of {len(layers)}. It is damaged, or made by something that Assay does not know: get another file."
        )
    model = llama.Model(llama.ModelArgs.from_dict(config))  # lazy: no number of it is made
    expected = {name: array.shape for name, array in tree_flatten(model.parameters())}
    found = {}
    for name, array in arrays.items():
        module, _, leaf = name.rpartition(".")
        if leaf == "weight":
            scales = arrays.get(f"{module}.scales")
            found[name] = array.shape if scales is None else (array.shape[0], scales.shape[1] * GROUP)
    for name, shape in expected.items():
        if found.get(name) != shape:
            held = f"has {name} as {_shape(found[name])}" if name in found else f"lacks {name}"
            raise InvalidRequest(
                f"{file.name} {held}, where its metadata means {_shape(shape)}. It is damaged, or made by something "
                "that Assay does not know: get another file."
            )
    if surplus := found.keys() - expected.keys():
        raise InvalidRequest(f"{file.name} has a tensor {min(surplus)}, of which nothing is known here.")


def _shape(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))


def _bits(arrays: Mapping[str, mx.array]) -> dict[str, int]:
    """Bits of each quantised module."""
    found: dict[str, int] = {}
    for name, scales in arrays.items():
        if name.endswith(".scales"):
            module = name.removesuffix(".scales")
            found[module] = arrays[f"{module}.weight"].shape[1] * 32 // (scales.shape[1] * GROUP)
    return found


def _llama3_scaling(file: Path, factors: mx.array, config: Mapping[str, Any]) -> dict[str, Any]:
    """Llama 3.1's scaling of rotary positions, of which the file holds what each frequency is divided by.

    It is written down in a configuration by a few numbers (transformers' modeling_rope_utils), and refused where those
    would not give the same divisors.
    """
    given = np.array(factors.astype(mx.float32)).reshape(-1).tolist()
    if len(given) != config["head_dim"] // 2:
        raise InvalidRequest(f"{file.name} has {len(given)} rope_freqs for heads of {config['head_dim']}.")
    factor = round(max(given), 3)
    made = []
    for index in range(len(given)):
        wavelength = 2 * math.pi * config["rope_theta"] ** (2 * index / config["head_dim"])
        turns = _LLAMA3["original_max_position_embeddings"] / wavelength
        low, high = _LLAMA3["low_freq_factor"], _LLAMA3["high_freq_factor"]
        smooth = min(max((turns - low) / (high - low), 0.0), 1.0)
        made.append(1 / ((1 - smooth) / factor + smooth))
    if any(abs(ours - theirs) > 0.01 * theirs for ours, theirs in zip(made, given, strict=True)):
        raise InvalidRequest(f"{file.name} stretches its positions in a way that is not known here (rope_freqs).")
    return {"rope_type": "llama3", "factor": factor, **_LLAMA3}


def _token_ids(file: Path, about: Mapping[str, Any], rows: int) -> dict[str, int]:
    """The special tokens of a vocabulary that fits the `rows` of the embedding, by _SPECIAL's names."""
    count = len(about.get("tokenizer.ggml.tokens") or ())
    if count > rows:
        raise InvalidRequest(
            f"{file.name} has {count:,} tokens and vectors for {rows:,}. It is damaged: get another file."
        )
    found = {}
    for name, key in _SPECIAL.items():
        number = about.get(f"tokenizer.ggml.{key}")
        if number is None:
            continue
        if not isinstance(number, int) or not 0 <= number < count:
            raise InvalidRequest(f"{file.name} says that its {key} is {str(number)[:40]}; its tokens are {count:,}.")
        found[name] = number
    return found


def _save_tokenizer(file: Path, folder: Path, about: Mapping[str, Any], special: Mapping[str, int]) -> None:
    from tokenizers import pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    from transformers.integrations.gguf import gguf_tokenizer_mapping as library

    told = {
        name: about[f"tokenizer.{key}"]
        for key, name in library.GGUF_TOKENIZER_MAPPING["tokenizer"].items()
        if f"tokenizer.{key}" in about
    }
    kind, pre = told.get("tokenizer_type"), told.get("pre_tokenizer_type", "default")
    known = {*_PLAIN, *library.GGUF_PRE_TOKENIZER_SPLITS}
    if "tokens" not in told or kind not in ("gpt2", "llama") or (kind == "gpt2" and pre not in known):
        raise InvalidRequest(f"{file.name} cuts text into tokens in a way that is not known here ({kind}, {pre}).")
    if kind == "gpt2" and (odd := _odd_merge(told)) is not None:
        raise InvalidRequest(
            f"{file.name} joins {str(odd)[:40]!r}, which are no two tokens that make a third. It is damaged: "
            "get another file."
        )
    backend, _ = library.convert_gguf_tokenizer("llama", told)
    if pre == "smollm":  # each digit is a token, which the library does not know of this one
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    tokens = told["tokens"]
    names = {f"{name}_token": tokens[number] for name, number in special.items() if name != "eot"}
    made = PreTrainedTokenizerFast(tokenizer_object=backend, clean_up_tokenization_spaces=False, **names)
    template = about.get("tokenizer.chat_template")
    made.chat_template = template if isinstance(template, str) else None
    made.save_pretrained(folder)


def _odd_merge(told: Mapping[str, Any]) -> Any:
    """The first merge of a byte-level vocabulary that is none; the library ends the program over it."""
    known = set(told["tokens"])
    for merge in told.get("merges", ()):
        parts = merge.split(" ") if isinstance(merge, str) else ()
        if len(parts) != 2 or not {*parts, "".join(parts)} <= known:
            return merge
    return None


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, mx.array) else value


def _write(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
