"""SQLite files that several connections and several programs share."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.chats.database import KIND
from core.database import Database
from core.errors import HistoryError
from tests import ROOT

TABLE = (("CREATE TABLE said (text TEXT)",),)
OPEN_AND_CLOSE = """
import sys
from pathlib import Path
from core.chats.database import KIND
from core.database import Database
database = Database(Path(sys.argv[1]), KIND, (("CREATE TABLE said (text TEXT)",),))
with database.read() as db:
    said = sorted(text for (text,) in db.execute("SELECT text FROM said"))
    print(said, db.execute("PRAGMA integrity_check").fetchone())
database.close()
"""

WRITE = """
import sys
from pathlib import Path
from core.chats.database import KIND
from core.database import Database
database = Database(Path(sys.argv[1]), KIND, (("CREATE TABLE said (text TEXT)",),))
with database.write() as db:
    db.execute("INSERT INTO said VALUES (?)", (sys.argv[2],))
database.close()
"""


def say(database: Database, text: str) -> None:
    with database.write() as db:
        db.execute("INSERT INTO said VALUES (?)", (text,))


def seen_by_another_program(path: Path) -> str:
    """What a program reads that opens the file and leaves it again."""
    command = [sys.executable, "-c", OPEN_AND_CLOSE, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60).stdout.strip()


def test_a_second_connection_leaves_the_first_ones_locks_alone(tmp_path: Path) -> None:
    """Without them the next program takes itself for the last one, and throws away the log that is written into."""
    path = tmp_path / "file.sqlite3"
    first = Database(path, KIND, TABLE)
    say(first, "a")
    Database(path, KIND, TABLE).close()
    assert seen_by_another_program(path) == "['a'] ('ok',)"
    say(first, "b")
    assert seen_by_another_program(path) == "['a', 'b'] ('ok',)", "written into a log that is not deleted"
    log = path.with_name(path.name + "-wal")
    assert log.exists()
    first.close()
    assert not log.exists()
    assert seen_by_another_program(path) == "['a', 'b'] ('ok',)"


def test_two_programs_that_write_in_turns_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file.sqlite3"
    mine = Database(path, KIND, TABLE)
    for number in range(3):
        Database(path, KIND, TABLE).close()
        say(mine, f"mine {number}")
        subprocess.run([sys.executable, "-c", WRITE, str(path), f"theirs {number}"], check=True, cwd=ROOT, timeout=60)
    mine.close()
    told = seen_by_another_program(path)
    assert told.endswith("('ok',)")
    for number in range(3):
        assert f"'mine {number}'" in told
        assert f"'theirs {number}'" in told


@pytest.mark.parametrize("linked", [False, True])
def test_the_file_is_its_owners_alone(tmp_path: Path, linked: bool) -> None:
    path = tmp_path / "file.sqlite3"
    if linked:
        (tmp_path / "elsewhere").mkdir()
        path.symlink_to(tmp_path / "elsewhere" / "file.sqlite3")
    database = Database(path, KIND, TABLE)
    say(database, "a")
    for file in (path, Path(f"{path.resolve()}-wal")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    database.close()


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "file.sqlite3")
    with pytest.raises(HistoryError, match="not a regular file"):
        Database(tmp_path / "file.sqlite3", KIND, TABLE)


WRITE_WITHOUT_ROOM = """
import resource, signal, sys
from pathlib import Path
from core.chats.database import KIND
from core.database import Database
from core.errors import HistoryError
path = Path(sys.argv[1])
database = Database(path, KIND, (("CREATE TABLE said (text TEXT)",),))
def say(text):
    with database.write() as db:
        db.execute("UPDATE said SET text = ?", (text,))
for letter in "abc":
    say(letter * 20_000)
log = path.with_name(path.name + "-wal")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size,) * 2)
try:
    say("d" * 20_000)
except HistoryError as error:
    print(error)
say("e" * 20_000)
with database.read() as db:
    print(db.execute("SELECT substr(text, 1, 1) FROM said").fetchone()[0])
"""


def test_the_log_of_what_is_in_the_file_makes_room_on_a_full_disk(tmp_path: Path) -> None:
    """Else it would have to grow before anything can be written again, and eat what is freed."""
    path = tmp_path / "file.sqlite3"
    database = Database(path, KIND, TABLE)
    say(database, "first " * 4_000)
    database.close()
    command = [sys.executable, "-c", WRITE_WITHOUT_ROOM, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=True)
    assert "the disk failed or is full" in done.stdout.splitlines()[0]
    assert done.stdout.splitlines()[1] == "e"
