"""`assay golden run` with models that are named, one tier, and what failed last time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.golden.results import RunFolder, Verdict
from tests.core.golden.records import attempt
from tests.tui.cli.golden_places import Golden, keep_run

CAPITALS = {"France": "Paris", "Italy": "Rome"}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "golden.toml").write_text("[defaults]\ntemperature = 0.0\nthinking = false\nmax_tokens = 24\n")
    for country, city in CAPITALS.items():
        (folder / f"{country}.txt").write_text(f"What is the capital of {country}?")
        (folder / f"{country}.toml").write_text(f'expect = "{city}"\n')
    return folder


def test_models_that_are_named_make_a_matrix_and_the_worst_tells(golden: Golden, suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = golden("run", suite, "--model", "pocket/qwen3", "--model", "pocket/qwen2-vl", "--json", out)
    assert done.exit_code == 1, done.output
    lines = [line.split() for line in done.output.splitlines()]
    assert ["┃", "case", "┃", "pocket/qwen3", "┃", "pocket/qwen2-vl", "┃"] in lines
    assert ["│", "France", "│", "✓", "│", "✗", "│"] in lines
    assert '✗ Italy pocket/qwen2-vl: no word "Rome"' in done.output
    assert "Nothing passed on the full tier by pocket/qwen2-vl, of 2 answers." in done.output
    assert "pocket/qwen3 2/2 · pocket/qwen2-vl 0/2" in done.output
    told = json.loads(out.read_text())
    assert {(one["tier"], one["model"]["id"]) for one in told["attempts"]} == {
        ("full", "pocket/qwen3"),
        ("full", "pocket/qwen2-vl"),
    }
    assert told["run"]["options"]["models"] == ["pocket/qwen3", "pocket/qwen2-vl"]
    compared = golden("compare", ":pocket/qwen3", "last:pocket/qwen2-vl")
    assert compared.exit_code == 3
    assert "2 cases: 2 regressed." in compared.output
    assert golden("check").exit_code == 1
    folder = RunFolder.open(tmp_path / "data" / "runs", "last")
    kept = folder.attempts()
    resumed = golden("run", "--resume", "last", "-v")  # nothing is left to ask, and all of it is shown
    assert resumed.exit_code == 1
    assert "✗ fail  pocket/qwen2-vl" in resumed.output
    assert folder.attempts() == kept


def test_names_that_cannot_be_asked_are_refused_at_once(golden: Golden, suite: Path) -> None:
    assert "nobody" in golden("run", suite, "--model", "nobody").output
    done = golden("run", suite, "--model", "pocket/qwen3", "--full", "pocket/qwen3")
    assert done.exit_code == 2
    assert "leave one of them out" in done.output


def test_what_failed_last_time_is_asked_again_on_the_tier_that_is_named(
    golden: Golden, suite: Path, tmp_path: Path
) -> None:
    assert "has not been run" in golden("run", suite, "--failed").output
    failed = attempt(verdict=Verdict.FAIL, case="Italy", key="i")
    keep_run(tmp_path / "data", suite, attempt(case="France", key="f"), failed)
    done = golden("run", suite, "--failed", "--tier", "full", "--full", "pocket/qwen3")
    assert done.exit_code == 0, done.output
    last = RunFolder.open(tmp_path / "data" / "runs", "last")
    assert [(one.case, one.tier) for one in last.attempts()] == [("Italy", "full")]
    assert "Nothing failed in" in golden("run", suite, "--failed").output
