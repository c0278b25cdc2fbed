"""One KV cache as one file that any process with the same model and libraries can go on from.

mlx-lm's save_prompt_cache restores the classes of mlx_lm.models.cache alone: a vision model's layers would come back as
another class, and RopeOffset not at all. It also writes in one go, where here the MLX thread can turn to a request
between two pieces.

A file is in the safetensors format (https://github.com/huggingface/safetensors#format): the tensor "key" first, so that
it can be looked at without the rest, then the layers' arrays, and last "crc32" over every byte before it.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import zlib
from collections.abc import Generator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import mlx.core as mx
import numpy as np

PIECE = 16 * 1024 * 1024
"""Bytes written or read between two looks at what else there is to do: some ten milliseconds."""

FORMAT = "1"
MAX_HEADER_BYTES = 10_000_000
CLASSES = ("mlx_lm.models.cache", "mlx_vlm.models.cache", "core.mlx.models.vision_decoder")
"""Modules whose classes a file may name."""

_TYPES = {
    mx.bool_: "BOOL",
    mx.uint8: "U8",
    mx.int8: "I8",
    mx.uint16: "U16",
    mx.int16: "I16",
    mx.uint32: "U32",
    mx.int32: "I32",
    mx.uint64: "U64",
    mx.int64: "I64",
    mx.float16: "F16",
    mx.bfloat16: "BF16",
    mx.float32: "F32",
    mx.complex64: "C64",
}
_CHECKSUM_BYTES = 4


class BrokenKv(Exception):
    """A file that holds no KV for this model and these libraries; `str()` is a clause that says why."""


class UnknownLayer(Exception):
    """A cache with a layer that cannot be told to a file."""


@dataclass(frozen=True, eq=False)
class Head:
    """What a file says of itself: `nbytes` is its size, `trims` whether the cache can be rolled back."""

    key: np.ndarray[Any, np.dtype[np.int64]]
    nbytes: int
    trims: bool
    layers: list[Any]


def write_steps(
    file: BinaryIO, owner: str, key: np.ndarray[Any, Any], cache: list[Any], trims: bool
) -> Generator[None, None, None]:
    """Write `cache`, the KV of `key`, for `read_steps` with the same `owner`; yields after each piece is on disk.

    Raises UnknownLayer before the first byte, and OSError.
    """
    arrays: list[mx.array] = [mx.array(key)]
    layers = [_told(layer, arrays) for layer in cache]
    header: dict[str, Any] = {
        "__metadata__": {"format": FORMAT, "owner": owner, "trims": json.dumps(trims), "layers": json.dumps(layers)}
    }
    end = 0
    for number, array in enumerate(arrays):
        start, end = end, end + array.nbytes
        name = str(number - 1) if number else "key"
        header[name] = {"dtype": _type(array), "shape": list(array.shape), "data_offsets": [start, end]}
    header["crc32"] = {"dtype": "U32", "shape": [1], "data_offsets": [end, end + _CHECKSUM_BYTES]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    checksum = pending = 0
    for data in chain((len(text).to_bytes(8, "little"), text), map(_bytes, arrays)):
        view = memoryview(data)
        for start in range(0, len(view), PIECE):
            piece = view[start : start + PIECE]
            checksum = zlib.crc32(piece, checksum)
            file.write(piece)
            pending += len(piece)
            if pending >= PIECE:
                pending = 0
                file.flush()
                os.fsync(file.fileno())
                yield
    file.write(checksum.to_bytes(_CHECKSUM_BYTES, "little"))


def read_head(path: Path, owner: str) -> Head:
    """The key of a file and what it takes to restore its cache, without reading the KV.

    Raises BrokenKv when the file is cut off, none of ours, or another owner's; OSError when it cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if length > min(size - 8, MAX_HEADER_BYTES):
                raise BrokenKv("it is cut off, or no file of this kind")
            header = json.loads(file.read(length))
            about = header.pop("__metadata__")
            if about["format"] != FORMAT or about["owner"] != owner:
                raise BrokenKv("it belongs to another model or other versions")
            if 8 + length + max(entry["data_offsets"][1] for entry in header.values()) != size:
                raise BrokenKv(f"it is cut off, or has grown: {size:,} bytes")
            tokens = math.prod(header["key"]["shape"])
            key = np.frombuffer(file.read(8 * tokens), np.int64)
        return Head(key, size, bool(json.loads(about["trims"])), json.loads(about["layers"]))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BrokenKv(f"it cannot be understood ({type(error).__name__})") from error


def read_steps(path: Path, owner: str) -> Generator[None, None, list[Any]]:
    """The cache in a file, every byte of which has been checked; yields after each piece.

    Raises BrokenKv and OSError as `read_head` does, BrokenKv also when a byte has changed.
    """
    head = read_head(path, owner)
    yield from _check(path)
    try:
        loaded: dict[str, mx.array] = mx.load(str(path))  # type: ignore[assignment]
        pending = 0
        for array in loaded.values():
            mx.eval(array)
            pending += array.nbytes
            if pending >= PIECE:
                pending = 0
                yield
        return [_restored(layer, loaded) for layer in head.layers]
    except (RuntimeError, ValueError, LookupError, TypeError, AttributeError, ImportError) as error:
        raise BrokenKv(f"its layers cannot be restored ({type(error).__name__}: {error})") from error


def _check(path: Path) -> Generator[None, None, None]:
    checksum = 0
    with path.open("rb", buffering=0) as file:
        left = os.fstat(file.fileno()).st_size - _CHECKSUM_BYTES
        while left > 0 and (piece := file.read(min(PIECE, left))):
            checksum = zlib.crc32(piece, checksum)
            left -= len(piece)
            yield
        if left or int.from_bytes(file.read(_CHECKSUM_BYTES), "little") != checksum:
            raise BrokenKv("its checksum is wrong")


def _told(layer: Any, arrays: list[mx.array]) -> list[Any]:
    """A layer as JSON: [module, class, state, meta state]; its arrays go to the end of `arrays`."""
    kind = type(layer)
    if kind.__module__ not in CLASSES or not hasattr(kind, "from_state"):
        raise UnknownLayer(f"{kind.__module__}.{kind.__name__}")
    meta = getattr(layer, "meta_state", None)
    return [kind.__module__, kind.__name__, _plain(layer.state, arrays), _plain(meta, arrays)]


def _plain(value: Any, arrays: list[mx.array]) -> Any:
    """`value` as JSON has it: an array becomes {"array": its number}, a dictionary {"items": ...}."""
    if isinstance(value, mx.array):
        arrays.append(value)
        return {"array": len(arrays) - 2}  # the first is the key
    if isinstance(value, list | tuple):
        return [_plain(item, arrays) for item in value]
    if isinstance(value, dict):
        return {"items": {str(name): _plain(item, arrays) for name, item in value.items()}}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UnknownLayer(f"a state of type {type(value).__name__}")


def _restored(layer: list[Any], loaded: dict[str, mx.array]) -> Any:
    module, name, *states = layer
    if module not in CLASSES:
        raise LookupError(f"a class of {module}")
    kind = getattr(importlib.import_module(module), name)
    state, meta = (_filled(part, loaded) for part in states)
    return kind.from_state(state) if meta is None else kind.from_state(state, meta)


def _filled(value: Any, loaded: dict[str, mx.array]) -> Any:
    if isinstance(value, dict) and "items" in value:
        return {name: _filled(item, loaded) for name, item in value["items"].items()}
    if isinstance(value, dict):
        return loaded[str(value["array"])]
    return [_filled(item, loaded) for item in value] if isinstance(value, list) else value


def _type(array: mx.array) -> str:
    if array.dtype not in _TYPES:
        raise UnknownLayer(f"an array of {array.dtype}")
    return _TYPES[array.dtype]


def _bytes(array: mx.array) -> Any:
    """An array's bytes, row by row, without a copy where it is contiguous."""
    if array.size == 0:
        return b""
    flat = mx.contiguous(array).reshape(-1).view(mx.uint8)
    mx.eval(flat)
    return flat
