"""Chats as files for people and for programs."""

from __future__ import annotations

import json

import pytest

from core.calls.events import Finished, FinishReason, Timing, Usage
from core.calls.requests import ImagePart, Message, Role, TextPart, ToolResultPart
from core.calls.witness import Witness
from core.chats.export import export, image_name, to_json, to_markdown
from core.chats.settings import ChatSettings
from core.chats.tree import Tree, Turn
from core.errors import HistoryError
from tests.core.chats.conftest import EVERY_PART, picture, said

FINISHED = Finished(
    FinishReason.STOP,
    Usage(completion_tokens=3),
    Timing(ttft_s=0.21, decode_tps=50),
    witness=Witness(sampling={"temperature": 0.7, "seed": 5}),
)


def test_json_leaves_nothing_out():
    settings = ChatSettings("Be brief.", 0.5)
    tree = Tree(said("What?"), Turn(EVERY_PART, "m", FINISHED, settings))
    value = json.loads(to_json("Shapes", "m", tree))
    assert (value["format"], value["version"], value["title"]) == ("assay-chat", 2, "Shapes")
    question, answer = value["turns"]
    assert (question["role"], question["after"], question["asked"]) == ("user", None, None)
    assert (answer["role"], answer["model"], answer["after"], answer["shown"]) == ("assistant", "m", 0, True)
    assert ChatSettings.from_json(answer["asked"]) == settings
    assert answer["finished"]["witness"]["sampling"] == {"temperature": 0.7, "seed": 5}
    assert [part["type"] for part in answer["parts"]] == ["thinking", "text", "tool_call", "image", "tool_result"]
    assert answer["parts"][2]["arguments"] == {"location": "Tokyo", "days": [1, 2]}
    assert answer["parts"][3]["sha256"] == picture().sha256
    assert answer["parts"][4]["is_error"] is True


def test_json_holds_all_branches_and_markdown_the_one_that_is_shown():
    tree = Tree(said("one"), said("first answer", Role.ASSISTANT))
    tree.add(said("second answer", Role.ASSISTANT), tree.branch[0])
    turns = json.loads(to_json("x", "m", tree))["turns"]
    assert [(turn["after"], turn["shown"]) for turn in turns] == [(None, True), (0, False), (0, True)]
    text = to_markdown("x", tree)
    assert "second answer" in text
    assert "first answer" not in text


def test_each_answer_says_with_what_it_was_made():
    brief, loud = ChatSettings("Be brief.", 0.5), ChatSettings("Shout.", 0.5, seed=7)
    tree = Tree(said("hi"), Turn(said("Hello.", Role.ASSISTANT).message, "pocket/qwen3", FINISHED, brief))
    for text, settings in (("two", brief), ("three", loud)):
        tree.add(said(text))
        tree.add(Turn(said("Yes.", Role.ASSISTANT).message, "pocket/qwen3", None, settings))
    text = to_markdown("hi", tree)
    assert "## You\n\nhi\n\n## System\n\nBe brief.\n\n*Asked with temperature 0.5, at most 1024 tokens.*" in text
    assert "*3 tokens, first after 0.21 s, temperature 0.7, seed 5*" in text
    assert text.count("Be brief.") == 1
    assert text.index("three") < text.index("Shout.\n\n*Asked with temperature 0.5, seed 7, at most 1024 tokens.*")


def test_an_old_answer_without_settings_is_given_none():
    tree = Tree(said("hi"), said("Hello.", Role.ASSISTANT))
    assert "Asked with" not in to_markdown("hi", tree)


def test_markdown_is_readable_and_has_its_images_beside_it(tmp_path):
    tree = Tree(said("What is this?", Role.USER, picture()), Turn(EVERY_PART, "pocket/gemma3"))
    target = export("Shapes", "m", tree, tmp_path / "out" / "shapes.md")
    text = target.read_text()
    assert text.startswith("# Shapes\n")
    assert "## You\n" in text
    assert "## pocket/gemma3\n" in text
    assert "<details><summary>Thinking</summary>" in text
    assert "Calls `get_weather`:" in text
    link = f"(<shapes-images/{image_name(picture())}>)"
    assert f"![red.png]{link}" in text
    assert (tmp_path / "out" / "shapes-images" / image_name(picture())).read_bytes() == picture().data


def test_export_cannot_be_steered_by_what_a_model_or_client_wrote(tmp_path):
    nasty = picture(name="../../etc/passwd](javascript:alert(1))\x1b[2J")
    result = Message(Role.TOOL, (ToolResultPart("c", (TextPart("```\n# not a heading\n````"),)),))
    tree = Tree(Turn(Message(Role.USER, (ImagePart(nasty), TextPart("\x1b]52;c;x\x07")))), Turn(result))
    export("x", "m", tree, tmp_path / "x.md")
    text = (tmp_path / "x.md").read_text()
    assert "\x1b" not in text
    assert "\n`````\n```\n# not a heading\n````\n`````" in text
    assert sorted(file.name for file in tmp_path.rglob("*") if file.is_file()) == sorted(["x.md", image_name(nasty)])


def test_export_replaces_a_file_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path / "x.json"
    target.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(HistoryError, match="No space left on device"):
            export("x", "m", Tree(), target)
    assert target.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["x.json"]
    export("x", "m", Tree(), target)
    assert json.loads(target.read_text())["turns"] == []


def test_markdown_of_an_empty_chat_is_its_heading():
    assert to_markdown("Nothing yet", Tree()).splitlines() == ["# Nothing yet"]
