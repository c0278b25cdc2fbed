"""Records, and what a run leaves on disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from core.calls.events import ToolCall
from core.errors import LoadFailed
from core.golden.record import Circumstances, failed, skipped
from core.golden.results import Attempt, NoSuchRun, RunBusy, RunFolder, Verdict, document
from tests.core.golden.records import attempt, judge, planned, said


def test_a_record_holds_what_was_asked_and_what_came() -> None:
    record = judge(planned(), "run", said("A red box."), Circumstances(True, 1.5, 2_000_000_000, "float32")).to_json()
    assert record["id"] == "run.0003"
    model = {"id": "m", "revision": "r1", "quant": "4-bit", "fingerprint": "f1", "precision": "float32"}
    assert record["model"] == model
    assert record["sent"]["seed"] == 5
    assert (record["claimed"], record["witness"]) == (True, None)
    assert record["usage"]["prompt"] == 11
    assert record["perf"] == {
        "warmth": "unknown",
        "load_s": 1.5,
        "queued_s": 0.0,
        "ttft_s": 0.5,
        "total_s": 1.0,
        "prefill_tps": 0.0,
        "decode_tps": 40.0,
        "peak_gb": 2.0,
    }
    assert record["checks"][0] == {"name": "expect", "expr": "red", "pass": True, "hits": [["red", 2, 5]], "failed": []}
    assert (record["answer"], record["reasoning"], record["finish"]) == ("A red box.", "hm", "stop")
    assert (record["status"], record["verdict"]) == ("ok", "pass")


def test_a_record_reads_back_as_it_was() -> None:
    result = said("")
    result.tool_calls = [ToolCall("1", "f", '{"a": [1]}'), ToolCall("2", "g", "{broken")]
    for each in (
        judge(planned({"tool": "f"}), "run", result, Circumstances()),
        failed(planned(), "run", LoadFailed("It does not load.")),
        skipped(planned(model=None, skip="not on disk"), "run"),
    ):
        assert Attempt.from_json(json.loads(json.dumps(each.to_json()))) == each


def test_a_killed_run_loses_nothing_that_had_ended(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "runs", {"asked": {"quick": None}})
    first, second = attempt("red"), attempt("\u2028 r\u0085ed \ud800", key="second")
    folder.append(first)
    folder.append(second)
    with (folder.path / "attempts.jsonl").open("a") as file:
        file.write('{"v":1,"id":"torn')
    folder.close()
    again = RunFolder.open(tmp_path / "runs", folder.id)
    assert again.header["asked"] == {"quick": None}
    assert again.attempts() == [first, second]
    third = attempt("later", key="third")
    again.append(third)
    again.finish({"exit_code": 0})
    last = RunFolder.open(tmp_path / "runs", "last")
    assert last.attempts() == [first, second, third]
    assert last.header["outcome"] == {"exit_code": 0}


def test_an_attempt_is_on_disk_as_soon_as_it_has_ended(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, {})
    folder.append(attempt("red"))
    assert len((folder.path / "attempts.jsonl").read_text().splitlines()) == 1
    folder.close()


def test_of_runs_begun_in_one_second_the_last_is_the_latest(tmp_path: Path) -> None:
    made = [RunFolder.create(tmp_path, {}).id for _ in range(5)]
    assert made == sorted(made)
    assert RunFolder.open(tmp_path, "last").id == made[-1]


def test_a_run_that_does_not_exist_is_refused_with_the_latest(tmp_path: Path) -> None:
    with pytest.raises(NoSuchRun, match="There is none yet"):
        RunFolder.open(tmp_path, "last")
    made = RunFolder.create(tmp_path, {})
    with pytest.raises(NoSuchRun, match=f"The latest is {made.id}"):
        RunFolder.open(tmp_path, "yesterday")


@pytest.mark.parametrize("file", ["run.json", "attempts.jsonl"])
def test_a_run_s_files_are_read_if_they_are_files(tmp_path: Path, file: str) -> None:
    made = RunFolder.create(tmp_path, {})
    made.close()
    (made.path / file).unlink(missing_ok=True)
    os.mkfifo(made.path / file)
    with pytest.raises(NoSuchRun, match="named pipe"):
        RunFolder.open(tmp_path, made.id).attempts()


def test_the_document_is_one_json_value() -> None:
    parsed = json.loads(document({"id": "run"}, [attempt()], [], []))
    assert parsed["run"] == {"id": "run"}
    assert parsed["attempts"][0]["v"] == 2
    assert parsed["parity"] == []


def test_a_second_writer_is_refused_in_a_sentence(tmp_path: Path) -> None:
    first = RunFolder.create(tmp_path, {})
    second = RunFolder.open(tmp_path, first.id)
    with pytest.raises(RunBusy, match=f"{first.id} is being written by another process \\(number {os.getpid()}\\)"):
        second.take()
    first.close()
    second.take()
    second.close()


def test_of_two_records_of_one_attempt_the_last_counts(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, {})
    folder.append(attempt(verdict=Verdict.FAIL))
    folder.append(attempt(verdict=Verdict.PASS))
    assert [one.verdict for one in folder.attempts()] == [Verdict.PASS]
    folder.close()
