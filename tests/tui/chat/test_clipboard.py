"""The clipboard is asked through the platform's tools, which are stood in for by small programs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from core.errors import InvalidImage
from tests.tui.scripted import red_square
from tui.chat.clipboard import clipboard_image

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="asks for Linux's tools")


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH, and no display."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/bin{os.pathsep}/usr/bin")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    return folder


def tool(folder: Path, name: str, data: bytes) -> None:
    (folder / "data").write_bytes(data)
    program = folder / name
    program.write_text(f"#!/bin/sh\ncat {folder / 'data'}\n")
    program.chmod(0o755)


def test_without_a_display_the_sentence_says_what_to_do_instead(tools: Path) -> None:
    with pytest.raises(InvalidImage, match="wl-paste .* xclip .* Type @"):
        clipboard_image()


@pytest.mark.parametrize(("name", "variable"), [("wl-paste", "WAYLAND_DISPLAY"), ("xclip", "DISPLAY")])
def test_the_image_of_the_display_comes(tools: Path, monkeypatch: pytest.MonkeyPatch, name: str, variable: str) -> None:
    monkeypatch.setenv(variable, ":0")
    tool(tools, name, red_square().data)
    image = clipboard_image()
    assert image is not None
    assert image.sha256 == red_square().sha256


def test_a_clipboard_without_an_image_is_none(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    tool(tools, "xclip", b"")
    assert clipboard_image() is None
