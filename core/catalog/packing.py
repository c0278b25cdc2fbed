"""How MLX has packed a model's weights: told by their headers where config.json does not say it as loaders ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from core.catalog.config import number, text_part
from core.catalog.safetensors import DOWNLOAD_AGAIN, BrokenWeights, Tensor

BITS, GROUPS = (2, 3, 4, 5, 6, 8), (32, 64, 128)
_BY_BYTE_SCALES = {64: (4, 16, "nvfp4"), 128: (4, 32, "mxfp4"), 256: (8, 32, "mxfp8")}
"""What bits x group size means where scales are bytes: each mode but "affine" has one pair."""
_FLOATS = ("F16", "BF16", "F32", "F64")

_HIDDEN = ("hidden_size", "n_embd", "d_model", "dim", "model_dim")
_FROM_HIDDEN = (
    "embed_tokens",
    "wte",
    "lm_head",
    "q_proj",
    "k_proj",
    "v_proj",
    "qkv_proj",
    "gate_proj",
    "up_proj",
    "gate_up_proj",
    "c_attn",
    "c_fc",
)
"""Modules whose inputs are as wide as the hidden state."""

Block = dict[str, Any]


def mended_quantisation(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Block | None:
    """config.json's `quantization` as it has to be for MLX's loaders; None where nothing stands against what it is.

    {} for weights that are not packed, whatever config.json says of them. Raises BrokenWeights when they are packed,
    and neither config.json nor their shapes tell how.
    """
    if _is_whole(config.get("quantization")):
        return None
    packed = dict(_packed(tensors))
    stated = _stated(config)
    if packed:
        return _told(stated, packed, config)
    if any(name.endswith(".qweight") for name in tensors) and stated.get("quant_method") not in ("awq", "gptq"):
        raise BrokenWeights(
            "its weights are packed as AWQ and GPTQ do it, and config.json does not name one of them (quant_method)"
        )
    plain = bool(tensors) and all(tensor.dtype in _FLOATS for tensor in tensors.values())
    said = stated or config.get("quantization_config") or "quantization" in config
    return {} if plain and said else None


def _is_whole(block: Any) -> bool:
    return isinstance(block, dict) and all(type(block.get(name)) is int for name in ("bits", "group_size"))


def _stated(config: Mapping[str, Any]) -> Block:
    """What config.json says, in any of the places where it may stand."""
    inner = config.get("text_config")
    for part in (config, inner if isinstance(inner, dict) else {}):
        for name in ("quantization", "quantization_config"):
            block = part.get(name)
            if isinstance(block, dict) and block:
                return block
    return {}


def _packed(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    """Weight and scales of each module that MLX has packed."""
    for name, tensor in tensors.items():
        if tensor.dtype != "U32":
            continue
        module, _, leaf = name.rpartition(".")
        scales = tensors.get(f"{module}.scales")
        if leaf == "weight" and scales is not None and tensor.shape and scales.shape:
            yield module, (tensor, scales)


def _told(stated: Block, packed: Mapping[str, tuple[Tensor, Tensor]], config: Mapping[str, Any]) -> Block:
    """The block that these weights were packed by: one way for most modules, and the others by name.

    Raises BrokenWeights when more than one way is possible and nothing decides.
    """
    kinds: dict[tuple[int, bool], list[str]] = {}
    for module, (weight, scales) in packed.items():
        product, rest = divmod(weight.shape[-1] * 32, max(scales.shape[-1], 1))  # bits x group size
        if rest:
            raise BrokenWeights(f"its weights do not fit their scales ({module}): {DOWNLOAD_AGAIN}")
        kinds.setdefault((product, scales.dtype == "U8"), []).append(module)
    usual, *others = sorted(kinds, key=lambda kind: -len(kinds[kind]))
    hidden = number(text_part(config), *_HIDDEN)

    def way(kind: tuple[int, bool], stated: Block) -> Block:
        inputs = [packed[module][0] for module in kinds[kind] if module.rpartition(".")[2] in _FROM_HIDDEN]
        return _way(
            *kind, stated, Counter(weight.shape[-1] * 32 / hidden for weight in inputs) if hidden else Counter()
        )

    made = way(usual, stated)
    if _is_whole(stated) and all(stated[name] == made[name] for name in ("bits", "group_size")):
        return {name: value for name, value in stated.items() if name != "quant_method"} | made
    for kind in others:
        differing = way(kind, {"group_size": made["group_size"]})
        made |= dict.fromkeys(kinds[kind], differing)
    return made


def _way(product: int, byte_scales: bool, stated: Block, votes: Counter[float]) -> Block:
    """Bits, group size and mode of modules whose bits x group size is `product`.

    `votes` are the bits that those give whose inputs' width is known; where there are none, what is stated decides.
    """
    if byte_scales and product in _BY_BYTE_SCALES:
        bits, group, mode = _BY_BYTE_SCALES[product]
        return {"group_size": group, "bits": bits, "mode": mode}
    possible = {product // group: group for group in GROUPS if product % group == 0 and product // group in BITS}
    likely = [bits for bits, _ in votes.most_common()]
    likely += [bits for bits, group in possible.items() if group == stated.get("group_size")]
    likely += [stated.get("bits", 0), *(possible if len(possible) == 1 else ())]
    bits = next((int(bits) for bits in likely if bits in possible), 0)
    if not bits or byte_scales:
        raise BrokenWeights(
            "its weights are packed, and neither config.json nor their shapes tell how: add "
            f'"quantization": {{"group_size": ..., "bits": ...}} to it, or {DOWNLOAD_AGAIN}'
        )
    return {"group_size": possible[bits], "bits": bits}
