"""`assay golden` in this process, in a place where nothing is the user's, and runs that are kept there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from core.golden.results import Attempt, RunFolder
from tui.cli.golden import app

Golden = Callable[..., Result]

ONE_MODEL = """
[defaults]
temperature = 0.0
thinking = false
max_tokens = 32
[tiers]
quick = "pocket/qwen3"
full = "pocket/qwen3"
"""
"""A suite's golden.toml that asks one small model on both tiers."""


@pytest.fixture
def clean_env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Nothing of the user's: data, settings and cache in the test's folder; a wide terminal without colours."""
    for name in [name for name in os.environ if name.startswith("ASSAY_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "ASSAY_DATA_DIR": str(tmp_path / "data"),
        "ASSAY_CONFIG": str(tmp_path / "settings.toml"),
        "ASSAY_HF_CACHE": str(tmp_path / "cache"),
        "COLUMNS": "140",
        "NO_COLOR": "1",
    }.items():
        monkeypatch.setenv(name, value)
    return dict(os.environ)


@pytest.fixture
def golden(clean_env: dict[str, str]) -> Golden:
    """Run the command line in this process; for what needs no engine of its own."""
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, list(map(str, arguments)), catch_exceptions=False)


def keep_run(data: Path, suite: Path, *attempts: Attempt, **head: Any) -> RunFolder:
    """A run of these attempts, as it lies in the data folder once it has ended."""
    about = {"suite": {"name": suite.name, "path": str(suite)}, "planned": [one.key for one in attempts]}
    folder = RunFolder.create(data / "runs", {**about, **head})
    for one in attempts:
        folder.append(one)
    folder.finish({"exit_code": 0})
    return folder
