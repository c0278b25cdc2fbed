"""From the command to a workbench that takes keys: what terminals answer, what is typed meanwhile, what fails."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from core.chats.history import History
from tests.pseudo_terminal import ANSWERS, PseudoTerminal

ASSAY = "import sys; sys.argv = ['assay']; from tui.cli.main import main; main()"
SLOW_ASSAY = f"import time, tui.services; tui.services.open_services = lambda settings: time.sleep(60); {ASSAY}"
"""Its engine takes its time."""
NO_PANES = (
    "import time, tui.typed_last, tui.frame; tui.typed_last.TYPED_WITHIN_S = 1.0; read = tui.frame.Frame._read_panes; "
    f"tui.frame.Frame._read_panes = lambda app: time.sleep(20) or read(app); {ASSAY}"
)
"""It has panes only when it is much too late."""
CHAT_ONLY = (
    "import asyncio, tui.typed_last, tui.frame; tui.typed_last.TYPED_WITHIN_S = 1.0\n"
    "mount = tui.frame.Frame._mount_pane\n"
    "async def late(app, face, pane):\n"
    "    await asyncio.sleep(0 if face == 'chat' else 20)\n"
    "    await mount(app, face, pane)\n"
    f"tui.frame.Frame._mount_pane = late; {ASSAY}"
)
"""Its other panes come much too late, and keys that are no text wait for them."""
ALT_SCREEN, ALT_SCREEN_LEFT = b"\x1b[?1049h", b"\x1b[?1049l"
CTRL_Q = b"\x11"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "ASSAY_CONFIG": str(tmp_path / "settings.toml"),
        "ASSAY_DATA_DIR": str(tmp_path / "data"),
        "ASSAY_HF_CACHE": str(tmp_path / "cache"),
        "ASSAY_HALF_CELLS": "",
        "TERM": "xterm-256color",
    }


def left(terminal: PseudoTerminal) -> int:
    terminal.write(CTRL_Q)
    code = terminal.exit_code()
    assert b"Traceback" not in terminal.seen
    return code


@pytest.mark.parametrize(
    "answers",
    [{}, ANSWERS, {**ANSWERS, b"\x1b[16t": b"\x1b[6;0;0t", b"\x1b[c": b"\x1b[?62;4c"}, {b"\x1b[16t": b"\x1b[t"}],
    ids=["silent", "usual", "odd", "broken"],
)
def test_a_terminal_may_answer_what_it_likes(environment: dict[str, str], answers: dict[bytes, bytes]) -> None:
    with PseudoTerminal(SLOW_ASSAY, environment, answers) as terminal:
        terminal.wait_for(b"Ask something.")
        terminal.write(b"typed")
        terminal.wait_for(lambda seen: b"typed" in seen)
        shown = terminal.seen.rpartition(b"Ask something.")[2]
        assert b"[t" not in shown
        assert b"?62" not in shown
        assert left(terminal) == 0


def test_what_is_typed_during_the_start_arrives_whole(environment: dict[str, str]) -> None:
    with PseudoTerminal(SLOW_ASSAY, environment) as terminal:
        for letter in b"hello, here I am":
            terminal.write(bytes([letter]))
        terminal.wait_for(lambda seen: b"hello, here I am" in seen.partition(ALT_SCREEN)[2])  # not the line's echo
        assert left(terminal) == 0


def test_settings_that_are_wrong_end_in_a_sentence_after_the_screen(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "settings.toml").write_text("port = 'many'\n")
    with PseudoTerminal(ASSAY, environment) as terminal:
        assert terminal.exit_code() == 2
    after = terminal.seen.rpartition(ALT_SCREEN_LEFT)[2]
    assert b"assay: The setting port cannot be 'many'" in after
    assert b"settings.toml, line 1" in after
    assert b"Traceback" not in terminal.seen
    assert not (tmp_path / "data").exists()


def test_a_data_folder_that_cannot_be_made_ends_in_a_sentence(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file is in the way")
    with PseudoTerminal(ASSAY, environment) as terminal:
        assert terminal.exit_code() == 4
    assert b"ASSAY_DATA_DIR names another folder" in terminal.seen.rpartition(ALT_SCREEN_LEFT)[2]


def test_bytes_that_are_no_utf_8_are_dropped_and_reported(environment: dict[str, str]) -> None:
    with PseudoTerminal(SLOW_ASSAY, environment) as terminal:
        terminal.wait_for(b"Ask something.")
        terminal.write(b"caf\xe9")
        terminal.wait_for(b"0xE9")
        terminal.write(b"\x1b[200~Latin \xfc and\xdf more\x1b[201~")
        terminal.wait_for(b"0xFC 0xDF")
        terminal.write(b" still here")
        terminal.wait_for(b"still")
        assert left(terminal) == 0


@pytest.mark.parametrize("keys", [b"hello\r", b"\x1bOQq", b"\x1bOSR", b"\x1bOSR\x1bORhello\r"])
def test_leaving_at_once_after_a_key_is_in_order(environment: dict[str, str], tmp_path: Path, keys: bytes) -> None:
    with PseudoTerminal(ASSAY, environment) as terminal:
        terminal.wait_for(b"API ")  # the engine is up
        terminal.wait_for(b"Ask something.")
        terminal.write(keys + CTRL_Q)
        assert terminal.exit_code() == 0
    assert b"Traceback" not in terminal.seen
    assert "Traceback" not in (tmp_path / "data" / "assay.log").read_text()
    if keys.endswith(b"hello\r"):
        with History(tmp_path / "data" / "history.sqlite3") as history:
            assert [chat.title for chat in history.chats()] == ["hello"]


def test_leaving_while_the_engine_starts_waits_for_nothing(environment: dict[str, str]) -> None:
    with PseudoTerminal(ASSAY, environment) as terminal:
        terminal.wait_for(b"Ask something.")
        began = time.monotonic()
        assert left(terminal) == 0
        assert time.monotonic() - began < 2, "MLX alone takes as long to import"


def drafts(tmp_path: Path) -> list[str]:
    """What is kept for the next new chat."""
    with History(tmp_path / "data" / "history.sqlite3") as history:
        return [draft.text for draft in history.drafts(None)]


def test_a_paste_with_escape_sequences_is_one_and_sends_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    with PseudoTerminal(ASSAY, environment) as terminal:
        terminal.wait_for(b"API ")
        terminal.wait_for(b"Ask something.")
        terminal.write(b"\x1b[200~AAA BBB\rCCC \x1b[1;32mgreen\x1b[0m DDD\rEEE\rFFF\x1b[201~")
        terminal.wait_for(b"2 escape sequences")
        assert left(terminal) == 0
    assert drafts(tmp_path) == ["AAA BBB\nCCC green DDD\nEEE\nFFF"]


def test_characters_that_writing_needs_are_typed_and_others_are_reported(
    environment: dict[str, str], tmp_path: Path
) -> None:
    written = "می\u200cخواهم 👨\u200d👩 \u3000\u00a0\u00ad\u200bx"
    with PseudoTerminal(ASSAY, environment) as terminal:
        terminal.wait_for(b"API ")
        terminal.wait_for(b"Ask something.")
        terminal.write(f"\u202e{written}\u202e\u009b".encode())
        terminal.wait_for(b"U+009B, U+202E")
        assert left(terminal) == 0
    assert drafts(tmp_path) == [written]


@pytest.mark.parametrize("number", [None, signal.SIGHUP, signal.SIGTERM])
def test_a_terminal_that_is_gone_ends_the_workbench_in_order(
    environment: dict[str, str], tmp_path: Path, number: signal.Signals | None
) -> None:
    with PseudoTerminal(ASSAY, environment) as terminal:
        terminal.wait_for(b"API ")
        terminal.wait_for(b"Ask something.")
        terminal.write(b"kept")
        terminal.wait_for(b"kept")
        if number is not None:
            os.kill(terminal.pid, number)
        assert terminal.hang_up() == 0
    assert drafts(tmp_path) == ["kept"]
    log = (tmp_path / "data" / "assay.log").read_text()
    assert "Traceback" not in log


def test_a_terminal_that_goes_while_an_answer_streams_leaves_the_chat(
    environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "data" / "history.sqlite3"

    def titles() -> list[str]:
        if not file.exists():
            return []
        with History(file) as history:
            return [chat.title for chat in history.chats()]

    with PseudoTerminal(ASSAY, environment) as terminal:
        terminal.wait_for(b"API ")
        terminal.wait_for(b"Ask something.")
        terminal.write(b"hello\r")
        terminal.wait_for(lambda _: titles() == ["hello"])
        assert terminal.hang_up() == 0
    assert titles() == ["hello"]


def test_a_terminal_that_nobody_reads_does_not_keep_the_workbench(environment: dict[str, str], tmp_path: Path) -> None:
    hasty = f"import tui.terminal_guard as guard; guard.LEAVE_WITHIN_S = 2.0; {ASSAY}"
    with PseudoTerminal(hasty, environment, size=(200, 60)) as terminal:
        terminal.wait_for(b"API ")
        terminal.write(b"kept")
        terminal.wait_for(lambda seen: drafts(tmp_path) == ["kept"])  # written down a second later at most
        for _ in range(40):
            terminal.write(b"\x1bOQ\x1bOR")  # other panes: more is drawn than fits the terminal
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.ended(20) == 128 + signal.SIGTERM
    assert drafts(tmp_path) == ["kept"]


@pytest.mark.parametrize("keys", [b"hello", b"hello\r", b"hello\n"])
def test_what_is_typed_while_the_engine_starts_is_kept_when_one_leaves_at_once(
    environment: dict[str, str], tmp_path: Path, keys: bytes
) -> None:
    for round_trip in (1, 2):
        with PseudoTerminal(SLOW_ASSAY, environment) as terminal:
            terminal.wait_for(b"starting engine")
            terminal.write(keys + CTRL_Q)
            assert terminal.exit_code() == 0
            assert b"Traceback" not in terminal.seen
        assert [text.strip() for text in drafts(tmp_path)] == ["hello"]
        with History(tmp_path / "data" / "history.sqlite3") as history:
            assert len(history.chats()) == round_trip - 1, "an earlier draft becomes a chat of its own"


@pytest.mark.parametrize("typed", [b"abc\rdef\rghi", b"abc\ndef\nghx\x7fi"])
@pytest.mark.parametrize("when", [b"", b"assay", b"Ask something."])
def test_what_is_typed_before_the_engine_is_up_keeps_its_order(
    environment: dict[str, str], tmp_path: Path, typed: bytes, when: bytes
) -> None:
    with PseudoTerminal(SLOW_ASSAY, environment) as terminal:
        terminal.wait_for(when)
        terminal.write(typed)
        terminal.wait_for(lambda seen: b"ghi" in seen.partition(b"starting engine")[2])
        assert left(terminal) == 0
    assert drafts(tmp_path) == ["abc\ndef\nghi"]


@pytest.mark.parametrize(("program", "there"), [(NO_PANES, b"starting engine"), (CHAT_ONLY, b"Ask something.")])
def test_what_is_typed_during_the_start_is_kept_however_slow_the_machine(
    environment: dict[str, str], tmp_path: Path, program: str, there: bytes
) -> None:
    for number in b"12":
        with PseudoTerminal(program, environment) as terminal:
            terminal.wait_for(there)
            terminal.write(b"agann\x7f\x7fin " + bytes([number]) + b"\r" + CTRL_Q)
            assert terminal.exit_code() == 0
            assert b"Traceback" not in terminal.seen
    assert drafts(tmp_path) == ["again 2"]
    with History(tmp_path / "data" / "history.sqlite3") as history:
        assert [chat.title for chat in history.chats()] == ["again 1"]
