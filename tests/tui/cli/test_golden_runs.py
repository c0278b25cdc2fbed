"""`assay golden runs` as a person and a program read it."""

from __future__ import annotations

import json
from pathlib import Path

from core.golden.results import Verdict
from tests.core.golden.records import attempt
from tests.tui.cli.golden_places import Golden, keep_run


def test_runs_and_trends_are_listed(golden: Golden, tmp_path: Path) -> None:
    first = golden("runs")
    assert first.exit_code == 0
    assert "There is no run yet" in first.output
    suite, data = tmp_path / "mine", tmp_path / "data"
    one = keep_run(data, suite, attempt(case="a"))
    two = keep_run(data, suite, attempt(verdict=Verdict.FAIL, case="a"))
    keep_run(data, tmp_path / "other", attempt(case="b"))
    lines = golden("runs", suite).output.splitlines()
    assert lines == [f"{two.id} mine full 0/1 exit 0  m", f"{one.id} mine full 1/1 exit 0  m", "2 runs."]
    assert "as many as --limit says at most (1)" in golden("runs", "--limit", "1").output
    trend = golden("runs", "--case", "a").output.splitlines()
    assert trend[0] == f"✓✗· a (full, m): 1 of 2 tries held, turned in {two.id}"
    told = json.loads(golden("runs", "--json", "-", "--rebuild").stdout)
    assert [run["suite"] for run in told] == ["other", "mine", "mine"]
    told = json.loads(golden("runs", suite, "--case", "a", "--json", "-").stdout)
    assert told[0]["points"][0] == {"run": one.id, "passes": 1, "tries": 1}
