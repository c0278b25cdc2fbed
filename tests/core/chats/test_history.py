"""Past chats in a real SQLite file: what is acknowledged is kept, what fails changes nothing."""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from core.calls.requests import ImagePart, Message, Role, TextPart, ThinkingPart, ToolCallPart, ToolResultPart
from core.chats import history as history_module
from core.chats.export import export, image_name, to_json, to_markdown
from core.chats.history import History
from core.errors import EngineError, HistoryError
from core.media.images import ImageData, check_image


def picture(colour: str = "red", name: str = "red.png") -> ImageData:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(buffer, "PNG")
    return check_image(buffer.getvalue(), name)


def said(text: str, role: Role = Role.USER) -> Message:
    return Message.text(role, text)


EVERY_PART = Message(
    Role.ASSISTANT,
    (
        ThinkingPart("Let me look."),
        TextPart("A red square."),
        ToolCallPart("call_1", "get_weather", {"location": "Tokyo", "days": [1, 2]}),
        ImagePart(picture()),
        ToolResultPart("call_1", (TextPart("Sunny."), ImagePart(picture("blue", "blue.png"))), is_error=True),
    ),
)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "data" / "history.sqlite3"


@pytest.fixture
def history(path):
    with History(path) as opened:
        yield opened


def test_every_kind_of_part_comes_back_as_it_was(history, path):
    chat = history.start("Shapes", "pocket/qwen2-vl")
    turn = history.add(chat.id, EVERY_PART, model="pocket/gemma3", details={"ttft_s": 0.25})
    assert history.turns(chat.id) == [turn]
    history.close()
    with History(path) as again:
        (stored,) = again.turns(chat.id)
        assert stored == turn
        assert stored.message == EVERY_PART
        assert stored.details == {"ttft_s": 0.25}
        head = again.chat(chat.id)
        assert (head.title, head.model, head.messages) == ("Shapes", "pocket/gemma3", 1)


def test_the_chat_last_talked_in_comes_first(history):
    first, second = history.start("first", "m"), history.start("second", "m")
    assert [chat.title for chat in history.chats()] == ["second", "first"]
    history.add(first.id, said("again"))
    assert [chat.title for chat in history.chats()] == ["first", "second"]
    assert history.chats(limit=1)[0].id == first.id
    assert history.chat(second.id).messages == 0


def test_an_image_shown_twice_is_stored_once_and_goes_with_its_last_chat(history, path):
    one, two = history.start("one", "m"), history.start("two", "m")
    for chat in (one, two, two):
        history.add(chat.id, Message.text("user", "look", picture()))
    count = "SELECT count(*) FROM images"
    with sqlite3.connect(path) as other:
        assert other.execute(count).fetchone() == (1,)
        history.delete(two.id)
        assert other.execute(count).fetchone() == (1,)
        assert history.turns(one.id)[0].message.images == (picture(),)
        history.delete(one.id)
        assert other.execute(count).fetchone() == (0,)


def test_cutting_forgets_a_turn_and_what_follows(history):
    chat, other = history.start("a", "m"), history.start("b", "m")
    turns = [history.add(chat.id, said(f"word{number}")) for number in range(4)]
    history.add(other.id, said("word9"))
    history.cut(chat.id, turns[2].id)
    assert [turn.id for turn in history.turns(chat.id)] == [turns[0].id, turns[1].id]
    assert len(history.turns(other.id)) == 1
    assert history.search("word3") == []
    assert len(history.search("word9")) == 1


def test_deleting_a_chat_leaves_no_trace_in_the_file(history, path):
    chat = history.start("secret-title", "m")
    history.add(chat.id, said("xylophonic secrets " * 50))
    history.delete(chat.id)
    assert history.chats() == []
    assert history.search("xylophonic") == []
    with pytest.raises(HistoryError, match="There is no chat"):
        history.chat(chat.id)
    history.close()
    assert b"xylophonic" not in path.read_bytes()


def test_titles_are_one_clean_line(history):
    chat = history.start("  two\nlines\x1b[2J " + "x" * 500, "m")
    assert chat.title.startswith("two lines[2J x")
    assert len(chat.title) == 200
    history.rename(chat.id, "\n")
    assert history.chat(chat.id).title == "Untitled"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("capital", ["What is the capital of France?"]),
        ("FRANCE capi", ["What is the capital of France?"]),
        ("cafe", ["Un café, s'il vous plaît"]),
        ("Lyon capital", []),
        ("世界", ["你好世界"]),
        ("100%", ["It is 100% sure_thing"]),
        ('"capital', ["What is the capital of France?"]),
        ("", []),
        ("  ", []),
    ],
)
def test_search_finds_words_by_their_beginning(history, query, found):
    for text in ("What is the capital of France?", "Un café, s'il vous plaît", "你好世界", "It is 100% sure_thing"):
        history.add(history.start("chat", "m").id, said(text))
    texts = [history.turns(hit.chat.id)[0].message.plain_text for hit in history.search(query)]
    assert texts == found


def test_search_shows_where_and_looks_into_thinking_results_and_titles(history):
    chat = history.start("About zebras", "m")
    turn = history.add(chat.id, EVERY_PART)
    (hit,) = history.search("sunny")
    assert (hit.chat.id, hit.turn) == (chat.id, turn.id)
    assert "[Sunny]" in hit.snippet
    assert history.search("look")[0].turn == turn.id
    assert history.search("blue.png")[0].turn == turn.id
    (titled,) = history.search("zebra")
    assert (titled.chat.id, titled.turn, titled.snippet) == (chat.id, None, "About zebras")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=30), st.text(max_size=30))
def test_no_text_breaks_storing_or_searching(history, text, query):
    chat = history.start(text, "m")
    history.add(chat.id, said(text))
    assert history.turns(chat.id)[0].message.plain_text == text
    for hit in history.search(query):
        assert hit.chat.id > 0


def test_text_that_no_encoder_can_write_is_stored_all_the_same(history):
    chat = history.start("x", "m")
    history.add(chat.id, said("half \ud83d of a pair"))
    assert history.turns(chat.id)[0].message.plain_text == "half \ud83d of a pair"


def test_adding_to_a_deleted_chat_is_an_error_and_changes_nothing(history, path):
    chat = history.start("x", "m")
    history.delete(chat.id)
    with pytest.raises(HistoryError, match=r"not in .* any more"):
        history.add(chat.id, Message.text("user", "late", picture()))
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM images)").fetchone() == (
            0,
            0,
        )


def test_many_threads_share_one_history(history):
    chat = history.start("x", "m")
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for step in range(10):
                history.add(chat.id, said(f"{number}-{step}"))
                history.search(f"{number}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(history.turns(chat.id)) == 40


def test_two_programs_share_one_file(history, path):
    chat = history.start("x", "m")
    with History(path) as other:
        other.add(chat.id, said("from the other"))
        history.add(chat.id, said("from the one"))
        assert [turn.message.plain_text for turn in other.turns(chat.id)] == ["from the other", "from the one"]


KILLED = """
import sys
from pathlib import Path
from core.chats.history import History
from core.calls.requests import Message
history = History(Path(sys.argv[1]))
chat = history.start("x", "m")
while True:
    turn = history.add(chat.id, Message.text("user", "word " * 200))
    print(turn.id, flush=True)
"""


def test_kill_9_loses_no_acknowledged_turn_and_tears_none(path):
    acknowledged: list[int] = []
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        for line in writer.stdout:
            acknowledged.append(int(line))
            if len(acknowledged) == 60:
                writer.send_signal(signal.SIGKILL)
                break
        acknowledged += [int(line) for line in writer.stdout.read().split()]
    with History(path) as history:
        turns = history.turns(history.chats()[0].id)
        assert [turn.id for turn in turns][: len(acknowledged)] == acknowledged
        assert all(turn.message.plain_text == "word " * 200 for turn in turns)
    with sqlite3.connect(path) as check:
        assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_full_disk_is_a_sentence_and_old_turns_are_whole(history, path):
    chat = history.start("x", "m")
    history.add(chat.id, said("before"))
    pages = history._db.execute("PRAGMA page_count").fetchone()[0]
    history._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(HistoryError, match=r"the disk is full\. Free some space") as caught:
        history.add(chat.id, said("after " * 50_000))
    assert isinstance(caught.value, EngineError)
    assert caught.value.code == "history_error"
    assert [turn.message.plain_text for turn in history.turns(chat.id)] == ["before"]
    history._db.execute("PRAGMA max_page_count = 1000000")
    history.add(chat.id, said("space again"))
    assert history.chat(chat.id).messages == 2


LIMITED = """
import resource, signal, sys
from pathlib import Path
from core.errors import HistoryError
from core.chats.history import History
from core.calls.requests import Message
history = History(Path(sys.argv[1]))
chat = history.start("x", "m")
history.add(chat.id, Message.text("user", "before"))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    history.add(chat.id, Message.text("user", "after " * 100_000))
except HistoryError as error:
    print(error)
print([turn.message.plain_text for turn in history.turns(chat.id)])
"""


def test_a_write_that_the_system_refuses_is_a_sentence_and_old_turns_are_whole(path):
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True)
    error, turns = done.stdout.splitlines()
    assert "full" in error
    assert "Earlier chats are whole" in error
    assert turns == "['before']"
    with History(path) as history:
        assert history.chats()[0].messages == 1


def test_only_the_owner_can_read_the_file_and_its_log(history, path):
    history.start("x", "m")
    files = list(path.parent.iterdir())
    assert len(files) >= 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_the_file_is_in_wal_mode_at_the_current_version(history, path):
    with sqlite3.connect(path) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert other.execute("PRAGMA user_version").fetchone() == (len(history_module.MIGRATIONS),)


def test_an_older_file_is_migrated_and_keeps_its_chats(path, monkeypatch):
    with History(path) as old:
        chat = old.start("kept", "m")
        old.add(chat.id, said("hello"))
    newer = (*history_module.MIGRATIONS, ("ALTER TABLE chats ADD COLUMN colour TEXT DEFAULT 'none'",))
    monkeypatch.setattr(history_module, "MIGRATIONS", newer)
    with History(path) as new:
        assert new.turns(chat.id)[0].message.plain_text == "hello"
    with sqlite3.connect(path) as check:
        assert check.execute("SELECT colour FROM chats").fetchone() == ("none",)
        assert check.execute("PRAGMA user_version").fetchone() == (len(newer),)


def test_a_migration_that_fails_leaves_the_old_file(path, monkeypatch):
    with History(path) as old:
        chat = old.start("kept", "m")
    bad = (*history_module.MIGRATIONS, ("ALTER TABLE chats ADD COLUMN colour TEXT", "SYNTAX ERROR"))
    with monkeypatch.context() as patch:
        patch.setattr(history_module, "MIGRATIONS", bad)
        with pytest.raises(HistoryError, match="syntax error"):
            History(path)
    with History(path) as again:
        assert again.chat(chat.id).title == "kept"


def test_a_file_of_a_newer_version_is_refused_untouched(path):
    History(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(HistoryError, match=r"newer Assay \(schema 99, this one knows 1\)"):
        History(path)
    assert path.read_bytes() == before


def test_what_is_no_history_is_refused_untouched(path):
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to look at" * 100)
    before = path.read_bytes()
    with pytest.raises(HistoryError, match="damaged or no history at all"):
        History(path)
    assert path.read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(HistoryError, match="Permission denied"):
        History(tmp_path / "sub" / "history.sqlite3")


def test_a_path_below_a_file_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(HistoryError, match="cannot be opened"):
        History(tmp_path / "file" / "history.sqlite3")


def test_a_damaged_turn_is_a_sentence(history, path):
    chat = history.start("x", "m")
    history.add(chat.id, said("hello"))
    with sqlite3.connect(path) as other:
        other.execute("""UPDATE messages SET parts = '[{"type": "hologram"}]'""")
    with pytest.raises(HistoryError, match="no part of type 'hologram'"):
        history.turns(chat.id)


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
