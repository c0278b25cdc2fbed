"""Runs of a part of a suite, on the command line: told apart, and on top of the whole run before them."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.golden.compare.sides import open_sides
from core.golden.history.joined import meant
from core.golden.reading import load_suite
from core.golden.results import Attempt, RunFolder, Verdict
from tests.core.golden.history.test_joined import kept, said
from tests.tui.cli.golden_places import Golden
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


@pytest.fixture
def parted(golden: Golden, tmp_path: Path) -> tuple[RunFolder, RunFolder]:
    """A whole run of two cases on two tiers, and a later one of a case on a tier, which has another answer."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.txt").write_text(f"What colour is {name}?")
    asks = {case.id: case.ask_sha for case in load_suite(folder).cases}
    runs = tmp_path / "data" / "runs"

    def answer(case: str, tier: str, text: str) -> Attempt:
        return said(case, text, tier=tier, ask_sha=asks[case], model={"id": f"lab/{tier}"})

    told = [answer(case, tier, f"{tier} {case}") for case in asks for tier in ("quick", "full")]
    whole = kept(runs, *told, suite=str(folder))
    return whole, kept(runs, answer("a", "full", "another a"), left_out=1, suite=str(folder))


def test_the_last_run_lies_on_top_of_the_whole_one(
    golden: Golden, parted: tuple[RunFolder, RunFolder], tmp_path: Path
) -> None:
    whole, part = parted
    told = golden("duel", "--results")
    assert f"note: {part.id} asked a part of the suite and lies on top of {whole.id}; by its name" in told.output
    assert "0 of 2 pairs" in told.output
    assert golden("report", tmp_path / "page.md").exit_code == 0
    page = (tmp_path / "page.md").read_text()
    assert page.count("pass |") == 4
    assert f"On top of {whole.id} lies what was asked later" in page
    assert golden("export", tmp_path / "logs", "--to", "inspect").exit_code == 0
    assert len(list((tmp_path / "logs").iterdir())) == 2
    accepted = golden("accept")
    assert f"4 answers of {part.id} accepted." in accepted.output
    texts = {file.read_text().rpartition("+++\n")[2].strip() for file in (tmp_path / "mine" / "accepted").iterdir()}
    assert texts == {"quick a", "another a", "quick b", "full b"}


def test_a_part_stands_alone_by_its_name(golden: Golden, parted: tuple[RunFolder, RunFolder], tmp_path: Path) -> None:
    whole, part = parted
    assert golden("report", tmp_path / "page.md", "--run", part.id).output.endswith(f"1 case of {part.id}.\n")
    accepted = golden("accept", part.id)
    assert "note:" not in accepted.output
    assert f"1 answer of {part.id} accepted." in accepted.output
    assert golden("report", tmp_path / "page.md", "--base", whole.id).exit_code == 0
    assert "changed |" in (tmp_path / "page.md").read_text()
    assert golden("report", tmp_path / "page.md", "--base", ":quick").exit_code == 0


def test_what_is_explained_may_have_been_asked_before_a_part(
    parted: tuple[RunFolder, RunFolder], tmp_path: Path
) -> None:
    runs = tmp_path / "data" / "runs"
    left, right, _ = open_sides(runs, ":quick", "last:full", meant)
    assert [one.answer for one in left.attempts] == ["quick a", "quick b"]
    assert sorted(one.answer for one in right.attempts) == ["another a", "full b"]
