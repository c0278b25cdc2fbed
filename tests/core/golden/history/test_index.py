"""The index of runs: it follows the files, and can be lost."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from core.golden.history.index import FILE, RunIndex
from core.golden.results import Attempt, RunFolder, Status, Verdict
from tests.core.golden.records import attempt

FAIL = Verdict.FAIL


def said(case: str, verdict: Verdict = Verdict.PASS, **changes: Any) -> Attempt:
    sampled = {"sent": {"temperature": 0.7}, "witness": None}
    return attempt(verdict=verdict, case=case, **{"key": f"{case} {changes}", **sampled, **changes})


def kept(runs: Path, *attempts: Attempt, suite: str = "/s", ended: bool = True) -> RunFolder:
    head = {"suite": {"name": suite[1:], "path": suite}, "planned": [one.key for one in attempts]}
    folder = RunFolder.create(runs, head)
    for one in attempts:
        folder.append(one)
    if ended:
        folder.finish({"exit_code": 1})
    folder.close()
    return folder


def test_runs_are_found_by_suite_the_latest_first(tmp_path: Path) -> None:
    first = kept(tmp_path, said("a"), said("b", FAIL), said("a", tier="quick", model={"id": "q"}))
    kept(tmp_path, said("a"), suite="/other")
    last = kept(tmp_path, said("a", FAIL, control="blind"), ended=False)
    with RunIndex(tmp_path) as index:
        assert [run.suite for run in index.runs()] == ["s", "other", "s"]
        newest, oldest = index.runs(Path("/s"))
        assert [run.id for run in index.runs(limit=1)] == [last.id]
    assert (oldest.id, oldest.exit_code, oldest.models) == (first.id, 1, ("m", "q"))
    assert list(oldest.held.items()) == [("quick", (1, 1)), ("full", (1, 2))]
    assert (newest.exit_code, newest.ended, newest.held) == (None, None, {})
    assert oldest.to_json()["held"] == {"quick": [1, 1], "full": [1, 2]}


def test_the_trend_of_a_case_has_a_point_for_each_run(tmp_path: Path) -> None:
    one = kept(tmp_path, said("v/a"), said("v/b"))
    two = kept(tmp_path, said("v/a", FAIL), said("v/a", repeat=1))
    three = kept(tmp_path, said("v/a", FAIL), said("v/b", Verdict.ERROR, status=Status.ERROR))
    with RunIndex(tmp_path) as index:
        found = {trend.case: trend for trend in index.trends(Path("/s"))}
        assert [trend.case for trend in index.trends(None, ["v/b"])] == ["v/b"]
        assert index.trends(None, ["nothing"]) == []
    assert [(point.run, point.passes, point.tries) for point in found["v/a"].points] == [
        (one.id, 1, 1),
        (two.id, 1, 2),
        (three.id, 0, 1),
    ]
    assert found["v/a"].turned == three.id
    assert [point.tries for point in found["v/b"].points] == [1, 0]
    assert found["v/b"].turned is None


def test_the_index_follows_the_files(tmp_path: Path) -> None:
    first = kept(tmp_path, said("a"), ended=False)
    with RunIndex(tmp_path) as index:
        assert index.runs()[0].held == {"full": (1, 1)}
    more = RunFolder.open(tmp_path, first.id)
    more.append(said("a", FAIL))
    more.finish({"exit_code": 1})
    kept(tmp_path, said("b"))
    with RunIndex(tmp_path) as index:
        assert [run.held for run in index.runs()] == [{"full": (1, 1)}, {"full": (0, 1)}]
    shutil.rmtree(first.path)
    with RunIndex(tmp_path) as index:
        assert [run.held for run in index.runs()] == [{"full": (1, 1)}]


def test_a_damaged_index_is_made_anew(tmp_path: Path) -> None:
    kept(tmp_path, said("a"))
    with RunIndex(tmp_path) as index:
        whole = index.runs()
    for damage in (b"no database at all" * 400, b""):
        (tmp_path / FILE).write_bytes(damage)
        with RunIndex(tmp_path) as index:
            assert index.runs() == whole
    with RunIndex(tmp_path, rebuild=True) as index:
        assert index.runs() == whole


def test_a_run_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    kept(tmp_path, said("a"))
    (tmp_path / "29991231-000000-000000").mkdir()
    (tmp_path / "29991231-000000-000000" / "run.json").write_text("{")
    with RunIndex(tmp_path) as index:
        assert len(index.runs()) == 1


def test_a_folder_that_cannot_be_written_is_read_all_the_same(tmp_path: Path) -> None:
    kept(tmp_path, said("a"))
    (tmp_path / FILE).mkdir()
    with RunIndex(tmp_path) as index:
        assert len(index.runs()) == 1
