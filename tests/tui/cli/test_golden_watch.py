"""`assay golden watch` in a process of its own, with a suite that a person edits."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT
from tests.tui.cli.golden_places import ONE_MODEL, Golden
from tests.tui.cli.processes import ASSAY

WAITING = "to be saved; ctrl+c ends."


class Watching:
    """The command with its output as it comes."""

    def __init__(self, env: dict[str, str], suite: Path, *more: str) -> None:
        self.process = subprocess.Popen(
            [*ASSAY, "golden", "watch", str(suite), *more],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def turn(self, end: str = WAITING) -> str:
        """What is said until it waits, or ends."""
        said = ""
        while end not in said:
            line = self._lines.get(timeout=120)
            if line is None:
                break
            said += line
        return said


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "golden.toml").write_text(ONE_MODEL)
    (folder / "capital.txt").write_text("What is the capital of France?")
    (folder / "capital.toml").write_text('expect = "paris"\n')
    (folder / "checks.py").write_text("def polite(answer, about):\n    return 'never polite'\n")
    (folder / "greeting.txt").write_text("Hello!")
    (folder / "greeting.toml").write_text('expect = { python = "checks.py:polite" }\n')
    return folder


@pytest.fixture
def watching(clean_env: dict[str, str], suite: Path) -> Iterator[Watching]:
    found = Watching(clean_env, suite, "--allow-python", "--tier", "full")
    yield found
    found.process.kill()
    found.process.wait()


def test_what_is_saved_is_run_and_a_broken_file_is_a_sentence(watching: Watching, suite: Path) -> None:
    first = watching.turn()
    assert "2 of 2 cases run; greeting (full) fails." in first
    (suite / "checks.py").write_text("def polite(answer, about):\n    return True\n")
    mended = watching.turn()
    assert "checks.py changed." in mended
    assert "1 of 2 cases run; nothing fails." in mended
    assert "loading" not in mended, "the model stayed in memory"
    (suite / "capital.toml").write_text('expect = "paris\n')
    broken = watching.turn()
    assert f"error: {suite / 'capital.toml'}:1: This is not TOML" in broken
    assert "Nothing is run until that is mended." in broken
    (suite / "capital.toml").write_text('expect = "lyon"\n')
    assert "1 of 2 cases run; capital (full) fails." in watching.turn()
    (suite / "notes.md").write_text("for people")
    assert "0 of 2 cases run; capital (full) fails." in watching.turn()
    watching.process.send_signal(signal.SIGINT)
    assert watching.turn("Stopped.\n").endswith("Stopped.\n")
    assert watching.process.wait(timeout=30) == 0


def test_what_no_model_answers_is_told(clean_env: dict[str, str], suite: Path) -> None:
    (suite / "golden.toml").write_text('[tiers]\nfull = "nobody/has-this"\n')
    watching = Watching(clean_env, suite, "--tier", "full")
    told = watching.turn()
    watching.process.send_signal(signal.SIGINT)
    assert "0 of 2 cases run; nothing fails; capital (full) is skipped, nobody/has-this is not on disk" in told
    assert watching.process.wait(timeout=30) == 0


INTERRUPTED = """
import signal, tui.cli.golden_table
from tui.cli.main import main

def line(*of, told=tui.cli.golden_table.progress_line):
    signal.raise_signal(signal.SIGINT)
    return told(*of)

tui.cli.golden_table.progress_line = line
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
"""The command with a ctrl+c at its first answer."""


def test_ctrl_c_in_the_middle_of_a_run_ends_it_with_what_was_done(clean_env: dict[str, str], suite: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, "golden", "watch", str(suite), "--tier", "full"],
        cwd=ROOT,
        env=clean_env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 130, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert WAITING not in done.stdout


def test_only_a_folder_of_ones_own_can_be_watched(golden: Golden, tmp_path: Path) -> None:
    assert "needs a suite of your own" in golden("watch").output
    gone = golden("watch", tmp_path / "gone")
    assert gone.exit_code == 2
    assert "does not exist" in gone.output
