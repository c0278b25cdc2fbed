"""Traffic becomes a suite: cases once, without secrets, that the linter takes and the same answers pass."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from core.calls.events import Finished, FinishReason, Timing, ToolCall, Usage
from core.calls.requests import GenerationRequest, Message, Role, Sampling, Tool, ToolChoice, ToolMode
from core.calls.witness import Witness
from core.golden import draft
from core.golden.lint import lint_folder
from core.golden.recorder import Became, Recorder
from core.golden.secrets import secret_in
from core.golden.suite import SuiteError
from core.tiers import Tier
from tests.core.golden.test_draft import WEATHER, answered, asked
from tests.pictures import png

PARIS = "What is the capital of France?"


def test_equal_requests_are_one_case_in_a_later_recording_too(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "suite")
    first = recorder.add(asked(PARIS), answered("Paris."))
    assert (first.became, first.case) == (Became.CASE, "wire/what-is-the-capital-of-france")
    again = recorder.add(replace(asked(PARIS), model="other", source="anthropic"), answered("It is Paris."))
    assert (again.became, again.case) == (Became.SAME, first.case)
    assert recorder.varied == set()
    recorder.add(asked(PARIS), answered("Lyon."))
    assert recorder.varied == {first.case}
    for other in (
        asked(PARIS, system="Be brief."),
        asked(PARIS, png("green")),
        asked(PARIS, sampling=Sampling(temperature=0.5)),
        asked(PARIS, thinking=True),
    ):
        assert recorder.add(other, answered("Paris.")).became is Became.CASE
    later = Recorder(tmp_path / "suite")
    assert later.add(asked(PARIS), answered("Paris.")).became is Became.SAME
    assert later.added == []
    suite, problems = lint_folder(tmp_path / "suite")
    assert suite is not None
    assert len(suite.cases) == 5
    assert [str(problem) for problem in problems if not problem.warning] == []


def test_the_suite_names_the_models_that_answered(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.add(replace(asked("One?"), model="a/text"), answered("First"))
    recorder.add(replace(asked("Two?"), model="b/text"), answered("Second"))
    recorder.add(replace(asked("Three?"), model="b/text"), answered("Third"))
    recorder.add(replace(asked("Four?", png("green")), model="c/vision"), answered("Green"))
    suite, _ = lint_folder(tmp_path)
    assert suite is not None
    for tier in Tier:
        assert suite.tiers[tier].text == ("b/text", "a/text")
        assert suite.tiers[tier].vision == ("c/vision",)
    Recorder(tmp_path).add(replace(asked("Five?"), model="d/text"), answered("Fifth"))
    suite, _ = lint_folder(tmp_path)
    assert suite is not None
    assert suite.tiers[Tier.FULL].text == ("d/text", "b/text", "a/text")
    (tmp_path / "golden.toml").write_text("format = 1\n")
    Recorder(tmp_path).add(asked("Six?"), answered("Sixth"))
    assert (tmp_path / "golden.toml").read_text() == "format = 1\n"


def test_what_was_drawn_and_how_long_it_was_is_asked_for_again(tmp_path: Path) -> None:
    drawn = Witness(sampling={"temperature": 0.7, "seed": 2**62 + 1})
    end = Finished(FinishReason.STOP, Usage(9, 400), Timing(), witness=drawn)
    recorder = Recorder(tmp_path)
    recorder.add(asked("Tell me a story"), replace(answered("Once there was a cat."), finished=end))
    greedy = replace(end, witness=Witness(sampling={"temperature": 0.0, "seed": 7}), usage=Usage(9, 9))
    recorder.add(asked("Say cheese"), replace(answered("Gouda"), finished=greedy))
    suite, problems = lint_folder(tmp_path)
    assert suite is not None
    assert problems == []
    plain, story = suite.cases
    assert (story.seed, story.sampling.max_tokens) == (2**62 + 1, 800)
    assert (plain.seed, plain.sampling.max_tokens) == (0, 256)


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (asked("a", json_schema={"enum": ["a", None]}), "bound to a JSON schema with null"),
        (asked("a", json_schema={"not": {}}), "refused by the linter"),
        (asked("a", sampling=Sampling(logit_bias={1: 2.0})), "with penalties, biases or min_p"),
        (GenerationRequest("m", prompt="Once"), "plain completions"),
        (
            GenerationRequest("m", tuple(Message.text(role, "a") for role in (Role.USER, Role.ASSISTANT, Role.USER))),
            "conversations",
        ),
        (asked("My key is sk-" + "a" * 40), "with what looks like a secret"),
        (asked("Use it", system="token ghp_" + "b" * 36), "with what looks like a secret"),
    ],
)
def test_what_cannot_be_a_case_is_left_out_and_counted(request_: GenerationRequest, why: str, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "suite")
    assert recorder.add(request_, answered("x")).why == why
    assert recorder.left_out == {why: 1}
    assert not (tmp_path / "suite").exists()


@pytest.mark.parametrize(
    "choice", [ToolChoice(ToolMode.NONE), ToolChoice(ToolMode.REQUIRED), ToolChoice(ToolMode.REQUIRED, "weather")]
)
def test_a_case_demands_what_the_request_did(choice: ToolChoice, tmp_path: Path) -> None:
    tool = replace(WEATHER, name="weather")
    recorder = Recorder(tmp_path)
    assert recorder.add(asked("Hot?", tools=(tool,), tool_choice=choice), answered("Very hot")).became is Became.CASE
    assert recorder.add(asked("Hot?", tools=(tool,)), answered("Very hot")).became is Became.CASE, "another question"
    suite, problems = lint_folder(tmp_path)
    assert suite is not None
    assert not [problem for problem in problems if not problem.warning]
    assert {case.tool_choice for case in suite.cases} == {choice, ToolChoice()}
    assert len({case.ask_sha for case in suite.cases}) == 2


def test_a_case_is_held_to_the_schema_of_its_request(tmp_path: Path) -> None:
    fields = {"zip": {"type": "string"}, "age": {"type": "integer"}}
    shape = {"type": "object", "properties": fields, "required": ["zip"]}
    assert Recorder(tmp_path).add(asked("Who?", json_schema=shape), answered('{"zip": "1"}')).became is Became.CASE
    suite, problems = lint_folder(tmp_path)
    assert suite is not None
    assert problems == []
    (case,) = suite.cases
    assert case.json_schema == shape
    assert '"properties": {"zip"' in json.dumps(case.json_schema), "an answer has its fields in this order"


def test_what_failed_or_tells_a_secret_is_left_out(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "suite")
    assert recorder.add(asked("a"), None).why == "failed or stopped"
    assert recorder.add(asked("a"), answered(" ")).why == "answered with nothing"
    call = ToolCall("1", "get_weather", '{"city": "AKIAABCDEFGHIJKLMNOP"}')
    assert recorder.add(asked("a"), answered(calls=(call,))).why == "with what looks like a secret"
    assert not (tmp_path / "suite").exists()


def test_a_check_that_the_linter_refuses_is_not_proposed(tmp_path: Path) -> None:
    tool = Tool("look", "Looks", {"type": "object", "properties": {"at": {"type": "integer"}}, "required": ["at"]})
    call = ToolCall("1", "look", '{"at": "Paris"}')  # as a model may write it
    recorder = Recorder(tmp_path)
    case = recorder.add(asked("Look at it", tools=(tool,)), answered(calls=(call,), reason=FinishReason.TOOL_CALLS))
    assert case.became is Became.CASE
    assert [str(problem) for problem in lint_folder(tmp_path)[1] if not problem.warning] == []


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "suite").write_text("a file")
    with pytest.raises(SuiteError, match="cannot be written"):
        Recorder(tmp_path / "suite").add(asked("a"), answered("x"))


@pytest.mark.parametrize(
    "text",
    [
        "assay-" + "Ab3_-xYz" * 4,
        "github_pat_" + "a1" * 15,
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "curl -H 'Authorization: Bearer abcdefghijkl'",
        "postgres://me:hunter22@db/x",
        "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeK",
    ],
)
def test_secrets_are_known_by_their_forms(text: str) -> None:
    assert secret_in(f"Look at this: {text} and say why")


@pytest.mark.parametrize(
    "text", ["What is a private key?", "sk-learn", "https://host:8080/path", "authorization: none", "assay-bench-table"]
)
def test_talk_of_secrets_is_none(text: str) -> None:
    assert secret_in(text) is None


@pytest.mark.parametrize("last", ["the.1.png", "the.toml", "the.txt"])
def test_a_case_that_the_disk_does_not_hold_leaves_nothing_behind(
    last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, write = Recorder(tmp_path), draft.write_atomically
    recorder.add(asked("Whole?"), answered("Entirely."))

    def full(path: Path, data: bytes) -> None:
        if path.parent.parent == tmp_path and path.name == last:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, data)

    monkeypatch.setattr(draft, "write_atomically", full)
    with pytest.raises(SuiteError, match="No space left on device"):
        recorder.add(asked("the", png("red")), answered("A circle."))
    suite, problems = lint_folder(tmp_path)
    assert suite is not None
    assert [case.id for case in suite.cases] == ["wire/whole"]
    assert problems == []
