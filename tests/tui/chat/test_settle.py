"""A streaming answer is cut where whole blocks end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.chat.settle import settled_length


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("still open", ""),
        ("one\n\ntwo", "one\n\n"),
        ("one\n\n", ""),
        ("```py\na\n\nb\n", ""),
        ("```py\na\n\nb\n```\n\nafter", "```py\na\n\nb\n```\n\n"),
        ("````\n```\n\nx\n````\n\nafter", "````\n```\n\nx\n````\n\n"),
        ("- a\n\n  still the item\n\nafter", "- a\n\n  still the item\n\n"),
    ],
)
def test_only_whole_blocks_settle(text: str, settled: str) -> None:
    assert text[: settled_length(text)] == settled


@given(st.lists(st.sampled_from(["word ", "\n", "\n\n", "```\n", "- item\n", "  ", "`", "# h\n"]), max_size=40))
def test_token_by_token_never_takes_back_what_has_settled(pieces: list[str]) -> None:
    text, cut = "", 0
    for piece in pieces:
        text += piece
        following = settled_length(text, cut)
        assert cut <= following <= len(text)
        cut = following
    assert text[:cut] == "" or text[:cut].endswith("\n")
