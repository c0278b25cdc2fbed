"""Pasted text that names image files, as terminals write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui.chat.dropped import absent_images, dropped_images, mentioned_images


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    file = tmp_path / "my cat.PNG"
    file.write_bytes(b"")
    return file


def test_quoted_escaped_and_url_paths_are_found(cat: Path) -> None:
    escaped = str(cat).replace(" ", "\\ ")
    url = "file://" + str(cat).replace(" ", "%20")
    for text in (str(cat), f"'{cat}'", f'"{cat}"\n', escaped, url):
        assert dropped_images(text) == [cat], text


def test_several_files_come_in_order(cat: Path, tmp_path: Path) -> None:
    dog = tmp_path / "dog.jpg"
    dog.write_bytes(b"")
    assert dropped_images(f"'{cat}' {dog}") == [cat, dog]
    assert dropped_images(f"{dog}\n'{cat}'\n") == [dog, cat]


@pytest.mark.parametrize("text", ["", "look at this", "/no/such/file.png", "it's", "~nobody-here/x.png", "\0.png"])
def test_other_text_names_no_image(text: str) -> None:
    assert dropped_images(text) == []


def test_an_image_among_other_words_is_text(cat: Path) -> None:
    assert dropped_images(f"see '{cat}' please") == []


def test_a_file_of_another_kind_is_text(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("x")
    assert dropped_images(str(notes)) == []


def test_mentions_are_taken_out_of_the_message(cat: Path) -> None:
    text, found = mentioned_images(f'What is @"{cat}" then?')
    assert (text, found) == ("What is then?", [cat])


def test_mentions_of_what_is_no_image_stay() -> None:
    assert mentioned_images("write to @anna or a@b.png") == ("write to @anna or a@b.png", [])


def test_a_mention_of_an_image_that_is_not_there_is_told(cat: Path) -> None:
    said = absent_images(f'See @"{cat}", @/no/such.png and @anna, a@b.png, @\\~x/y\\ z.gif')
    assert said == [
        "There is no image file /no/such.png: it was sent as text.",
        "There is no image file ~x/y z.gif: it was sent as text.",
    ]
