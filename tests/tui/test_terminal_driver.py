"""What comes from a terminal as bytes: text, answers to our questions, and what is neither."""

from __future__ import annotations

import pytest

from tui.graphics import Graphics
from tui.terminal_driver import TerminalText

ANSWERS = b"\x1b[6;16;8t\x1b_Gi=31;OK\x1b\\\x1b[?62;4;22c"


def read(*pieces: bytes, waiting: bool = True) -> tuple[str, Graphics, bytes]:
    graphics = Graphics()
    text = TerminalText(graphics.take, lambda: waiting)
    come = "".join(map(text.feed, pieces)) + text.feed(b"", quiet=True)
    return come, graphics, bytes(text.dropped)


def test_text_passes_whole_however_it_is_cut() -> None:
    data = "naïve 漢字 👍🏽".encode()
    assert read(*(data[at : at + 1] for at in range(len(data))))[0] == "naïve 漢字 👍🏽"


@pytest.mark.parametrize(
    ("data", "text", "dropped"),
    [
        (b"caf\xe9", "caf", b"\xe9"),
        (b"caf\xe9 au lait", "caf au lait", b"\xe9"),
        (b"\xff\xfe\x80a", "a", b"\xff\xfe\x80"),
        (b"a\xed\xa0\x80b", "ab", b"\xed\xa0\x80"),
        (b"\xe6\xbc", "", b"\xe6\xbc"),
    ],
)
def test_what_is_no_utf_8_is_dropped_and_remembered(data: bytes, text: str, dropped: bytes) -> None:
    for pieces in ([data], [data[at : at + 1] for at in range(len(data))]):
        come, _, gone = read(*pieces)
        assert (come, gone) == (text, dropped)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_answers_are_taken_out_between_keys(size: int) -> None:
    data = b"a" + ANSWERS + b"b\x1b[A"
    come, graphics, _ = read(*(data[at : at + size] for at in range(0, len(data), size)))
    assert come == "ab\x1b[A"
    assert graphics.sixel
    assert graphics.kitty
    assert graphics.answered
    assert graphics._cell == (8, 16)


def test_late_answers_are_no_keys_and_escape_does_not_wait_for_any() -> None:
    graphics = Graphics()
    text = TerminalText(graphics.take, lambda: False)
    assert text.feed(b"x\x1b[?1;2cy") == "xy"
    assert text.feed(b"\x1b") == "\x1b"


def test_another_size_told_in_band_is_for_textual() -> None:
    assert read(b"\x1b[48;40;120;640;960t")[0] == "\x1b[48;40;120;640;960t"


def test_an_answer_that_never_ends_is_text_again() -> None:
    assert read(b"\x1b[?62;")[0] == "\x1b[?62;"
