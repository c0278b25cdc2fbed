"""The headers of safetensors files: names, types and shapes of tensors, without a byte of their data.

Format: https://github.com/huggingface/safetensors#format: eight bytes with the header's length (little-endian), then
JSON, then the data; each tensor's `data_offsets` count from the end of the header.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from core.regular_files import open_regular

MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors library itself
REMEMBERED_BYTES = 1_000_000


class Tensor(NamedTuple):
    """One entry of a header. `nbytes` is its size in the file."""

    dtype: str
    shape: tuple[int, ...]
    nbytes: int

    @property
    def size(self) -> int:
        """How many elements it has as stored (packed, if it is quantised)."""
        return math.prod(self.shape)


@lru_cache(maxsize=16)
def _parsed(header: bytes) -> tuple[Mapping[str, Tensor], int]:
    """The tensors of a header, and the bytes of all their data. Remembered: finetunes of a model have its header."""
    entries = json.loads(header)
    entries.pop("__metadata__", None)
    tensors = {
        name: Tensor(entry["dtype"], tuple(entry["shape"]), entry["data_offsets"][1] - entry["data_offsets"][0])
        for name, entry in entries.items()
    }
    return tensors, max((entry["data_offsets"][1] for entry in entries.values()), default=0)


DOWNLOAD_AGAIN = "download the model again"
"""What helps where files on the disk are not what they should be."""


class BrokenWeights(Exception):
    """A weights file that no library could load; `str()` is a clause that names the file."""


def read_header(file: Path) -> Mapping[str, Tensor]:
    """The tensors of a safetensors file. Raises BrokenWeights when it is truncated or no safetensors file at all."""
    try:
        with open_regular(file) as handle:
            size = os.fstat(handle.fileno()).st_size
            prefix = handle.read(8)
            if prefix == b"version ":
                raise BrokenWeights(f"{file.name} is a Git LFS pointer, not the weights: run `git lfs pull` there")
            length = int.from_bytes(prefix, "little")
            if len(prefix) < 8 or 8 + length > size:
                raise BrokenWeights(f"incomplete: {file.name} ends inside its header ({size:,} bytes)")
            if length > MAX_HEADER_BYTES:
                raise BrokenWeights(f"{file.name} is no safetensors file")
            header = handle.read(length)
    except OSError as error:
        raise BrokenWeights(f"{file.name} cannot be read: {error.strerror or error}") from error
    try:
        parse = _parsed if length <= REMEMBERED_BYTES else _parsed.__wrapped__
        tensors, data_bytes = parse(header)
    except (ValueError, RecursionError) as error:
        raise BrokenWeights(f"{file.name} is no safetensors file") from error
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        raise BrokenWeights(f"{file.name} has a broken header") from error
    end = 8 + length + data_bytes
    if size < end:
        raise BrokenWeights(f"incomplete: {file.name} has {size:,} of {end:,} bytes")
    if size > end:
        raise BrokenWeights(f"{file.name} has {size - end:,} bytes too many: it is corrupt")
    return tensors
