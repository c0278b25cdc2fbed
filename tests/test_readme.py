"""Every command of the README, typed as it stands. Long ones are shortened by a flag, never left out."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT, outside

DEADLINE_S = 240
SHORTENED = {
    "uv run assay bench pocket/qwen3": " --prompts 32 --rows 1 --tokens 16 --repeats 1",
    "uv run assay golden run --route all --json golden.json": " --case factual_question --case ocr_text",
    "uv run pytest -q": " --collect-only tests/server/openai",
    "uv run pytest -q tests/core/mlx": " --collect-only",
    "uv run python -m tests.lint": " --list",
    "uv run --extra train python -m core.pocket.train all": " --help",
    "uv run --extra train python -m core.pocket.train measure": " --help",
}
"""What is appended to commands that run for minutes, or that run this very test."""

SERVE = "uv run assay serve --port 8484"


def commands() -> list[str]:
    """The shell commands of the README in order, continued lines joined."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


LIVE = ("assay golden record", "assay golden shadow")
"""What follows a server that runs."""


def is_workbench(command: str) -> bool:
    return command.endswith("assay")


def is_live(command: str) -> bool:
    return any(name in command for name in LIVE)


PLAIN = [
    line
    for line in commands()
    if not is_workbench(line) and not is_live(line) and line != SERVE and not line.startswith("curl")
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where uv makes the project's virtual environment: with --no-dev it takes out what these tests run on."""
    return tmp_path_factory.mktemp("readme") / "venv"


@pytest.fixture
def env(tmp_path: Path, home: Path) -> dict[str, str]:
    """A newcomer's environment: no virtual environment is active, and nothing of the user's is touched."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ASSAY_", "PYTEST_"))}
    kept.pop("VIRTUAL_ENV", None)
    kept["PATH"] = os.pathsep.join(part for part in kept["PATH"].split(os.pathsep) if not part.startswith(sys.prefix))
    return kept | {
        "UV_PROJECT_ENVIRONMENT": str(home),
        "ASSAY_DATA_DIR": str(tmp_path / "data"),
        "ASSAY_CACHE_DIR": str(outside.CACHE),
        "ASSAY_CONFIG": str(tmp_path / "settings.toml"),
        "ASSAY_HF_CACHE": str(tmp_path / "cache"),
        "PIP_ROOT_USER_ACTION": "ignore",
    }


def shell(command: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


def test_the_readme_has_its_commands() -> None:
    found = commands()
    assert [line for line in found if "pip install" in line and is_workbench(line)]
    assert [line for line in found if "pip install" in line and "pytest" in line]
    assert SERVE in found


@pytest.mark.parametrize("command", PLAIN)
def test_a_command_does_what_the_readme_says(command: str, env: dict[str, str], tmp_path: Path) -> None:
    last = command.rsplit(" && ", 1)[-1]
    typed = (command + SHORTENED.get(last, "")).replace("golden.json", str(tmp_path / "golden.json"))
    runs = 2 * ("golden compare" in typed) or any(f"golden {name}" in typed for name in ("check", "explain"))
    for _ in range(runs):  # they look at earlier runs, as one that reads on has made them
        typed = f"uv run assay golden run --case factual_question && {typed}"
    done = shell(typed, env)
    assert done.returncode == 0, done.stdout + done.stderr
    if "--json" in typed:
        assert json.loads((tmp_path / "golden.json").read_text())["attempts"]
    if "assay chat" in typed:
        assert "Paris" in done.stdout


@pytest.mark.parametrize("size", [(40, 120), (0, 0)], ids=["120x40", "no size told"])
@pytest.mark.parametrize("command", [line for line in commands() if is_workbench(line)])
def test_the_workbench_opens_and_quits(command: str, size: tuple[int, int], env: dict[str, str]) -> None:
    screen = Terminal(command, env, size)
    try:
        screen.wait_for(b"qwen2-vl")
        screen.send(b"\x11")  # ctrl+q
        assert screen.ended() == 0
    finally:
        screen.kill()


@pytest.fixture
def served(env: dict[str, str]) -> Iterator[dict[str, str]]:
    """The README's server on a port of the system's choosing; yields the environment with its address."""
    process = subprocess.Popen(
        ["bash", "-c", "exec " + SERVE.replace("8484", "0")],
        cwd=ROOT,
        env=env | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if found:
            yield env | {"TEST_PORT": found.group(1)}
            break
    else:
        pytest.fail(f"the server told no address:\n{said}")
    process.send_signal(signal.SIGINT)
    process.stdout.read()
    assert process.wait(30) == 0


@pytest.mark.parametrize("command", [line for line in commands() if line.startswith("curl")])
def test_curl_gets_an_answer_from_the_server(command: str, served: dict[str, str]) -> None:
    done = shell(command.replace("8484", served["TEST_PORT"]), served)
    assert done.returncode == 0, done.stderr
    assert "Rome" in json.loads(done.stdout)["choices"][0]["message"]["content"]


def test_what_the_server_was_asked_is_recorded_and_asked_of_another(served: dict[str, str], tmp_path: Path) -> None:
    (curl,) = [line for line in commands() if line.startswith("curl")]
    assert shell(curl.replace("8484", served["TEST_PORT"]), served).returncode == 0
    env = served | {"ASSAY_PORT": served["TEST_PORT"]}
    record, shadow = (
        line.replace("--for 1h", "--held --for 0s").replace("my-suite", str(tmp_path / "my-suite"))
        for line in commands()
        if is_live(line)
    )
    done = shell(record, env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in tmp_path.rglob("*.txt")] == ["what-is-the-capital-of-italy.txt"]
    done = shell(shadow, env)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "pocket/gemma3 would have answered 0 of 1 request as pocket/qwen3 did." in done.stdout


class Terminal:
    """A program on a pseudo-terminal of rows and columns."""

    def __init__(self, command: str, env: dict[str, str], size: tuple[int, int] = (40, 120)) -> None:
        self._pid, self._screen = pty.fork()
        if self._pid == 0:
            os.chdir(ROOT)
            os.execvpe("bash", ["bash", "-c", command], env | {"TERM": "xterm-256color"})
        termios.tcsetwinsize(self._screen, size)
        self._seen = b""
        self._status: int | None = None

    def wait_for(self, words: bytes) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while words not in self._seen:
            self._read(deadline)

    def send(self, keys: bytes) -> None:
        os.write(self._screen, keys)

    def ended(self) -> int:
        """The exit code, once the program has closed its terminal."""
        deadline = time.monotonic() + DEADLINE_S
        try:
            while True:
                self._read(deadline)
        except OSError:  # Linux answers so when the other side is gone
            pass
        _, status = os.waitpid(self._pid, 0)
        self._status = status
        return os.waitstatus_to_exitcode(status)

    def kill(self) -> None:
        if self._status is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._screen)

    def _read(self, deadline: float) -> None:
        ready, _, _ = select.select([self._screen], [], [], max(deadline - time.monotonic(), 0))
        assert ready, f"nothing new on the screen; it showed {self._seen[-2000:]!r}"
        piece = os.read(self._screen, 65536)
        if not piece:
            raise OSError("closed")
        self._seen += piece
