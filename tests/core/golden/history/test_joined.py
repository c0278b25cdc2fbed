"""Runs of a part of a suite: on top of the whole one before them, and no base of a comparison in silence."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core.golden.compare.comparison import compare
from core.golden.compare.sides import open_sides
from core.golden.history.index import FILE, MIGRATIONS, RunIndex
from core.golden.history.joined import JoinedRun, joined
from core.golden.reading import load_suite
from core.golden.results import Attempt, NoSuchRun, RunFolder, Verdict
from tests.core.golden.records import attempt


def said(case: str, text: str = "red", verdict: Verdict = Verdict.PASS, **changes: Any) -> Attempt:
    tier = changes.get("tier", "full")
    values = {"key": f"{case}|ask|{tier}|m|in-process|0|0||", "case": case, "witness": None} | changes
    return attempt(text, verdict, **values)


def kept(runs: Path, *attempts: Attempt, planned: int = 0, left_out: int = 0, suite: str = "/s") -> RunFolder:
    """A run of these attempts, and of as many more that have not ended."""
    keys = [one.key for one in attempts] + [f"more{count}|ask|full|m|in-process|0|0||" for count in range(planned)]
    cases = {"left_out": {"controls": 0, "routes": [], "cases": left_out}}
    folder = RunFolder.create(runs, {"suite": {"name": suite[1:], "path": suite}, "planned": keys, **cases})
    for one in attempts:
        folder.append(one)
    folder.finish({"exit_code": 130 if planned else 0})
    return folder


def answers(folder: RunFolder) -> dict[str, str]:
    return {f"{one.case} {one.tier}": one.answer for one in folder.as_planned()}


def test_a_whole_run_stands_by_itself(tmp_path: Path) -> None:
    kept(tmp_path, said("a", "old"))
    whole = kept(tmp_path, said("a", "new"))
    found = joined(tmp_path, "last")
    assert (type(found), found.id, answers(found)) == (RunFolder, whole.id, {"a full": "new"})


def test_a_part_lies_on_the_whole_run_before_it_with_the_parts_between(tmp_path: Path) -> None:
    kept(tmp_path, said("a", "oldest"), said("z", "gone"))
    whole = kept(tmp_path, said("a", "1"), said("b", "1"), said("b", "1", tier="quick"), said("c", "1"))
    kept(tmp_path, said("a", "other"), suite="/other")
    overtaken = kept(tmp_path, said("b", "2"), left_out=2)
    stopped = kept(tmp_path, said("a", "3"), planned=2)
    last = kept(tmp_path, said("b", "4"), left_out=2)
    found = joined(tmp_path, last.id)
    assert isinstance(found, JoinedRun)
    assert [folder.id for folder in found.folders] == [whole.id, stopped.id, last.id]
    assert overtaken.id not in [folder.id for folder in found.folders]
    assert answers(found) == {"a full": "3", "b full": "4", "b quick": "1", "c full": "1"}
    assert (found.id, found.left_out) == (last.id, 0)
    assert answers(joined(tmp_path, stopped.id)) == {"a full": "3", "b full": "2", "b quick": "1", "c full": "1"}


def test_a_part_without_a_whole_run_leaves_the_rest_out(tmp_path: Path) -> None:
    kept(tmp_path, said("a", "1"), left_out=3)
    found = joined(tmp_path, kept(tmp_path, said("b", "2"), left_out=3).id)
    assert answers(found) == {"a full": "1", "b full": "2"}
    assert found.left_out == 2


def test_what_people_say_of_joined_runs_is_kept_in_each_of_them(tmp_path: Path) -> None:
    whole = kept(tmp_path, said("a"), said("b"))
    part = kept(tmp_path, said("a", "blue"), left_out=1)
    whole.note("words.jsonl", {"kind": "before"})
    joined(tmp_path, part.id).note("words.jsonl", {"kind": "now"})
    assert [line["kind"] for line in RunFolder.open(tmp_path, part.id).notes("words.jsonl")] == ["now"]
    assert [line["kind"] for line in joined(tmp_path, part.id).notes("words.jsonl")] == ["before", "now", "now"]


def test_what_joined_runs_come_to_says_what_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "p.txt").write_text("What colour?")
    whole = kept(tmp_path, said("p", verdict=Verdict.FAIL), said("b"))
    part = kept(tmp_path, said("p"), left_out=1)
    found = joined(tmp_path, part.id)
    assert isinstance(found, JoinedRun)
    found.weigh(load_suite(folder), anew=1)
    outcome = found.header["outcome"]
    assert outcome["verdicts"] == {"pass": 2}
    assert f"On top of {whole.id} lies what was asked later, in {part.id}." in outcome["notes"]
    assert any("expects now" in note for note in outcome["notes"])


def test_a_part_is_no_base_where_there_is_a_whole_run(tmp_path: Path) -> None:
    whole = kept(tmp_path, said("a", "1"), said("b", "1"))
    part = kept(tmp_path, said("a", "2", Verdict.FAIL), left_out=1)
    kept(tmp_path, said("a", "3"), planned=1)
    last = kept(tmp_path, said("a", "4"), said("b", "4"))
    assert [one.id for one in (open_sides(tmp_path, "previous", "last")[2],)] == [last.id]
    assert open_sides(tmp_path, "previous", "last")[0].label == whole.id

    base, run, _ = open_sides(tmp_path, "previous", part.id)
    found = compare(base, run)
    assert [(one.label, one.change.value) for one in found.cases] == [("a (full)", "regressed")], (
        "b was not to be asked"
    )
    assert found.notes == (f"{part.id} asked 1 of 2 cases: no others are compared.",)
    assert found.to_json()["notes"] == list(found.notes)
    named = compare(*open_sides(tmp_path, part.id, "last")[:2])
    assert [one.label for one in named.cases] == ["a (full)"]
    assert named.notes == found.notes


def test_where_there_is_no_whole_run_a_part_is_the_base_and_said_to_be(tmp_path: Path) -> None:
    stopped = kept(tmp_path, said("a", "1"), planned=3)
    kept(tmp_path, said("a", "2"))
    found = compare(*open_sides(tmp_path, "previous", "last")[:2])
    assert found.notes == (f"{stopped.id} was stopped, or goes on: 1 of 4 attempts have ended.",)
    with pytest.raises(NoSuchRun):
        open_sides(tmp_path, "previous", stopped.id)


def test_the_index_tells_parts_from_whole_runs(tmp_path: Path) -> None:
    kept(tmp_path, said("a"), said("b"), said("b", tier="quick"))
    kept(tmp_path, said("a"), left_out=1)
    with RunIndex(tmp_path) as index:
        part, whole = index.runs()
    assert (part.part, part.asked, part.left_out) == ("1 of 2 cases", 1, 1)
    assert (whole.part, whole.asked) == ("", 2)
    assert part.to_json()["left_out"] == 1


def test_an_index_of_before_learns_of_parts(tmp_path: Path) -> None:
    kept(tmp_path, said("a"), left_out=1)
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        for statement in MIGRATIONS[0]:
            db.execute(statement)
        mark = "as it is"
        db.execute("INSERT INTO runs VALUES ('x', ?, '', NULL, '', '', NULL, '[]')", (mark,))
        db.execute("PRAGMA user_version = 1")
        db.commit()
    with RunIndex(tmp_path) as index:
        assert [run.part for run in index.runs()] == ["1 of 2 cases"]
