"""How the tensors of a GGUF file are packed, by its header alone.

MLX's own reader does not tell: it unpacks some types wrongly (Q4_K), rounds others (Q6_K) and leaves out those that it
does not know. The readers that packages bring need PyTorch, or seconds and a gigabyte for a large vocabulary.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections import Counter
from pathlib import Path

from core.errors import InvalidRequest
from core.regular_files import open_regular

TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    6: "Q5_0",
    7: "Q5_1",
    8: "Q8_0",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    20: "IQ4_NL",
    21: "IQ3_S",
    22: "IQ2_S",
    23: "IQ4_XS",
    29: "IQ1_M",
    30: "BF16",
    34: "TQ1_0",
    35: "TQ2_0",
    39: "MXFP4",
    40: "NVFP4",
}
"""The names of ggml's types, of which GGUF files hold the numbers."""

READ = ("Q4_0", "Q4_1", "Q8_0", "F16", "F32")
"""Those whose numbers MLX keeps as they are."""

MAX_HEADER_BYTES = 64 * 1024 * 1024
MAX_FIELDS, MAX_TENSORS = 65_536, 262_144
"""The largest vocabularies take 20 MB, in some fifty fields; more than this would be walked through for minutes."""
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of the metadata's values by their type, strings and arrays apart."""


def check_types(file: Path) -> None:
    """Refuse a file with a tensor that MLX does not read as it is meant. Raises InvalidRequest, and OSError."""
    types = Counter(TYPES.get(kind, f"type {kind}") for kind in tensor_types(file).values())
    refused = [(name, count) for name, count in types.most_common() if name not in READ]
    if not refused:
        return
    first, *rest = [f"{count} tensor{'s' * (count != 1)} of {name}" for name, count in refused]
    held = " and ".join((", ".join([first, *rest[:-1]]), *rest[-1:]))
    raise InvalidRequest(
        f"{file.name} holds {held}, which MLX does not read as they are meant. It reads {', '.join(READ[:-1])} and "
        f"{READ[-1]}: get the model's Q8_0 or F16 file (most Q4_0 files hold some Q6_K), or an MLX conversion of it."
    )


def tensor_types(file: Path) -> dict[str, int]:
    """ggml's number of each tensor's type, by the tensor's name.

    Raises InvalidRequest when the header is cut or in a version that is not read, and OSError.
    """
    with open_regular(file) as opened:
        size = os.fstat(opened.fileno()).st_size
        data = mmap.mmap(opened.fileno(), min(size, MAX_HEADER_BYTES), access=mmap.ACCESS_READ)
    with data:
        try:
            return _walked(data, file.name)
        except (struct.error, OverflowError, RecursionError, KeyError) as error:
            raise InvalidRequest(
                f"{file.name} ends inside its header ({size:,} bytes), or is damaged there. Download it again."
                if size <= MAX_HEADER_BYTES
                else f"{file.name} has no end of its header in the first {MAX_HEADER_BYTES:,} of its {size:,} bytes, "
                "which is as far as is looked. It is damaged: get another file."
            ) from error


def _walked(data: mmap.mmap, name: str) -> dict[str, int]:
    version, tensors, fields = struct.unpack_from("<IQQ", data, 4)
    if version not in _VERSIONS:
        raise InvalidRequest(f"{name} is GGUF of version {version}; versions 2 and 3 are read. Get a newer file.")
    if fields > MAX_FIELDS or tensors > MAX_TENSORS:
        raise InvalidRequest(
            f"{name} says that it has {fields:,} fields and {tensors:,} tensors; {MAX_FIELDS:,} and {MAX_TENSORS:,} "
            "are read. It is damaged: get another file."
        )
    place = 4 + struct.calcsize("<IQQ")
    for _ in range(fields):
        place = _after_string(data, place)
        (kind,) = struct.unpack_from("<I", data, place)
        place = _after(data, place + 4, kind)
    found: dict[str, int] = {}
    for _ in range(tensors):
        start, place = place + 8, _after_string(data, place)
        tensor = data[start:place].decode("utf-8", "replace")
        (rank,) = struct.unpack_from("<I", data, place)
        place += 4 + 8 * int(rank)
        found[tensor], _ = struct.unpack_from("<IQ", data, place)
        place += struct.calcsize("<IQ")
    if place > len(data):
        raise struct.error("a value goes on behind the end")
    return found


def _after_string(data: mmap.mmap, place: int) -> int:
    (length,) = struct.unpack_from("<Q", data, place)
    return place + 8 + int(length)


def _after(data: mmap.mmap, place: int, kind: int) -> int:
    """Where a value of the metadata ends that begins at `place`. Raises KeyError for a kind that no version knows."""
    if kind == _STRING:
        return _after_string(data, place)
    if kind != _ARRAY:
        return place + _WIDTHS[kind]
    inner, count = struct.unpack_from("<IQ", data, place)
    place += struct.calcsize("<IQ")
    if inner in _WIDTHS:
        return place + int(count) * _WIDTHS[inner]
    for _ in range(count):
        place = _after(data, place, inner)
    return place
