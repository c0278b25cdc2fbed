"""A run as Inspect reads it. The package itself is asked where it is installed: uv run --group inspect pytest ..."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from core.golden.neighbours.inspect_log import inspect_logs
from core.golden.reading import load_suite
from core.golden.reports.report import report_of
from core.golden.results import Status, Verdict
from tests.core.golden.records import attempt
from tests.tui.cli.golden_places import keep_run

WriteSuite = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def logs(write_suite: WriteSuite, tmp_path: Path) -> dict[str, str]:
    files = {
        "cat.txt": "What is this?",
        "cat.png": "text_sample.png",
        "cat.toml": 'expect = "cat"\ncontrols.blind = true',
    }
    folder = write_suite(files)
    (case,) = load_suite(folder).cases
    about = {"case": case.id, "ask_sha": case.ask_sha}
    call = {"name": "look", "arguments": {"at": "it"}}
    run = keep_run(
        tmp_path / "data",
        folder,
        attempt("a cat", **about, key="1", tool_calls=(call,)),
        attempt("a \ud800dog", Verdict.FAIL, **about, key="2", repeat=1, why="no cat"),
        attempt("I see nothing", **about, key="3", control="blind"),
        attempt("", Verdict.ERROR, **about, key="4", repeat=2, status=Status.ERROR, why="the server broke off"),
    )
    return inspect_logs(report_of(run))


def test_a_log_has_a_sample_for_each_attempt(logs: dict[str, str]) -> None:
    ((name, text),) = logs.items()
    assert name.endswith("_suite-full_m.json")
    log = json.loads(text)
    assert [(one["id"], one["epoch"]) for one in log["samples"]] == [
        ("cat", 1),
        ("cat", 2),
        ("cat", 3),
        ("cat [control: blind]", 1),
    ]
    assert [one.get("scores", {}).get("golden", {}).get("value") for one in log["samples"]] == ["C", "I", None, "C"]
    assert log["results"]["scores"][0]["metrics"]["accuracy"]["value"] == 0.5
    assert log["samples"][0]["input"][0]["content"][0]["image"].startswith("data:image/png;base64,")
    assert len(log["samples"][3]["input"][0]["content"]) == 1


def test_inspect_reads_it(logs: dict[str, str], tmp_path: Path) -> None:
    reading = pytest.importorskip("inspect_ai.log")
    ((name, text),) = logs.items()
    (tmp_path / name).write_text(text)
    log = reading.read_eval_log(str(tmp_path / name))
    assert log.eval.model == "m"
    assert log.samples[0].output.completion == "a cat"
    assert log.samples[0].messages[-1].tool_calls[0].function == "look"
    assert log.samples[2].error.message == "the server broke off"
    assert [one.name for one in reading.list_eval_logs(str(tmp_path))]


def test_a_case_counts_once_in_the_accuracy(write_suite: WriteSuite, tmp_path: Path) -> None:
    folder = write_suite({"a.txt": "A?", "b.txt": "B?"})
    asked = {case.id: case.ask_sha for case in load_suite(folder).cases}
    tries = [attempt("red", case="a", key=f"a{number}", ask_sha=asked["a"], repeat=number) for number in range(3)]
    failed = attempt("blue", Verdict.FAIL, case="b", key="b", ask_sha=asked["b"])
    ((_, text),) = inspect_logs(report_of(keep_run(tmp_path / "data", folder, *tries, failed))).items()
    assert json.loads(text)["results"]["scores"][0]["metrics"]["accuracy"]["value"] == 0.5


ROLES = ["user", "assistant", "tool", "assistant", "user", "assistant"]


@pytest.fixture
def talk(write_suite: WriteSuite, tmp_path: Path) -> str:
    """The log of a conversation with a call and a picture."""
    sidecar = """
[[tools]]
name = "look"
parameters = { type = "object", properties = {} }
[[turns]]
results.look = "a cat"
[[turns]]
user = "Sure?"
images = "cat.png"
"""
    folder = write_suite({"a.txt": "What is there?", "a.toml": sidecar, "cat.png": "text_sample.png"})
    (case,) = load_suite(folder).cases
    called = {"answer": "", "reasoning": "hm", "tool_calls": ({"name": "look", "arguments": {}},), "finish": "stop"}
    turns = (called, {"answer": "A cat.", "reasoning": "", "tool_calls": (), "finish": "stop"})
    run = keep_run(tmp_path / "data", folder, attempt("Yes.", case="a", ask_sha=case.ask_sha, turns=turns))
    ((_, text),) = inspect_logs(report_of(run)).items()
    return text


def test_a_conversation_is_told_in_whole(talk: str) -> None:
    (sample,) = json.loads(talk)["samples"]
    assert [one["role"] for one in sample["messages"]] == ROLES
    assert sample["messages"][2]["content"] == "a cat"
    assert sample["messages"][2]["tool_call_id"] == sample["messages"][1]["tool_calls"][0]["id"]
    assert [part["type"] for part in sample["messages"][4]["content"]] == ["image", "text"]
    assert sample["messages"][5]["content"][-1]["text"] == "Yes."


def test_inspect_reads_a_conversation(talk: str, tmp_path: Path) -> None:
    reading = pytest.importorskip("inspect_ai.log")
    (tmp_path / "talk.json").write_text(talk)
    (sample,) = reading.read_eval_log(str(tmp_path / "talk.json")).samples
    assert [one.role for one in sample.messages] == ROLES
