"""Whole words: what counts as one, and where it is said to stand."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.golden.words import find_words


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("A red square.", "red"),
        ("RED", "red"),
        ("**red**, _red_ or red-hot", "red"),
        ("It says: Hello\nMLX", "hello mlx"),
        ("Le CAFÉ", "café"),
        ("Le cafe\u0301", "café"),
        ("c’est l’eau", "c'est"),
        ("l'eau", "eau"),
        ("Straße", "STRASSE"),
        ("in C++ or C", "c++"),
        ("the answer is 4.", "4"),
        ("4, 5 and 6", "4"),
        ("在东京的天气", "东京"),
        ("ΟΔΟΣ", "οδος"),
        ("route-4", "4"),
        ("**4** apples", "4"),
        ("x**2 is **4**", "4"),
        ("2+2=4", "4"),
        ("(4)", "4"),
        ("a list:\n- 4\n- 5", "4"),
        ("it costs $4, or 4%", "4"),
        ("-4 degrees", "-4"),
        ("3/4 of it", "3/4"),
        ("at 4:30", "4:30"),
        ("about 1,000.", "1,000"),
        ("서울은 수도입니다", "서울"),
        ("수도는 서울입니다", "서울"),
        (unicodedata.normalize("NFD", "수도는 서울입니다"), "서울"),
        ("Paris'te", "paris"),
        (r"\boxed{4}", "4"),
        ("$4$", "4"),
        ("Answer: 4", "4"),
        ("the answer is 4, I think", "4"),
        ("= 4", "4"),
        ("_4_", "4"),
        ("4 apples", "4"),
        ("in 2024, 300 people", "300"),
        ("1. 4\n2. 5", "4"),
    ],
)
def test_finds_whole_words(text: str, phrase: str) -> None:
    assert find_words(text, phrase)


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("a blue-colored circle", "red"),
        ("The cat sat", "chat"),
        ("cafe\u0301", "cafe"),
        ("café", "cafe"),
        ("3.4 or 40", "4"),
        ("1,000", "1"),
        ("helloMLX", "hello"),
        ("-4", "4"),
        ("is \u22124", "4"),
        ("x = -4", "4"),
        ("x=-4", "4"),
        ("4/5", "4"),
        ("5/4", "4"),
        ("x^4", "4"),
        ("4^2", "4"),
        ("x**4", "4"),
        ("4**2", "4"),
        ("x⁴", "4"),
        ("4²", "4"),
        ("√4", "4"),
        ("4½", "4"),
        (".4", "4"),
        ("at 4:30", "4"),
        ("12:4", "4"),
        ("3-4 days", "4"),
        ("3–4 days", "3"),
        ("2024-04-04", "04"),
        ("4'000", "4"),
        ("4\u202f000", "4"),
        ("4_000", "4"),
        ("1e4", "4"),
        ("3-4", "-4"),
        ("1/4/5", "4/5"),
        ("설", "서"),
        (unicodedata.normalize("NFD", "설"), "서"),
        ("남서울", "서울"),
        ("x^{4}", "4"),
        (r"\frac{4}{5}", "4"),
        (r"\frac{5}{4}", "4"),
        ("x<sup>4</sup>", "4"),
        ("4 × 10^6", "4"),
        ("4×5", "4"),
        ("4⁻¹", "4"),
        ("x_4", "4"),
        ("4 / 5", "4"),
        ("5 / 4", "4"),
        ("4⁄5", "4"),
        ("4∕5", "4"),
        ("4 1/2", "4"),
        ("x = - 4", "4"),
        ("－4", "4"),
        ("﹣4", "4"),
        ("4 000 000", "4"),
        ("4 000", "000"),
        (r"4\,000", "4"),
        ("4{,}000", "4"),
        ("4·5", "4"),
        ("4٫5", "4"),
        ("4万", "4"),
        ("4—5", "4"),
        ("", "red"),
        ("red", "  "),
    ],
)
def test_finds_no_part_of_a_word(text: str, phrase: str) -> None:
    assert find_words(text, phrase) == []


def test_case_counts_without_folding() -> None:
    assert find_words("hello MLX", "Hello", fold=False) == []
    assert find_words("hello MLX", "MLX", fold=False) == [(6, 9)]


def test_says_where_each_word_stands_in_the_text_as_written() -> None:
    text = "Straße: a Red, then a red one"
    assert [text[start:end] for start, end in find_words(text, "red")] == ["Red", "red"]
    assert [text[start:end] for start, end in find_words(text, "strasse")] == ["Straße"]


letters = st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=12)


@given(before=letters, word=st.from_regex(r"[a-zé]{1,8}", fullmatch=True), after=letters)
def test_a_word_between_spaces_is_found_whatever_its_case_and_encoding(before: str, word: str, after: str) -> None:
    for written in (word, word.upper(), unicodedata.normalize("NFD", word)):
        text = f"{before} {written} {after}"
        place = (len(before) + 1, len(before) + 1 + len(written))
        assert place in find_words(text, word)


@given(st.text(max_size=40), st.text(min_size=1, max_size=4))
def test_places_are_inside_the_text_in_order_and_apart(text: str, phrase: str) -> None:
    last = 0
    for start, end in find_words(text, phrase):
        assert last <= start < end <= len(text)
        last = end


@given(st.from_regex(r"[a-z]{1,6}", fullmatch=True), st.from_regex(r"[a-z]{1,4}", fullmatch=True))
def test_no_part_of_a_single_word_is_found(word: str, glue: str) -> None:
    assert find_words(glue + word, word) == []
    assert find_words(word + glue, word) == []
