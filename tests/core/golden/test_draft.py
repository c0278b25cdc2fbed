"""A case made of a request: it is read as a suite, and its answer passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.calls.events import Finished, FinishReason, GenerationResult, Timing, ToolCall, Usage
from core.calls.requests import GenerationRequest, Message, Role, Sampling, Tool
from core.golden.checks import Answer, check
from core.golden.draft import propose, save_case
from core.golden.expressions import parse_expression
from core.golden.reading import load_suite
from core.golden.suite import SuiteError
from core.tiers import Tier
from tests.pictures import png

WEATHER = Tool(
    "get_weather", "Weather", {"type": "object", "properties": {"city": {"type": "string", "default": None}}}
)


def answered(
    text: str = "", reason: FinishReason = FinishReason.STOP, calls: tuple[ToolCall, ...] = ()
) -> GenerationResult:
    return GenerationResult(text, tool_calls=list(calls), finished=Finished(reason, Usage(9, 9), Timing()))


def asked(text: str, *images: object, system: str = "", **options: object) -> GenerationRequest:
    systems = (Message.text(Role.SYSTEM, system),) if system else ()
    return GenerationRequest("m", (*systems, Message.text(Role.USER, text, *images)), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("What is the capital of France?", "Paris.", "paris"),
        ("What is the capital of France?", "The capital of France is Paris.", "paris"),
        ("How much is 6 times 7?", "6 times 7 is 42.", "42"),
        ("What do you see?", "A green triangle.", {"all": ["green", "triangle"]}),
        ("Say it again", "again", {"not_empty": True}),
        ("Say it", "", {"not_empty": True}),
    ],
)
def test_words_that_the_question_does_not_have(question: str, answer: str, expected: object) -> None:
    assert propose(asked(question), answered(answer)) == expected


def test_calls_lengths_and_schemas() -> None:
    call = ToolCall("1", "get_weather", '{"city": "Paris"}')
    assert propose(asked("Weather?", tools=(WEATHER,)), answered(calls=(call,), reason=FinishReason.TOOL_CALLS)) == {
        "tool": {"name": "get_weather", "args": {"city": "Paris"}}
    }
    assert propose(asked("Count"), answered("1, 2", FinishReason.LENGTH)) == {"finish": "length"}
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert propose(asked("JSON", json_schema=schema), answered('{"a": 1}')) == {"json_schema": schema}


@pytest.mark.parametrize(
    "answer", ["Ça coûte 4 000 €, à peu près.", "“Quoted” and [brackets]", "東京は日本の首都です。", "x" * 5000]
)
def test_what_is_proposed_holds_for_the_answer(answer: str) -> None:
    request, result = asked("Why?"), answered(answer)
    expression = parse_expression(propose(request, result))
    assert all(one.passed for one in check(expression, Answer.of(result)))


def test_a_case_is_read_back_as_it_was_asked(tmp_path: Path) -> None:
    sampling = Sampling(temperature=0.5, max_tokens=50, seed=7, stop=("END",))
    request = asked(
        "What shape?\nSay it.",
        png("green"),
        png("red"),
        system="Be brief.",
        sampling=sampling,
        thinking=False,
        tools=(WEATHER, replace(WEATHER, name="held", strict=True)),
    )
    name = save_case(tmp_path / "suite", request, answered("A green square."))
    assert name == "wire/what-shape-say-it"
    (case,) = load_suite(tmp_path / "suite").cases
    assert (case.id, case.prompt, case.system) == (name, "What shape?\nSay it.", "Be brief.")
    assert [image.sha256 for image in case.images] == [png("green").sha256, png("red").sha256]
    assert (case.sampling.temperature, case.sampling.max_tokens, case.sampling.stop, case.seed) == (
        0.5,
        50,
        ("END",),
        7,
    )
    assert case.thinking is False
    assert [(tool.name, tool.strict) for tool in case.tools] == [("get_weather", False), ("held", True)]
    assert all(one.passed for one in check(case.expected(Tier.FULL), Answer.of(answered("A green square."))))
    again = save_case(tmp_path / "suite", request, answered("A green square."))
    assert again == "wire/what-shape-say-it-2"
    assert len(load_suite(tmp_path / "suite").cases) == 2


def test_what_is_no_single_question_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    turns = (Message.text(Role.USER, "a"), Message.text(Role.ASSISTANT, "b"), Message.text(Role.USER, "c"))
    for request, says in (
        (GenerationRequest("m", turns), "a conversation of 3 messages"),
        (GenerationRequest("m", prompt="Once"), "a plain completion"),
        (asked(" "), "this request has none"),
    ):
        with pytest.raises(SuiteError, match=says):
            save_case(tmp_path / "suite", request, answered("x"))
    assert not (tmp_path / "suite").exists()
