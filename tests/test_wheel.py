"""The wheel, built and installed as a user gets it, in a folder that would shadow its packages if it could."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests import ROOT, outside

UV = os.environ.get("UV") or shutil.which("uv")


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `assay` of a clean virtual environment that holds nothing but the wheel and what it asks for."""
    assert UV, "uv is needed to build the wheel: python3 -m pip install uv"
    home = tmp_path_factory.mktemp("wheel")
    run(UV, "build", "--wheel", "--out-dir", home / "dist", ROOT, cwd=home)
    (wheel,) = (home / "dist").glob("*.whl")
    date = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["exclude-newer"]
    run(UV, "venv", "--python", sys.executable, home / "venv", cwd=home)
    run(UV, "pip", "install", "--python", home / "venv", "--exclude-newer", date, wheel, cwd=home)
    return home / "venv" / "bin" / "assay"


@pytest.fixture
def decoys(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A folder with packages of our packages' names that fail on import, and an environment that is nobody's."""
    for name in ("core", "server", "tui"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise ImportError('the decoy {name} was imported')\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ASSAY_", "PYTHON", "HF_"))}
    kept |= {
        "ASSAY_DATA_DIR": str(tmp_path / "data"),
        "ASSAY_CACHE_DIR": str(outside.CACHE),
        "ASSAY_HF_CACHE": str(tmp_path / "cache"),
        "ASSAY_CONFIG": str(tmp_path / "settings.toml"),
    }
    return tmp_path, kept


def test_the_version_is_told(installed: Path, decoys: tuple[Path, dict[str, str]]) -> None:
    folder, env = decoys
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert run(installed, "--version", cwd=folder, env=env).stdout.split() == ["assay", version]


def test_a_golden_run_passes_on_the_shipped_models(installed: Path, decoys: tuple[Path, dict[str, str]]) -> None:
    folder, env = decoys
    run(installed, "golden", "run", "--case", "*factual*", "--json", "out.json", cwd=folder, env=env)
    report = json.loads((folder / "out.json").read_text())
    assert [attempt["verdict"] for attempt in report["attempts"]] == ["pass"] * len(report["attempts"])
    assert len(report["attempts"]) >= 1
