"""`assay golden report` as it is typed."""

from __future__ import annotations

from pathlib import Path

from tests.core.golden.records import attempt
from tests.tui.cli.golden_places import Golden, keep_run


def test_a_run_is_written_by_the_files_endings(golden: Golden, tmp_path: Path) -> None:
    keep_run(tmp_path / "data", tmp_path / "gone", attempt(case="a"))
    files = [tmp_path / f"run.{ending}" for ending in ("html", "md", "csv", "xml")]
    assert golden("report", *files).exit_code == 0
    assert all("a" in file.read_text() for file in files)
    wrong = golden("report", tmp_path / "run.pdf")
    assert wrong.exit_code == 2
    assert ".html a page" in wrong.output
    assert golden("report", tmp_path / "none" / "run.md").exit_code == 2
