"""The file of past chats: kills, full disks, older and newer files, damage; each a sentence, and nothing lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.chats import database
from core.chats.history import History
from core.chats.tree import Tree
from core.errors import EngineError, HistoryError
from tests.core.chats.conftest import said

KILLED = """
import sys
from pathlib import Path
from core.chats.history import History
from core.calls.requests import Message
from core.chats.tree import Turn
history = History(Path(sys.argv[1]))
chat = history.start("x", "m")
while True:
    print(history.add(chat.id, Turn(Message.text("user", "word " * 200))), flush=True)
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
        nodes = history.tree(history.chats()[0].id, Tree()).branch
        assert [node.id for node in nodes][: len(acknowledged)] == acknowledged
        assert all(node.turn.message.plain_text == "word " * 200 for node in nodes)
    with sqlite3.connect(path) as check:
        assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_full_disk_is_a_sentence_and_old_turns_are_whole(history, path):
    chat = history.start("x", "m")
    history.add(chat.id, said("before"))
    pages = history._db._connection.execute("PRAGMA page_count").fetchone()[0]
    history._db._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(HistoryError, match=r"the disk is full\. Free some space") as caught:
        history.add(chat.id, said("after " * 50_000))
    assert isinstance(caught.value, EngineError)
    assert caught.value.code == "history_error"
    assert [turn.message.plain_text for turn in history.turns(chat.id)] == ["before"]
    history._db._connection.execute("PRAGMA max_page_count = 1000000")
    history.add(chat.id, said("space again"))
    assert history.chat(chat.id).messages == 2


LIMITED = """
import resource, signal, sys
from pathlib import Path
from core.errors import HistoryError
from core.chats.history import History
from core.calls.requests import Message
from core.chats.tree import Turn
history = History(Path(sys.argv[1]))
chat = history.start("x", "m")
history.add(chat.id, Turn(Message.text("user", "before")))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    history.add(chat.id, Turn(Message.text("user", "after " * 100_000)))
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
        assert other.execute("PRAGMA user_version").fetchone() == (len(database.MIGRATIONS),)


def test_an_older_file_is_migrated_and_keeps_its_chats(path, monkeypatch):
    with History(path) as old:
        chat = old.start("kept", "m")
        old.add(chat.id, said("hello"))
    newer = (*database.MIGRATIONS, ("ALTER TABLE chats ADD COLUMN colour TEXT DEFAULT 'none'",))
    monkeypatch.setattr(database, "MIGRATIONS", newer)
    with History(path) as new:
        assert new.turns(chat.id)[0].message.plain_text == "hello"
    with sqlite3.connect(path) as check:
        assert check.execute("SELECT colour FROM chats").fetchone() == ("none",)
        assert check.execute("PRAGMA user_version").fetchone() == (len(newer),)


def test_a_file_of_the_first_version_opens_as_one_branch(path, monkeypatch):
    path.parent.mkdir()
    with sqlite3.connect(path) as old:
        for statement in database.MIGRATIONS[0]:
            old.execute(statement)
        old.execute("INSERT INTO chats VALUES (1, 'a', 'm', 1, 2), (2, 'b', 'm', 1, 3)")
        for id, chat in ((1, 1), (2, 2), (3, 1), (4, 1)):
            parts = f'[{{"type": "text", "text": "word{id}"}}]'
            old.execute("INSERT INTO messages VALUES (?, ?, 'user', ?, NULL, 5, '{}')", (id, chat, parts))
            old.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (id, f"word{id}"))
        old.execute("PRAGMA user_version = 1")
    with History(path) as history:
        tree = history.tree(1, Tree())
        assert [node.id for node in tree.branch] == [node.id for node in tree.every] == [1, 3, 4]
        assert history.chat(1).settings is None
        added = history.add(1, said("again"), 3)
        assert [node.id for node in history.tree(1, Tree()).branch] == [1, 3, added]
        assert history.search("word4")[0].turn == 4


def test_a_migration_that_fails_leaves_the_old_file(path, monkeypatch):
    with History(path) as old:
        chat = old.start("kept", "m")
    bad = (*database.MIGRATIONS, ("ALTER TABLE chats ADD COLUMN colour TEXT", "SYNTAX ERROR"))
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", bad)
        with pytest.raises(HistoryError, match="syntax error"):
            History(path)
    with History(path) as again:
        assert again.chat(chat.id).title == "kept"


def test_a_file_of_a_newer_version_is_refused_untouched(path):
    History(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(HistoryError, match=rf"newer Assay \(schema 99, this one knows {len(database.MIGRATIONS)}\)"):
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


def test_a_history_that_is_a_pipe_is_told_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "history")
    with pytest.raises(HistoryError, match="it is a named pipe, not a regular file"):
        History(tmp_path / "history")
