"""Keys as a terminal sends them: with alt held, and many in one packet."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.chats.history import History
from tests.pseudo_terminal import PseudoTerminal
from tests.tui.test_start import ASSAY, CTRL_Q, environment, left  # noqa: F401

F2, F3, F7 = b"\x1bOQ", b"\x1bOR", b"\x1b[18~"
CTRL_N, CTRL_S, CTRL_U, CTRL_W, TAB, ENTER, DOWN = b"\x0e", b"\x13", b"\x15", b"\x17", b"\t", b"\r", b"\x1b[B"


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[PseudoTerminal]:  # noqa: F811
    with PseudoTerminal(ASSAY, environment) as terminal:
        terminal.wait_for(b"Ask something.")
        terminal.wait_for(b"API ")  # the engine is up
        yield terminal


def remembered(tmp_path: Path) -> dict[str, Any]:
    return tomllib.loads((tmp_path / "data" / "workbench.toml").read_text())


def drafts(tmp_path: Path) -> list[str]:
    with History(tmp_path / "data" / "history.sqlite3") as history:
        return [draft.text for draft in history.drafts(None)]


def test_a_letter_with_alt_held_is_a_key_and_no_text(terminal: PseudoTerminal, tmp_path: Path) -> None:
    terminal.write(b"hello dear world")
    terminal.write(b"\x1bb\x1bb")  # two words back
    terminal.write(b"\x1bd\x1bx\x1bq" + "∂".encode())
    assert left(terminal) == 0
    assert drafts(tmp_path) == ["hello ∂ world"]


def test_a_line_takes_alt_as_well(terminal: PseudoTerminal, tmp_path: Path) -> None:
    terminal.write(CTRL_S + TAB * 3 + b"34 56\x1bb\x1bd\x1bx" + CTRL_S)
    assert left(terminal) == 0
    assert remembered(tmp_path)["chat"]["max_tokens"] == 34


@pytest.mark.parametrize("number", [b"20000", b"1\x7f20001\x7f0"])
def test_keys_behind_one_that_moves_the_focus_go_where_it_went(
    terminal: PseudoTerminal, tmp_path: Path, number: bytes
) -> None:
    terminal.write(CTRL_S + TAB * 3 + b"7" + CTRL_U + number + CTRL_S)
    assert left(terminal) == 0
    assert remembered(tmp_path)["chat"] == {"max_tokens": 20000, "system": "", "tools": ""}


def test_a_filter_takes_what_comes_with_the_key_that_opens_it(terminal: PseudoTerminal, tmp_path: Path) -> None:
    terminal.write(F2 + b"/qwen3" + ENTER + b"w" + F3 + b"a draft" + CTRL_W + b"thought" + CTRL_Q)
    assert terminal.exit_code() == 0
    assert remembered(tmp_path)["full"] == "pocket/qwen3"
    assert drafts(tmp_path) == ["a thought"]


def test_what_is_typed_behind_a_new_chat_is_written_there(terminal: PseudoTerminal, tmp_path: Path) -> None:
    terminal.write(b"first" + CTRL_N + b"second" + F7 + DOWN + ENTER + b" thought" + CTRL_Q)
    assert terminal.exit_code() == 0
    assert drafts(tmp_path) == ["second thought"]
    assert remembered(tmp_path)["answers"] == "full"


def test_leaving_in_one_packet_with_a_change_of_settings_asks(terminal: PseudoTerminal, tmp_path: Path) -> None:
    terminal.write(CTRL_S + b"Be brief." + CTRL_Q)
    terminal.wait_for(b"not applied")
    terminal.write(b"a")
    assert terminal.exit_code() == 0
    assert remembered(tmp_path)["chat"]["system"] == "Be brief."


def test_a_terminal_that_hangs_up_keeps_settings_that_are_being_changed(
    terminal: PseudoTerminal, tmp_path: Path
) -> None:
    terminal.write(CTRL_S + b"Be brief.")
    terminal.wait_for(b"brief.")
    assert terminal.hang_up() == 0
    assert remembered(tmp_path)["chat"]["system"] == "Be brief."
