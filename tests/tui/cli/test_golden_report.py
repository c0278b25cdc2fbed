"""`assay golden report` as it is typed."""

from __future__ import annotations

from pathlib import Path

from core.golden.reading import load_suite
from core.golden.results import Verdict
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


def test_a_report_stands_beside_the_run_that_is_named(golden: Golden, tmp_path: Path) -> None:
    keep_run(tmp_path / "data", tmp_path / "gone", attempt(case="a"))
    keep_run(tmp_path / "data", tmp_path / "gone", attempt("blue", Verdict.FAIL, case="a"))
    assert golden("report", tmp_path / "run.md", "--base", "previous").exit_code == 0
    assert "❌ fail |  | regressed |" in (tmp_path / "run.md").read_text()
    refused = golden("report", tmp_path / "run.md", "--base", "nope")
    assert refused.exit_code == 2
    assert "There is no run nope" in refused.output


def test_a_run_and_a_suite_go_out_for_other_programs(golden: Golden, tmp_path: Path) -> None:
    suite = tmp_path / "mine"
    suite.mkdir()
    (suite / "a.txt").write_text("What colour?")
    (suite / "a.toml").write_text('expect = { equals = "red" }\n')
    (case,) = load_suite(suite).cases
    keep_run(tmp_path / "data", suite, attempt(case="a", ask_sha=case.ask_sha))
    assert golden("export", tmp_path / "logs", "--to", "inspect").exit_code == 0
    assert len(list((tmp_path / "logs").glob("*.json"))) == 1
    for name, more in (("run", ()), ("suite", ("--suite", suite))):
        told = golden("export", tmp_path / name, "--to", "promptfoo", *more)
        assert told.exit_code == 0, told.output
        config = (tmp_path / name / "promptfooconfig.yaml").read_text()
        assert ("providerOutput: red" in config) == (name == "run")
    again = golden("export", tmp_path / "run", "--to", "promptfoo")
    assert again.exit_code == 2
    assert "is there already" in again.output
    assert golden("export", tmp_path / "x", "--to", "inspect", "--suite", suite).exit_code == 2
