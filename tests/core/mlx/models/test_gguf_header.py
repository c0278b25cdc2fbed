"""What a GGUF file's header says of its tensors, and which files are refused for it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from core.errors import InvalidRequest
from core.mlx.models.gguf_header import check_types, tensor_types


def header(types: Sequence[int], fields: bytes = b"", count: int = 0, version: int = 3) -> bytes:
    """A file with a tensor of each type, four numbers in each, and no data."""
    tensors = b"".join(
        string(f"blk.{place}.ffn_up.weight") + struct.pack("<IQIQ", 1, 4, kind, 0) for place, kind in enumerate(types)
    )
    return b"GGUF" + struct.pack("<IQQ", version, len(types), count) + fields + tensors


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "odd.gguf"


def test_types_are_those_that_mlx_has_written(file: Path) -> None:
    fields: dict[str, Any] = {"list": ["a", "", "日本"], "numbers": mx.array([1, 2, 3], mx.uint16), "text": "word"}
    mx.save_gguf(str(file), {"one": mx.zeros((4, 32)), "two": mx.zeros((3,), mx.float16)}, fields)
    assert tensor_types(file) == {"one": 0, "two": 1}
    check_types(file)


def test_every_kind_of_value_is_stepped_over(file: Path) -> None:
    widths = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    values = [struct.pack("<I", kind) + b"\1" * width for kind, width in widths.items()]
    values += [struct.pack("<I", 8) + string("text")]
    values += [struct.pack("<IIQ", 9, kind, 3) + b"\1" * (3 * width) for kind, width in widths.items()]
    values += [struct.pack("<IIQ", 9, 8, 2) + string("a") + string("")]
    values += [struct.pack("<IIQ", 9, 9, 2) + 2 * (struct.pack("<IQ", 4, 1) + b"\1" * 4)]
    fields = b"".join(string(f"field {place}") + value for place, value in enumerate(values))
    file.write_bytes(header([0, 8], fields, len(values)))
    assert tensor_types(file) == {"blk.0.ffn_up.weight": 0, "blk.1.ffn_up.weight": 8}


def test_the_types_that_mlx_reads_are_taken(file: Path) -> None:
    file.write_bytes(header([0, 1, 2, 3, 8]))
    check_types(file)


@pytest.mark.parametrize(
    ("types", "held"),
    [
        ([0, 12, 12, 14], "2 tensors of Q4_K and 1 tensor of Q6_K"),
        ([30], "1 tensor of BF16"),
        ([10, 10, 10, 6, 6, 999], "3 tensors of Q2_K, 2 tensors of Q5_0 and 1 tensor of type 999"),
        ([31], "1 tensor of type 31"),
        ([39], "1 tensor of MXFP4"),
    ],
)
def test_what_mlx_would_read_wrongly_is_refused_with_counts(file: Path, types: list[int], held: str) -> None:
    file.write_bytes(header(types))
    with pytest.raises(InvalidRequest, match=f"^odd.gguf holds {held}, which MLX .*: get the model's Q8_0 or F16 file"):
        check_types(file)


@pytest.mark.parametrize(
    "data",
    [
        b"GGUF",
        header([0])[:-1],
        header([0, 0])[:40],
        header([], string("field")[:-1], 1),
        header([], string("field") + struct.pack("<I", 77), 1),
        header([], string("field") + struct.pack("<IQ", 8, 2**64 - 1), 1),
        header([], string("field") + struct.pack("<IIQ", 9, 4, 2**64 - 1), 1),
        header([], string("field") + struct.pack("<IIQ", 9, 8, 2**64 - 1), 1),
        header([], string("field") + struct.pack("<I", 9) + 20_000 * struct.pack("<IQ", 9, 1), 1),
    ],
)
def test_a_header_that_is_cut_or_damaged_is_told(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    with pytest.raises(InvalidRequest, match=r"ends inside its header \([\d,]+ bytes\), or is damaged there"):
        tensor_types(file)


def test_other_versions_are_told(file: Path) -> None:
    file.write_bytes(header([0], version=1))
    with pytest.raises(InvalidRequest, match="is GGUF of version 1; versions 2 and 3 are read"):
        tensor_types(file)
