"""What libraries print while the workbench runs goes into the log; the terminal is given back afterwards."""

from __future__ import annotations

import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from core.log_file import log_file
from tui.terminal_guard import guarded_terminal

PROGRAM = """
import os, sys
from pathlib import Path
from tui.terminal_guard import guarded_terminal
print("before", flush=True)
try:
    with guarded_terminal() as log:
        os.write(2, b"native noise on 2\\n")
        log.keep_in(Path(sys.argv[1]))
        os.write(1, b"native noise on 1\\n")
        print("python noise", flush=True)
        sys.__stderr__.write("drawn\\n")
        sys.__stderr__.flush()
        if sys.argv[2] == "crash":
            raise KeyError("crash")
except KeyError:
    pass
print("after", flush=True)
sys.__stderr__.write("errors again\\n")
"""


def on_a_terminal(*arguments: str) -> str:
    """What a person sees of PROGRAM."""
    master, slave = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    seen = b""
    while True:
        try:
            chunk = os.read(master, 4096)
        except OSError:  # Linux says so when the last writer has gone
            break
        if not chunk:
            break
        seen += chunk
    os.close(master)
    assert process.wait(20) == 0
    return seen.decode().replace("\r\n", "\n")


def test_only_what_is_drawn_is_seen(tmp_path: Path) -> None:
    log = tmp_path / "data" / "assay.log"
    assert on_a_terminal(str(log), "end") == "before\ndrawn\nafter\nerrors again\n"
    assert log.read_text() == "native noise on 2\nnative noise on 1\npython noise\n"


def test_a_crash_gives_the_terminal_back(tmp_path: Path) -> None:
    assert on_a_terminal(str(tmp_path / "assay.log"), "crash").endswith("after\nerrors again\n")


def test_what_is_sent_elsewhere_stays_there(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "assay.log"), "end"], capture_output=True, text=True, check=True
    )
    assert "native noise on 1" in run.stdout
    assert "native noise on 2" in run.stderr


def test_logging_goes_to_the_file_alone_and_is_put_back(tmp_path: Path, capfd: object) -> None:
    before = logging.getLogger().handlers[:]
    with guarded_terminal() as log:
        logging.getLogger("tui.early").warning("before the folder is known")
        log.keep_in(log_file(tmp_path / "data"))
        logging.getLogger("tui.somewhere").warning("odd [thing]")
    early, late = log_file(tmp_path / "data").read_text().splitlines()
    assert early.endswith("WARNING tui.early: before the folder is known")
    assert late.endswith("WARNING tui.somewhere: odd [thing]")
    assert logging.getLogger().handlers == before


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_log_is_its_owners_alone(tmp_path: Path) -> None:
    file = log_file(tmp_path / "data")
    with guarded_terminal() as log:
        log.keep_in(file)
    assert (mode(file.parent), mode(file)) == (0o700, 0o600)


def test_a_log_that_was_open_to_others_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.log_file.LOG_BYTES", 200)
    file = log_file(tmp_path)
    older = [file, Path(f"{file}.1"), Path(f"{file}.2")]
    for old in older:
        old.touch()
        old.chmod(0o644)
    tmp_path.chmod(0o755)
    with guarded_terminal() as log:
        log.keep_in(file)
        assert [mode(old) for old in (tmp_path, *older)] == [0o700, 0o600, 0o600, 0o600]
        for _ in range(9):
            logging.getLogger("tui.somewhere").warning("enough for a new file, with what comes after it: %s", "x" * 60)
    assert [mode(old) for old in older] == [0o600] * 3


def test_a_folder_that_many_use_stays_open(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with guarded_terminal() as log:
        log.keep_in(log_file(tmp_path))
    assert mode(tmp_path) == 0o777


def test_what_is_logged_steers_no_terminal_that_shows_the_log(tmp_path: Path) -> None:
    file = log_file(tmp_path / "data")
    with guarded_terminal() as log:
        logging.getLogger("early").warning("early \x1b[2J")
        log.keep_in(file)
        logging.getLogger("late").warning("late \x1b]0;title\x07\nforged")
    early, late = file.read_text().splitlines()
    assert early.endswith(r"early \x1b[2J")
    assert late.endswith(r"late \x1b]0;title\x07\nforged")
