"""The file of figures: several programs write it, old rows go, and what is no such file is a sentence."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import FiguresError
from core.figures.figure import BENCHMARK, Use
from core.figures.store import KEPT, Figures, forget_figures, read_figures
from tests.core.figures.records import HERE, kept, shape


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sub" / "figures.sqlite3"


def test_what_is_written_comes_back(path: Path) -> None:
    taken = [
        kept("a/b", of=shape(7, 9, held="float32"), revision="abc", decode_tps=5.5, peak=3, rows=8, source=BENCHMARK),
        kept("a/c", use=Use.LOAD, load_s=2.0, prompt_tokens=0),
    ]
    with Figures(path) as figures:
        figures.add(taken)
        assert figures.of() == taken
        assert figures.of("a/c") == taken[1:]
        assert figures.of("a/b", "elsewhere") == []
        assert figures.of(machine=HERE) == taken


def test_old_rows_of_a_sort_are_let_go_and_others_stay(path: Path) -> None:
    with Figures(path) as figures:
        figures.add([kept(rows=8, decode_tps=1.0), kept(source=BENCHMARK, decode_tps=2.0), kept("other")])
        for number in range(4):
            figures.add([kept(decode_tps=float(number * KEPT + place)) for place in range(KEPT)])
        found = [one.figure for one in figures.of("a/model")]
    assert len(found) == KEPT + 2
    usual = [one.decode_tps for one in found if one.rows == 1 and not one.benchmark]
    assert usual == [float(3 * KEPT + place) for place in range(KEPT)]


WRITER = """
import sys
from pathlib import Path
from core.figures.store import Figures
from tests.core.figures.records import kept
with Figures(Path(sys.argv[1])) as figures:
    for number in range(25):
        figures.add([kept(sys.argv[2], decode_tps=float(number))])
"""


def test_several_programs_write_one_file(path: Path) -> None:
    names = ["one", "two", "one"]
    programs = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in names]
    assert [program.wait(60) for program in programs] == [0, 0, 0]
    assert len(read_figures(path, "one")) == 50
    assert len(read_figures(path, "two")) == 25
    with sqlite3.connect(path) as check:
        assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_model_is_forgotten_and_nothing_of_it_stays(path: Path) -> None:
    assert forget_figures(path, "a/model") == 0
    assert not path.exists(), "whoever only looks makes no file"
    with Figures(path) as figures:
        figures.add([kept("gone/model"), kept("gone/model"), kept("other")])
    assert forget_figures(path, "gone/model") == 2
    assert [one.figure.model for one in read_figures(path)] == ["other"]
    assert b"gone/model" not in path.read_bytes()


def test_only_the_owner_can_read_it(path: Path) -> None:
    Figures(path).close()
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_what_is_no_file_of_figures_is_a_sentence(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(FiguresError, match="damaged or no file of figures at all"):
        read_figures(path)


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    Figures(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(FiguresError, match=r"newer Assay \(schema 99, this one knows 1\)"):
        Figures(path)
