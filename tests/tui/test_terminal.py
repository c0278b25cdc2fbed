"""`assay` in a real terminal: opened, used by keyboard alone, left, and the terminal given back."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tui.scripted import red_square

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")

DEADLINE_S = 60.0


ASSAY = f"{shlex.quote(sys.executable)} -c 'from tui.cli.main import main; main()'"


class Terminal:
    """A tmux server of our own with one window, 100 x 30, in which the workbench has been started."""

    def __init__(self, socket: Path, folder: Path, environment: dict[str, str]) -> None:
        self._tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        self._environment = environment
        script = f"echo $$ >shell; {ASSAY}; echo left with $?; read line; echo read $line; read end"
        self._run("new-session", "-d", "-x", "100", "-y", "30", "-s", "main", "-c", str(folder), script)

    def _run(self, *arguments: str) -> str:
        return subprocess.run(
            [*self._tmux, *arguments], env=self._environment, capture_output=True, text=True, check=True, timeout=20
        ).stdout

    def type(self, text: str) -> None:
        self._run("send-keys", "-t", "main", "-l", text)

    def press(self, *keys: str) -> None:
        self._run("send-keys", "-t", "main", *keys)

    def screen(self) -> str:
        return self._run("capture-pane", "-t", "main", "-p")

    def wait_for(self, condition: str | Callable[[str], bool]) -> str:
        """Poll the screen until it holds a text; fails with the screen after DEADLINE_S."""
        give_up = time.monotonic() + DEADLINE_S
        while True:
            screen = self.screen()
            if condition in screen if isinstance(condition, str) else condition(screen):
                return screen
            assert time.monotonic() < give_up, f"never came: {condition}\n{screen}"
            time.sleep(0.1)

    def end(self) -> None:
        self._run("kill-server")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ASSAY_", "TMUX"))}
    own = {
        "ASSAY_CONFIG": str(tmp_path / "none.toml"),
        "ASSAY_DATA_DIR": str(tmp_path / "data"),
        "ASSAY_HF_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm-256color",
        "SHELL": "/bin/sh",
    }
    with tempfile.TemporaryDirectory(prefix="assay-") as short:  # the name of a socket has little room
        terminal = Terminal(Path(short) / "tmux", tmp_path, kept | own)
        yield terminal
        terminal.end()


def test_open_chat_about_an_image_and_quit(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "shape.png").write_bytes(red_square().data)
    terminal.wait_for("Ask something.")
    terminal.wait_for("quick ○ qwen2-vl")
    terminal.type("What shape is this and what color is it? @sha")
    terminal.wait_for("shape.png")
    terminal.press("Tab")
    terminal.wait_for("✕ remove")
    terminal.press("Enter")
    screen = terminal.wait_for("first token after")
    assert "red" in screen.lower().split("what color is it?")[1]
    assert "quick ● qwen2-vl" in screen
    terminal.press("F2")
    terminal.wait_for("3 models")
    terminal.press("C-q")
    screen = terminal.wait_for("left with 0")
    assert "╭" not in screen, "the workbench has left its drawing behind"
    terminal.type("hello")
    terminal.press("Enter")
    terminal.wait_for("read hello")
    assert "Traceback" not in (tmp_path / "data" / "assay.log").read_text()


def test_a_signal_to_end_gives_the_terminal_back(terminal: Terminal, tmp_path: Path) -> None:
    terminal.wait_for("Ask something.")
    shell = (tmp_path / "shell").read_text().strip()
    processes = subprocess.run(["ps", "-A", "-o", "ppid=,pid="], capture_output=True, text=True, check=True).stdout
    (child,) = [int(pid) for parent, pid in map(str.split, processes.splitlines()) if parent == shell]
    os.kill(child, signal.SIGTERM)
    screen = terminal.wait_for("left with 0")
    assert "╭" not in screen
    terminal.type("hello")
    terminal.press("Enter")
    terminal.wait_for("read hello")
