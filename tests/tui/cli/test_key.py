"""`assay key` and its commands, as processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MAIN = "from tui.cli.main import main; main()"


@pytest.fixture
def assay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> object:
    monkeypatch.setenv("ASSAY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ASSAY_CONFIG", str(tmp_path / "settings.toml"))

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", MAIN, "key", *words], capture_output=True, text=True, timeout=60)

    return run


def test_the_owners_key_and_those_of_programs(assay: object) -> None:
    owner = assay()
    assert owner.stdout.startswith("assay-")
    assert assay().stdout == owner.stdout
    assert "assay key add NAME" in assay("list").stdout
    made = assay("add", "open-webui").stdout.strip()
    assert made.startswith("assay-")
    assert made != owner.stdout.strip()
    listed = assay("list").stdout
    assert "open-webui" in listed
    assert f"…{made[-4:]}" in listed
    assert made not in listed
    again = assay("add", "open-webui")
    assert (again.returncode, again.stdout) == (2, "")
    assert "There is a key named 'open-webui' already." in again.stderr
    assert "opens nothing any more" in assay("revoke", "open-webui").stdout
    gone = assay("revoke", "open-webui")
    assert (gone.returncode, "Keys with a name: none." in gone.stderr) == (2, True)


def test_help_names_the_commands(assay: object) -> None:
    told = assay("--help").stdout
    for word in ("add", "list", "revoke", "/admin"):
        assert word in told
