"""`assay golden compare` as a person and a CI job meet it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.golden.results import Verdict
from tests.core.golden.records import attempt
from tests.tui.cli.golden_places import Golden, keep_run


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    folder = tmp_path / "suite"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.txt").write_text("?")
    return folder


@pytest.fixture
def two_runs(tmp_path: Path, suite: Path) -> tuple[str, str]:
    before = [attempt("red", case="a", key="a"), attempt("red", case="b", key="b"), attempt("red", case="c", key="c")]
    after = [
        attempt("blue", Verdict.FAIL, case="a", key="a", why='there is no "red"'),
        attempt("a red one", case="b", key="b"),
        attempt("red", case="c", key="c"),
    ]
    return keep_run(tmp_path / "data", suite, *before).id, keep_run(tmp_path / "data", suite, *after).id


def test_flips_are_named_first_and_a_regression_is_exit_code_3(golden: Golden, two_runs: tuple[str, str]) -> None:
    done = golden("compare")
    assert done.exit_code == 3
    lines = done.output.splitlines()
    assert lines[0] == f"{two_runs[0]} → {two_runs[1]}"
    assert lines[1].split() == ["✗", "regressed", "a", "(full)", "1", "of", "1", "→", "0", "of", "1"]
    assert lines[2:4] == ["    - red", '    + blue  [there is no "red"]']
    assert lines[4].split()[:4] == ["≠", "changed", "b", "(full)"]
    assert "c (full)" not in done.output
    assert "full: 3 of 3 held, now 2; 1 held less often and 0 more often, -33% (95 % " in done.output
    assert "McNemar exact p = 1: may be luck." in done.output
    assert "3 cases: 1 regressed, 1 changed, 1 same." in done.output
    assert lines[-1] == "1 case regressed on the full tier, and max_regressions is 0."
    assert "= same      c (full)" in golden("compare", "-v").output


def test_gates_let_regressions_pass(golden: Golden, two_runs: tuple[str, str], suite: Path) -> None:
    assert golden("compare", "--max-regressions", "1").exit_code == 0
    (suite / "golden.toml").write_text("[gates]\nfull = { max_regressions = 1 }\n")
    assert golden("compare").exit_code == 0
    (suite / "golden.toml").write_text("[gates]\nfull = { max_regressions = 0 }\n")
    assert "1 case regressed on the full tier, and max_regressions is 0." in golden("compare").output
    (suite / "golden.toml").unlink()
    for file in suite.iterdir():
        file.unlink()
    suite.rmdir()
    assert "note: max_regressions of the suite is not known" in golden("compare").output


def test_the_comparison_as_json(golden: Golden, two_runs: tuple[str, str]) -> None:
    done = golden("compare", *two_runs, "--json", "-")
    assert done.exit_code == 3
    told = json.loads(done.stdout)
    assert told["counts"] == {"regressed": 1, "changed": 1, "same": 1}
    assert told["cases"][0]["case"] == "a"
    assert told["cases"][0]["class"] == "regressed"
    assert told["cases"][0]["run"]["answer"] == "blue"
    assert told["balances"][0]["mcnemar_p"] == 1.0
    assert told["exit_code"] == 3


def test_runs_that_are_not_there_are_exit_code_2(golden: Golden, two_runs: tuple[str, str]) -> None:
    for names in (["nothing"], ["previous", "nothing"], ["last:nobody"], [two_runs[0], two_runs[0] + ":x"]):
        assert golden("compare", *names).exit_code == 2
    done = golden("compare", "previous", two_runs[0])
    assert "There is no run before" in done.output
