"""What may reach a terminal, and what may not."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text_safety import clean, escaped

BIDI = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}


def is_safe(character: str) -> bool:
    return character in "\n\t" or (unicodedata.category(character) not in ("Cc", "Cs") and ord(character) not in BIDI)


ANY_TEXT = st.text(st.characters(exclude_categories=()))
CONTROLS = st.text(st.sampled_from([chr(n) for n in (*range(0xA0), *sorted(BIDI), 0xD800, 0xDFFF, 0x41, 0x1F600)]))


@given(ANY_TEXT | CONTROLS)
def test_every_unsafe_character_goes_and_every_other_one_stays_in_order(text):
    assert clean(text) == "".join(character for character in text if is_safe(character))


@given(st.lists(ANY_TEXT | CONTROLS))
def test_cleaning_a_stream_piece_by_piece_is_cleaning_the_whole(pieces):
    assert "".join(map(clean, pieces)) == clean("".join(pieces))


@pytest.mark.parametrize(
    ("attack", "left"),
    [
        ("\x1b]52;c;cm0gLXJm\x07hello", "]52;c;cm0gLXJmhello"),
        ("\x1b[2Jhello", "[2Jhello"),
        ("\x9b2Jhello", "2Jhello"),
        ("\x1bPq#0\x1b\\", "Pq#0\\"),
        ("user\u202enimda", "usernimda"),
        ("a\r\nb\rc\bd", "a\nbcd"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("Grüße, 世界, שלום, 👩‍👩‍👧", "Grüße, 世界, שלום, 👩‍👩‍👧"),
    ],
)
def test_known_attacks_lose_their_teeth_and_ordinary_text_is_untouched(attack, left):
    assert clean(attack) == left


def test_ordinary_text_costs_next_to_nothing():
    text = "An ordinary sentence of a model's answer, which is most of them.\n" * 1000
    start = time.perf_counter()
    for _ in range(20):
        assert clean(text) == text
    assert (time.perf_counter() - start) / 20 < 0.02, "65 kB must not take 20 ms"


@given(ANY_TEXT | CONTROLS)
def test_what_is_spelled_for_a_log_is_safe_and_on_one_line(text):
    spelled = escaped(text, newlines=True)
    assert clean(spelled) == spelled
    assert "\n" not in spelled


def test_for_a_log_control_characters_are_spelled():
    assert escaped("\x1b[2J\x9b\u202e\ud800\r\na\tb") == r"\x1b[2J\x9b\u202e\ud800\r" + "\na\tb"
