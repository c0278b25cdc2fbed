"""Commands in real processes, over models whose names, files and templates try to steer the terminal."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.pocket import POCKET_MODELS
from tests.tui.cli.processes import ASSAY, on_a_terminal
from tui.cli import serve_loop

CLIPBOARD = "\x1b]52;c;aGk=\x07"
TITLE = "\x1b]0;owned\x07"
BROKEN = f"two\nlines\x1b[2J[x]{TITLE}"
"""The name of a folder with a model that cannot be used."""
CHATS = "chats"
RAISES = f"{{{{ raise_exception('no: {CLIPBOARD}{TITLE}\\x9b2J') }}}}"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Two models: one of an odd name, one whose template raises an error with codes in it."""
    models = tmp_path / "models"
    (models / BROKEN).mkdir(parents=True)
    (models / BROKEN / "config.json").write_text(json.dumps({"model_type": "qwen3"}))
    shutil.copytree(next(model for model in POCKET_MODELS if model.id == "pocket/qwen3").folder, models / CHATS)
    (models / CHATS / "chat_template.jinja").write_text(RAISES)
    own = {"ASSAY_CONFIG": "none.toml", "ASSAY_DATA_DIR": "data", "ASSAY_HF_CACHE": "cache"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    folders = {"ASSAY_MODEL_FOLDERS": json.dumps([str(models)]), "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    return kept | {name: str(tmp_path / value) for name, value in own.items()} | folders


def piped(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ASSAY, *arguments], env=environment, input="", capture_output=True, text=True, timeout=60)


def steers(text: str) -> set[str]:
    """The control characters in what a terminal gets, beside those of its own line ends."""
    return {sign for sign in text.replace("\r\n", "\n") if sign < " " or "\x7f" <= sign < "\xa0"} - {"\n", "\t"}


def test_the_error_of_a_template_in_a_chat_at_a_terminal(environment: dict[str, str]) -> None:
    told = on_a_terminal(environment, "chat", "--model", CHATS, typed=b"Hello!\n\x04").stdout
    assert "no: ]52;c;aGk=]0;owned" in told
    assert not steers(told)


@pytest.mark.parametrize(
    "command",
    [
        ["models", "list", "--all"],
        ["chat", "--model", BROKEN],
        ["serve", "--port", "0", "--model", BROKEN],
        ["golden", "run", f"/none{CLIPBOARD}"],
        ["golden", "check", f"run{CLIPBOARD}"],
        ["models", "import", f"/none{TITLE}.gguf"],
        [f"com{TITLE}mand"],
        ["serve", f"--{CLIPBOARD}"],
    ],
    ids=lambda command: " ".join(command[:2]).encode("unicode_escape").decode(),
)
def test_no_command_passes_codes_on(environment: dict[str, str], command: list[str]) -> None:
    run = piped(environment, *command)
    assert not steers(run.stdout)
    assert not steers(run.stderr)
    assert "owned" in run.stdout + run.stderr or "52;c" in run.stdout + run.stderr


def test_a_table_on_a_terminal_has_no_codes_but_its_own(environment: dict[str, str]) -> None:
    told = on_a_terminal(environment, "models", "list", "--all").stdout
    assert "owned" in told
    assert not steers(told)


def test_a_name_of_two_lines_is_one_line_of_a_list(environment: dict[str, str]) -> None:
    lines = piped(environment, "models", "list", "--all").stdout.splitlines()
    assert [line for line in lines if line.startswith("two lines[2J[x]]0;owned ")]
    assert not [line for line in lines if line.startswith("lines")]


def test_no_command_has_a_console_of_its_own() -> None:
    """One that is not `tui.cli.console`'s would draw through the guarded streams, and lose its codes there."""
    own = re.compile(r"\bConsole\(")
    modules = [file for file in Path(serve_loop.__file__).parent.glob("*.py") if file.name != "console.py"]
    found = [file.name for file in modules if own.search(file.read_text())]
    assert not found


def test_what_is_drawn_and_what_is_printed_keep_their_order() -> None:
    program = (
        "from tui.cli.encoding import guard_streams; guard_streams()\n"
        "from tui.cli.console import new_console\n"
        "console = new_console()\n"
        "for number in range(3):\n"
        "    print(f'printed {number}\\x1b')\n"
        "    console.print(f'drawn {number} [b]:smile:\\x1b')\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert run.stdout.splitlines() == [
        line for number in range(3) for line in (f"printed {number}", f"drawn {number} [b]:smile:")
    ]


def test_a_traceback_and_a_warning_pass_the_choke_point() -> None:
    program = (
        "import warnings; from tui.cli.encoding import guard_streams; guard_streams()\n"
        "warnings.warn('odd \\x1b[2J')\n"
        "raise LookupError('odd \\x1b[2J')\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert run.stderr.count("odd [2J") == 2
    assert not steers(run.stderr)


@pytest.mark.parametrize("terminal", [True, False])
def test_examples_hold_the_key_on_a_terminal_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    serve_loop._announce("http://127.0.0.1:1", "assay-secret", "m")
    said = capsys.readouterr().err
    assert ("assay-secret" in said) is terminal
    assert (serve_loop.HIDDEN_KEY in said) is not terminal
    assert "`assay key` prints the key." in said
