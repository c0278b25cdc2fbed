"""Bodies counted before they are parsed, and answers written piece by piece."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidRequest
from server import reading
from server.body import to_json, to_json_by_pieces
from server.reading import read_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)


def counted(value: Any) -> tuple[int, int]:
    """How many values begin with a comma or a bracket, and how deep they lie."""
    if not isinstance(value, list | dict):
        return 0, 0
    inside = [counted(item) for item in (value.values() if isinstance(value, dict) else value)]
    commas = max(len(value) - 1, 0)
    return 1 + commas + sum(values for values, _ in inside), 1 + max((depth for _, depth in inside), default=0)


@settings(deadline=None)
@given(VALUES, st.integers(1, 40), st.booleans())
def test_values_and_depth_are_counted_wherever_a_body_is_cut(value: Any, piece: int, ascii_alone: bool) -> None:
    data = json.dumps(value, ensure_ascii=ascii_alone).encode("utf-8", "replace")
    values, depth = counted(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_PIECE", piece)
        patch.setattr(reading, "MAX_VALUES", values + 1)
        patch.setattr(reading, "MAX_DEPTH", depth)
        assert read_json([data]) == json.loads(data.decode().encode("utf-8", "replace"))
        patch.setattr(reading, "MAX_VALUES", values)
        with pytest.raises(InvalidRequest, match="more than"):
            read_json([data])
        if depth:
            patch.setattr(reading, "MAX_VALUES", values + 1)
            patch.setattr(reading, "MAX_DEPTH", depth - 1)
            with pytest.raises(InvalidRequest, match="nested too deeply"):
                read_json([data])


@settings(deadline=None)
@given(VALUES)
def test_an_answer_is_the_same_whether_it_is_written_at_once_or_in_pieces(value: Any) -> None:
    assert to_json_by_pieces(value) == to_json(value)


def test_brackets_and_commas_in_texts_do_not_count() -> None:
    text = '[{,"\\' * 100_000
    assert read_json([json.dumps([text, text]).encode()]) == [text, text]


def test_the_bytes_are_given_up() -> None:
    pieces = [b'{"a"', b": 1}"]
    assert read_json(pieces) == {"a": 1}
    assert pieces == []


def test_whole_numbers_are_read_up_to_what_a_float_can_hold() -> None:
    assert float(read_json([b"9" * reading.MAX_DIGITS])) > 0
    assert read_json([b"-" + b"9" * reading.MAX_DIGITS]) < 0
    with pytest.raises(InvalidRequest, match="301 digits"):
        read_json([b"9" * (reading.MAX_DIGITS + 1)])
