"""Chats as files for people and for programs."""

from __future__ import annotations

import json

import pytest

from core.calls.requests import ImagePart, Message, Role, TextPart, ToolResultPart
from core.chats.export import export, image_name, to_json, to_markdown
from core.errors import HistoryError
from tests.core.chats.conftest import EVERY_PART, picture


def test_export_to_json_leaves_nothing_out(history):
    chat = history.start("Shapes", "m")
    turn = history.add(chat.id, EVERY_PART, model="m", details={"ttft_s": 1})
    value = json.loads(to_json(history.chat(chat.id), [turn]))
    assert (value["format"], value["version"], value["title"]) == ("assay-chat", 1, "Shapes")
    (exported,) = value["turns"]
    assert (exported["role"], exported["model"], exported["details"]) == ("assistant", "m", {"ttft_s": 1})
    assert [part["type"] for part in exported["parts"]] == ["thinking", "text", "tool_call", "image", "tool_result"]
    assert exported["parts"][2]["arguments"] == {"location": "Tokyo", "days": [1, 2]}
    assert exported["parts"][3]["sha256"] == picture().sha256
    assert exported["parts"][4]["is_error"] is True


def test_export_to_markdown_is_readable_and_has_its_images_beside_it(history, tmp_path):
    chat = history.start("Shapes", "m")
    history.add(chat.id, Message.text("user", "What is this?", picture()))
    history.add(chat.id, EVERY_PART, model="pocket/gemma3")
    target = export(history.chat(chat.id), history.turns(chat.id), tmp_path / "out" / "shapes.md")
    text = target.read_text()
    assert text.startswith("# Shapes\n")
    assert "## User\n" in text
    assert "## Assistant (pocket/gemma3)\n" in text
    assert "<details><summary>Thinking</summary>" in text
    assert "Calls `get_weather`:" in text
    link = f"(<shapes-images/{image_name(picture())}>)"
    assert f"![red.png]{link}" in text
    assert (tmp_path / "out" / "shapes-images" / image_name(picture())).read_bytes() == picture().data


def test_export_cannot_be_steered_by_what_a_model_or_client_wrote(history, tmp_path):
    chat = history.start("x", "m")
    nasty = picture(name="../../etc/passwd](javascript:alert(1))\x1b[2J")
    history.add(chat.id, Message(Role.USER, (ImagePart(nasty), TextPart("\x1b]52;c;x\x07"))))
    history.add(chat.id, Message(Role.TOOL, (ToolResultPart("c", (TextPart("```\n# not a heading\n````"),)),)))
    export(history.chat(chat.id), history.turns(chat.id), tmp_path / "x.md")
    text = (tmp_path / "x.md").read_text()
    assert "\x1b" not in text
    assert "\n`````\n```\n# not a heading\n````\n`````" in text
    assert sorted(file.name for file in tmp_path.rglob("*") if file.is_file() and "data" not in file.parts) == sorted(
        ["x.md", image_name(nasty)]
    )


def test_export_replaces_a_file_whole_or_not_at_all(history, tmp_path, monkeypatch):
    chat = history.start("x", "m")
    target = tmp_path / "x.json"
    target.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(HistoryError, match="No space left on device"):
            export(chat, [], target)
    assert target.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["x.json"]
    export(chat, [], target)
    assert json.loads(target.read_text())["turns"] == []


def test_markdown_of_an_empty_chat_is_its_heading(history):
    assert to_markdown(history.start("Nothing yet", "m"), []).splitlines()[0] == "# Nothing yet"
