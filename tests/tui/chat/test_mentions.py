"""Completing an @path."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui.chat.mentions import candidates, mention_start, open_mention


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "sun set.jpg").write_bytes(b"")
    for name in ("cat.png", "Camel.webp", "notes.txt", ".hidden.png"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("before", "typed"),
    [("@", ""), ("see @pi", "pi"), ("see @my\\ cat", "my cat"), ("a@b", None), ("@done there", None), ("", None)],
)
def test_a_mention_is_open_while_the_cursor_is_in_it(before: str, typed: str | None) -> None:
    assert open_mention(before) == typed


def test_the_mention_begins_at_its_sign() -> None:
    assert mention_start("see @pi") == 4


def test_folders_come_first_and_only_images_follow(folder: Path) -> None:
    assert [candidate.text for candidate in candidates("", folder)] == ["pictures/", "Camel.webp", "cat.png"]


def test_letters_narrow_the_list_whatever_their_case(folder: Path) -> None:
    assert [candidate.text for candidate in candidates("ca", folder)] == ["Camel.webp", "cat.png"]


def test_hidden_files_appear_when_they_are_asked_for(folder: Path) -> None:
    assert [candidate.text for candidate in candidates(".h", folder)] == [".hidden.png"]


def test_a_folder_is_gone_into_and_spaces_are_escaped(folder: Path) -> None:
    (found,) = candidates("pictures/s", folder)
    assert found.text == "pictures/sun\\ set.jpg"
    assert found.path == folder / "pictures" / "sun set.jpg"


def test_what_cannot_be_read_has_no_candidates(folder: Path) -> None:
    assert candidates("nowhere/", folder) == []
    assert candidates("~no-such-user/", folder) == []
