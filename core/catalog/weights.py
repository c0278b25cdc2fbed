"""The weights of a model folder: which files, are they whole, how many parameters, packed how."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.catalog.active import Activity, sees
from core.catalog.apple_double import is_apple_double
from core.catalog.config import number, read_json
from core.catalog.packing import mended_quantisation
from core.catalog.safetensors import BrokenWeights, Tensor, read_header

INDEX = "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
_DTYPE_LABELS = {"BF16": "bf16", "F16": "fp16", "F32": "fp32", "F64": "fp64", "F8_E4M3": "fp8", "F8_E5M2": "fp8"}
_SHARD = re.compile(r"^(.*)-(\d{5})-of-(\d{5})\.safetensors$")


@dataclass(frozen=True)
class Weights:
    """What the headers say. `nbytes` is all tensor data; `float_bytes` the size of an activation's element."""

    parameters: int
    nbytes: int
    quantisation: str | None
    float_bytes: int
    half_bytes: int
    """The part of `nbytes` that is float16 or bfloat16."""
    packed: bool
    """Whether any tensor holds several parameters in a number, as quantised weights do."""
    vision_tensors: bool
    """Whether any tensor belongs to something that sees: text-only conversions keep a vision model's config."""
    active_parameters: int
    """Of `parameters`, those that take part in a token of text, and of `nbytes` theirs: see core.catalog.active."""
    active_bytes: int


def find_files(folder: Path) -> list[Path]:
    """The safetensors files that make up the model, at the top of its folder.

    Raises BrokenWeights naming the first file that the index, or the numbering of the shards, promises and that is
    not there (a link into the cache whose target is gone counts as missing).
    """
    promised = _promised(folder)
    missing = [name for name in promised if not (folder / name).is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise BrokenWeights(f"incomplete: missing shard {missing[0]}{more}")
    if promised:
        return [folder / name for name in promised]
    present = [file for file in sorted(folder.glob("*.safetensors")) if not is_apple_double(file.name)]
    dangling = [file.name for file in present if not file.is_file()]
    if dangling:
        raise BrokenWeights(f"incomplete: missing {dangling[0]}")
    return [file for file in present if not file.name.startswith("consolidated")] or present


def _promised(folder: Path) -> list[str]:
    try:
        index = read_json(folder / INDEX)
    except ValueError as error:
        raise BrokenWeights(str(error)) from error
    if index is not None:
        weight_map = index.get("weight_map")
        if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
            raise BrokenWeights(f"{INDEX} is broken: it has no weight_map")
        return sorted({Path(name).name for name in weight_map.values()})
    names: set[str] = set()
    for file in folder.glob("*-of-*.safetensors"):
        if not is_apple_double(file.name) and (found := _SHARD.match(file.name)):
            stem, _, count = found.groups()
            names.update(
                f"{stem}-{number:05d}-of-{count}.safetensors" for number in range(1, min(int(count), 9999) + 1)
            )
    return sorted(names)


def read_headers(files: list[Path]) -> dict[str, Tensor]:
    """The tensors of all of a model's files. Raises BrokenWeights when one of them is truncated or corrupt."""
    tensors: dict[str, Tensor] = {}
    for file in files:
        tensors.update(read_header(file))
    return tensors


def read_weights(files: list[Path], config: Mapping[str, Any]) -> Weights:
    """Count what the files hold.

    Raises BrokenWeights when one of them is truncated or corrupt, or when nothing tells how they are packed.
    """
    tensors = read_headers(files)
    mended = mended_quantisation(config, tensors)
    packing = _packing(config if mended is None else {"quantization": mended})
    activity = Activity(config, tensors)
    parameters, active, active_bytes = 0, 0.0, 0.0
    seen_bits: Counter[float] = Counter()
    floats: Counter[str] = Counter()
    for name, tensor in tensors.items():
        if tensor.dtype in ("F32", "BF16", "F16"):
            floats[tensor.dtype] += tensor.nbytes
        count, bits = _unpacked(name, tensor, tensors, packing)
        share = activity.share(name)
        parameters += count
        active, active_bytes = active + share * count, active_bytes + share * tensor.nbytes
        if bits is not None:
            seen_bits[bits] += count
    widest = max(floats, key=lambda dtype: floats[dtype], default="BF16")
    return Weights(
        parameters=parameters,
        nbytes=sum(tensor.nbytes for tensor in tensors.values()),
        quantisation=_label(packing, seen_bits, tensors),
        float_bytes=4 if widest == "F32" else 2,
        half_bytes=floats["F16"] + floats["BF16"],
        packed=any(seen_bits.values()),
        vision_tensors=any(map(sees, tensors)),
        active_parameters=int(active),
        active_bytes=int(active_bytes),
    )


@dataclass(frozen=True)
class _Packing:
    """The quantisation block of a config. `modules` holds what single modules say otherwise."""

    method: str
    bits: int
    group_size: int
    modules: Mapping[str, Any]


def _packing(config: Mapping[str, Any]) -> _Packing | None:
    """From `quantization` (MLX's own) or `quantization_config` (everyone else's)."""
    block = config.get("quantization") or config.get("quantization_config")
    if not isinstance(block, dict):
        inner = config.get("text_config")
        block = inner.get("quantization_config") if isinstance(inner, dict) else None
    if not isinstance(block, dict):
        return None
    method = str(block.get("mode") or block.get("quant_method") or "affine")
    if method == "compressed-tensors":
        method = str(block.get("format") or method).removesuffix("-pack-quantized")
    if method == "modelopt":
        method = str(block.get("quant_algo") or method).lower()
    bits, group = {"mxfp4": (4, 32), "nvfp4": (4, 16), "mxfp8": (8, 32), "fp8": (8, 0), "bitnet": (2, 0)}.get(
        method, (4, 64)
    )
    return _Packing(
        method,
        block["bits"] if isinstance(block.get("bits"), int) else bits,
        block["group_size"] if isinstance(block.get("group_size"), int) else group,
        block,
    )


def _unpacked(
    name: str, tensor: Tensor, tensors: Mapping[str, Tensor], packing: _Packing | None
) -> tuple[int, float | None]:
    """How many parameters a tensor stands for, and its bits if it is packed.

    MLX packs `bits`-wide values into U32 words along the last axis, with `scales` and `biases` (one of each a group)
    beside them; those and the other formats' helper tensors are not parameters.
    """
    module, _, leaf = name.rpartition(".")
    if packing is None and leaf == "weight":
        return tensor.size, None
    if leaf in ("scales", "biases", "global_scale") and f"{module}.weight" in tensors and tensor.dtype != "U32":
        return 0, None
    if leaf in ("qzeros", "g_idx", "weight_scale", "weight_scale_2", "weight_scale_inv", "input_scale", "weight_shape"):
        return 0, None
    if leaf == "scales" and f"{module}.qweight" in tensors:
        return 0, None
    if leaf.endswith("_scales") and f"{module}.{leaf[:-7]}_blocks" in tensors:
        return 0, None  # gpt-oss: experts as mxfp4 blocks
    if leaf.endswith("_blocks") and tensor.dtype == "U8":
        return tensor.size * 2, 4
    if packing is None:
        return tensor.size, None
    if leaf in ("qweight", "weight_packed") or (leaf == "weight" and tensor.dtype in ("U32", "I32")):
        bits = _bits(module, tensor, tensors, packing)
        return tensor.size * 32 // bits, bits
    if leaf == "weight" and tensor.dtype == "U8":
        bits = packing.bits if packing.bits in (2, 4) else 8
        return tensor.size * 8 // bits, bits
    return tensor.size, None


def _bits(module: str, tensor: Tensor, tensors: Mapping[str, Tensor], packing: _Packing) -> int:
    own = packing.modules.get(module)
    if isinstance(own, dict) and (stated := number(own, "bits")):
        return stated
    scales = tensors.get(f"{module}.scales")
    if scales is not None and scales.shape and tensor.shape and packing.group_size and scales.shape[-1]:
        # A module that the config does not name: the shapes tell (as mlx_lm.utils.infer_quant_config does).
        inferred = tensor.shape[-1] * 32 / (scales.shape[-1] * packing.group_size)
        if inferred in (1, 2, 3, 4, 5, 6, 8):
            return int(inferred)
    return max(packing.bits, 1)


def _label(packing: _Packing | None, seen: Counter[float], tensors: Mapping[str, Tensor]) -> str | None:
    if packing is not None and (seen or packing.method in ("fp8", "bitnet")):
        if packing.method == "affine":
            mixed = " mixed" if len({bits for bits in seen if seen[bits]}) > 1 else ""
            return f"{packing.bits}bit-g{packing.group_size}{mixed}"
        if packing.method in ("awq", "gptq"):
            return f"{packing.method}-{packing.bits}bit-g{packing.group_size}"
        return packing.method
    sizes: Counter[str] = Counter()
    for tensor in tensors.values():
        sizes[tensor.dtype] += tensor.nbytes
    if not sizes or math.fsum(sizes.values()) == 0:
        return None
    commonest = max(sizes, key=lambda dtype: sizes[dtype])
    return _DTYPE_LABELS.get(commonest, commonest.lower())
