"""Graded checks on the command line: allowed by a flag or a setting, and marked in the table and below it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.cli.golden_places import ONE_MODEL, Golden


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "golden.toml").write_text(ONE_MODEL)
    (folder / "checks.py").write_text("def named(answer, about):\n    return 'Paris' in answer or 'no Paris'\n")
    (folder / "capital.txt").write_text("What is the capital of France?")
    (folder / "capital.toml").write_text('expect = { python = "checks.py:named" }\n')
    return folder


def test_a_suites_python_runs_when_it_is_allowed_and_its_pass_is_marked(
    golden: Golden, suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = golden("run", suite)
    assert refused.exit_code == 1
    assert "the suite's Python may not run: --allow-python" in " ".join(refused.output.split())
    allowed = golden("run", suite, "--allow-python")
    assert allowed.exit_code == 0
    assert "✓ pass (graded)" in allowed.output
    assert "2 cases hold only by graded checks, which are not exact: capital" in " ".join(allowed.output.split())
    assert "2 by graded checks" in allowed.output
    monkeypatch.setenv("ASSAY_GOLDEN_PYTHON", str(suite))
    assert golden("run", suite, "--model", "pocket/qwen3").exit_code == 0
