"""What comes from a terminal as bytes: text, answers to our questions, and what is neither."""

from __future__ import annotations

from collections import Counter

import pytest
from textual import events

from tui.graphics import Graphics
from tui.terminal_driver import PASTE_QUIETS, TerminalText

ANSWERS = b"\x1b[6;16;8t\x1b_Gi=31;OK\x1b\\\x1b[?62;4;22c"


def read(*pieces: bytes, waiting: bool = True) -> tuple[str, Graphics, bytes]:
    graphics = Graphics()
    text = TerminalText(graphics.take, lambda: waiting)
    return fed(text, *pieces), graphics, bytes(text.dropped)


def fed(text: TerminalText, *pieces: bytes, quiets: int = 1) -> str:
    """What has come of the pieces and of silence after them: keys as text, pastes in angle brackets."""
    come = [event for piece in pieces for event in text.feed(piece)]
    come += [event for _ in range(quiets) for event in text.feed(b"", quiet=True)]
    return "".join(
        event if isinstance(event, str) else f"<{event.text}>" if isinstance(event, events.Paste) else f"({event.key})"
        for event in come
        if not isinstance(event, events.Key) or not event.is_printable  # a letter would be written
    )


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
    assert text.feed(b"x\x1b[?1;2cy") == ["xy"]
    assert fed(text, b"\x1b") == "(escape)"


def test_another_size_told_in_band_is_for_textual() -> None:
    assert read(b"\x1b[48;40;120;640;960t")[0] == "\x1b[48;40;120;640;960t"


def test_an_answer_that_never_ends_is_text_again() -> None:
    assert read(b"\x1b[?62;")[0] == "\x1b[?62;"


@pytest.mark.parametrize(
    ("data", "come"),
    [
        (b"\x1bd", "(alt+d)"),
        (b"\x1bd\x1bd\x1bXa", "(alt+d)(alt+d)\x1bXa"),
        (b"a\x1bDb\x1b7", "a(alt+shift+d)b(alt+7)"),
        (b"\x1b\x1bd", "(escape)(alt+d)"),
        (b"\x1bOA\x1b[1;3C", "\x1bOA\x1b[1;3C"),
        (b"\xe2\x88\x82", "∂"),
        (b"\x1bd\x1b[200~\x1bd\x1b[201~", "(alt+d)<d>"),
    ],
)
def test_a_letter_with_alt_held_writes_nothing(data: bytes, come: str) -> None:
    assert read(data)[0] == come


@pytest.mark.parametrize("keys", [(b"\x1b", b"d"), (b"a\x1b", b"hello")])
def test_escape_and_a_letter_after_it_are_two_keys(keys: tuple[bytes, bytes]) -> None:
    before, after = keys
    assert read(before, after)[0] == f"{before[:-1].decode()}(escape){after.decode()}"


PASTED = (
    b"a\x1b[200~AAA BBB\rCCC \x1b[1;32mgreen\x1b[0m\r\n\x1b]8;;http://x\x1b\\link\x07 \xe2\x80\xae\n\x1b[201~b\x1b[A"
)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 1000])
def test_a_paste_is_one_however_it_is_cut_and_whatever_it_holds(size: int) -> None:
    text = TerminalText(Graphics().take, lambda: False)
    come = fed(text, *(PASTED[at : at + size] for at in range(0, len(PASTED), size)))
    assert come == "a<AAA BBB\nCCC green\nlink \n>b\x1b[A"
    assert text.sequences == 3
    assert text.characters == Counter("\x07\u202e")


@pytest.mark.parametrize("at", range(1, 6))
def test_a_paste_whose_beginning_comes_in_two_parts_is_none_the_less_one(at: int) -> None:
    text = TerminalText(Graphics().take, lambda: False)
    before = fed(text, PASTED[1 : 1 + at])
    assert before == {1: "(escape)", 2: "\x1b["}.get(at, "")
    assert fed(text, PASTED[1 + at :]).startswith("<AAA BBB\nCCC green\nlink \n>b")


def test_a_paste_that_never_ends_ends_by_itself() -> None:
    text = TerminalText(Graphics().take, lambda: False)
    assert fed(text, b"\x1b[200~one\rtwo\x1b[20", quiets=PASTE_QUIETS - 1) == ""
    assert fed(text) == "<one\ntwo>"
    assert fed(text, b"three\r") == "three\r"


def test_answers_in_a_paste_are_text() -> None:
    come, graphics, _ = read(b"\x1b[200~x\x1b[?62;4cy\x1b[201~")
    assert come == "<xy>"
    assert not graphics.sixel
