"""Runs of a part of a suite, on the command line: told apart, and on top of the whole run before them."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.golden.results import Verdict
from tests.core.golden.history.test_joined import kept, said
from tui.cli.golden_compare import compare_runs
from tui.cli.golden_run import failed_before
from tui.cli.golden_runs import list_runs


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSAY_DATA_DIR", str(tmp_path))
    return tmp_path / "runs"


def test_runs_of_a_part_say_so(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept(runs, said("a"), said("b"))
    kept(runs, said("a"), left_out=1)
    assert list_runs(None, (), 20, None, rebuild=False) == 0
    part, whole, _ = capsys.readouterr().out.splitlines()
    assert " 1 of 2 cases full 1/1 " in part
    assert "of 2 cases" not in whole


def test_what_failed_is_told_from_all_that_was_asked_last(runs: Path) -> None:
    bad = {"verdict": Verdict.FAIL}
    kept(runs, said("a", **bad), said("b", **bad), said("c"))
    kept(runs, said("a"), left_out=2)
    assert failed_before(runs, Path("/s")) == ["b"]


def test_a_comparison_with_a_part_says_so(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = kept(runs, said("a", "1"), said("b", "1"))
    part = kept(runs, said("a", "2"), left_out=1)
    assert compare_runs("previous", "last", None, None, verbose=False) == 0
    told = capsys.readouterr().out
    assert f"{whole.id} → {part.id}" in told
    assert f"note: {part.id} asked 1 of 2 cases: no others are compared." in told
    assert "1 case: 1 changed." in told
