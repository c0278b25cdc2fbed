"""Commands in real processes whose standard output cannot write every character."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.tui.cli.processes import ASSAY
from tui.cli import encoding

NAME = "qwen-日本語-7B"
ESCAPED = r"qwen-\u65e5\u672c\u8a9e-7B"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A folder of models with a name that neither Latin-1 nor ASCII has; nothing of the user's."""
    model = tmp_path / "models" / NAME
    model.mkdir(parents=True)
    (model / "config.json").write_text('{"model_type": "qwen3"}')
    own = {"ASSAY_CONFIG": "none.toml", "ASSAY_DATA_DIR": "data", "ASSAY_HF_CACHE": "cache"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ASSAY_", "LC_", "LANG"))}
    folders = {"ASSAY_MODEL_FOLDERS": json.dumps([str(tmp_path / "models")]), "COLUMNS": "100"}
    return kept | {name: str(tmp_path / value) for name, value in own.items()} | folders


def assay(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*ASSAY, *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True)


LOCALES = {
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "LC_ALL=C": {"LC_ALL": "C", "PYTHONUTF8": "0"},
    "plain C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.mark.parametrize("locale", LOCALES.values(), ids=LOCALES)
def test_a_list_of_names_that_the_pipe_cannot_write(environment: dict[str, str], locale: dict[str, str]) -> None:
    run = assay(environment | locale, "models", "list", "--all")
    assert (run.returncode, run.stderr) == (0, b"")
    lines = run.stdout.decode("utf-8", "replace").splitlines()
    assert (
        len({line.index(kind) for line in lines for kind in ("  text  ", "  vision  ", "  kind  ") if kind in line})
        == 1
    )
    assert any("qwen-" in line and "incomplete" in line for line in lines)


def test_a_name_is_spelled_not_lost(environment: dict[str, str]) -> None:
    for locale in LOCALES.values():
        shown = assay(environment | locale, "models", "list", "--all").stdout
        assert ESCAPED.encode() in shown or NAME.encode() in shown, locale
    assert NAME.encode() in assay(environment, "models", "list", "--all").stdout


def test_a_name_that_is_no_utf_8_is_spelled(environment: dict[str, str], tmp_path: Path) -> None:
    try:
        os.rename(tmp_path / "models" / NAME, os.fsencode(tmp_path / "models") + b"/caf\xe9")
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    assert rb"caf\xe9  " in assay(environment, "models", "list", "--all").stdout


def test_json_has_names_as_they_are(environment: dict[str, str]) -> None:
    found = json.loads(assay(environment | LOCALES["plain C"], "models", "list", "--all", "--json").stdout)
    assert NAME in [model["id"] for model in found]


@pytest.mark.parametrize(
    ("command", "code"), [("golden list", 0), (f"chat --model {NAME}", 0), (f"serve --model {NAME}", 4)]
)
@pytest.mark.parametrize("locale", ["latin-1", "plain C"])
def test_no_command_ends_in_a_traceback(environment: dict[str, str], command: str, code: int, locale: str) -> None:
    run = assay(environment | LOCALES[locale], *command.split())
    assert b"Traceback" not in run.stderr
    assert run.returncode == code


def test_a_run_is_shown_in_ascii(environment: dict[str, str], tmp_path: Path) -> None:
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "größe.txt").write_text("---\nquick: paris\nfull: paris\n---\nWhat is the capital of France?\n")
    run = assay(
        environment | LOCALES["ascii"], "golden", "run", str(suite), "--quick", "pocket/qwen3", "--full", "pocket/qwen3"
    )
    assert b"Traceback" not in run.stderr, run.stderr.decode()
    assert run.returncode == 0, run.stdout.decode()
    assert b"+ pass gr\\xf6\\xdfe quick pocket/qwen3 in-process" in run.stdout
    table = [line for line in run.stdout.decode("ascii").splitlines() if line.startswith("|")]
    assert len({len(line) for line in table}) == 1, "columns stand under each other"


def test_signs_of_ours_are_words_of_ascii() -> None:
    assert "✓ done · 日".encode("ascii", encoding.SPELLED) == rb"+ done ; \u65e5"
    assert "✓ · 日".encode("latin-1", encoding.SPELLED) == b"+ \xb7 \\u65e5"
