"""assay.log: whole lines, whoever else writes to it; turned over by one; requests stay off the terminal."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.log_file import log_file, logged
from core.regular_files import UnfitFile

WRITES = """
import logging, sys
from pathlib import Path
import core.log_file
core.log_file.LOG_BYTES = 300_000
core.log_file.BACKUPS = 9
with core.log_file.logged(Path(sys.argv[1])):
    sys.stdin.readline()
    for number in range(300):
        logging.getLogger("server").error("%s/%d %s end", sys.argv[2], number, sys.argv[2] * 3000)
"""


def test_two_processes_tear_no_line_and_lose_none(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITES, str(tmp_path), name], stdin=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.wait(60) for writer in writers] == [0, 0]
    files = sorted(tmp_path.glob("assay.log*"))
    lines = [line for file in files for line in file.read_text().splitlines()]
    found = [re.fullmatch(r"\S+ \S+ ERROR server: ([ab])/(\d+) (a{3000}|b{3000}) end", line) for line in lines]
    assert all(found)
    assert sorted((one[1], int(one[2])) for one in found if one) == [(n, i) for n in "ab" for i in range(300)]
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert 6 <= len(files) <= 8, "whoever sees that it is full turns it over, once"


def test_what_is_about_requests_is_in_the_file_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    with logged(tmp_path / "data") as file:
        logging.getLogger("server.errors").error("req_1: no \x1b[2J")
        logging.getLogger("uvicorn.error").warning("odd")
        logging.getLogger("core.mlx.thread").error("The engine died.")
    assert logging.getLogger().handlers == before
    assert capsys.readouterr().err == "The engine died.\n"
    text = file.read_text()
    assert r"ERROR server.errors: req_1: no \x1b[2J" in text
    assert len(text.splitlines()) == 3


def test_a_log_that_is_a_pipe_is_told(tmp_path: Path) -> None:
    os.mkfifo(log_file(tmp_path))
    with pytest.raises(UnfitFile, match="it is a named pipe"), logged(tmp_path):
        pass
