"""Two texts word by word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.golden.baselines import word_diff as module
from core.golden.baselines.word_diff import Kind, Piece, word_diff

TEXTS = st.text(alphabet="ab .\n,é色紅", max_size=40)


def marked(before: str, after: str) -> str:
    marks = {Kind.SAME: "{}", Kind.OLD: "[-{}-]", Kind.NEW: "{{+{}+}}"}
    return "".join(marks[piece.kind].format(piece.text) for piece in word_diff(before, after))


def test_words_that_went_stand_before_those_that_came() -> None:
    assert marked("A red square.", "A blue circle.") == "A [-red square-]{+blue circle+}."
    assert marked("It is red.", "It is dark red.") == "It is {+dark +}red."
    assert marked("one two", "one") == "one[- two-]"
    assert marked("", "red") == "{+red+}"
    assert marked("これは赤です", "これは青です") == "これは[-赤-]{+青+}です"
    assert word_diff("same", "same") == [Piece(Kind.SAME, "same")]


def test_line_endings_do_not_count() -> None:
    assert word_diff("a\r\nb", "a\nb") == [Piece(Kind.SAME, "a\nb")]


@given(TEXTS, TEXTS)
def test_nothing_is_lost(before: str, after: str) -> None:
    pieces = word_diff(before, after)
    assert "".join(piece.text for piece in pieces if piece.kind is not Kind.NEW) == before
    assert "".join(piece.text for piece in pieces if piece.kind is not Kind.OLD) == after
    assert all(piece.text for piece in pieces)


def test_long_texts_are_compared_by_the_line() -> None:
    lines = "".join(f"{number} b\n" for number in range(600))
    assert len(module._WORDS.findall(lines)) ** 2 > module.MOST_PAIRS
    assert marked(lines + "an end", lines + "an eve") == lines + "[-an end-]{+an eve+}"
