"""Cases of several turns: read, asked of real models over every route, judged, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from core.engine import Engine
from core.golden.lint import lint_folder
from core.golden.models import from_disk
from core.golden.parity import compare_routes
from core.golden.plan import RunOptions, make_plan
from core.golden.reading import load_suite, read_suite
from core.golden.rejudge import rejudge
from core.golden.results import Attempt, Verdict
from core.golden.routes import InProcess, Route
from core.golden.routes.anthropic import Anthropic
from core.golden.routes.http import HttpRoute
from core.golden.routes.openai import OpenAI
from core.golden.routes.responses import Responses
from core.golden.run import GoldenRun
from core.golden.suite import ROUTES, Suite
from core.tiers import Tier
from tests.conftest import Api

WriteSuite = Callable[[Mapping[str, str]], Path]

GOLDEN_TOML = """
[defaults]
temperature = 0.0
thinking = false
max_tokens = 48
[tiers]
full = { vision = "pocket/qwen2-vl", text = "pocket/qwen3" }
"""
WEATHER = """
expect = { tool = { name = "get_weather", args = { location = "Tokyo" } } }
[[tools]]
name = "get_weather"
description = "Get the current weather for a location."
parameters = { type = "object", properties = { location = { type = "string" } }, required = ["location"] }
[[turns]]
results.get_weather = "sunny, 21 degrees"
expect = ["sunny", "21"]
"""
MEMORY = """
[[turns]]
user = "What is the capital of France?"
expect = "Paris"
[[turns]]
user = "What is my name?"
expect = "Marie"
"""
PICTURES = """
images = "red.png"
expect = "red"
controls.blind = true
[[turns]]
user = "What is in the image?"
images = "blue.png"
expect = "blue"
"""
FILES = {
    "golden.toml": GOLDEN_TOML,
    "weather.txt": "What is the weather in Tokyo?",
    "weather.toml": WEATHER,
    "memory.txt": "My name is Marie.",
    "memory.toml": MEMORY,
    "pictures.txt": "What is in the image?",
    "pictures.toml": PICTURES,
    "red.png": "red_square.png",
    "blue.png": "blue_circle.png",
}


@pytest.fixture
def ask(engine: Engine, api: Api) -> Callable[..., tuple[Attempt, ...]]:
    def run(suite: Suite, *routes: str) -> tuple[Attempt, ...]:
        known: dict[str, Route] = {
            "in-process": InProcess(engine),
            "openai": HttpRoute(OpenAI(), api.url, api.key),
            "responses": HttpRoute(Responses(), api.url, api.key),
            "anthropic": HttpRoute(Anthropic(), api.url, api.key),
        }
        options = RunOptions(routes, tiers=(Tier.FULL,))
        plan = make_plan(suite, from_disk(engine.catalog, engine.settings), options, 2**40)
        return GoldenRun(plan, {name: known[name] for name in routes}, engine).run().attempts

    return run


def test_every_route_carries_answers_calls_results_and_images(
    ask: Callable[..., tuple[Attempt, ...]], write_suite: WriteSuite
) -> None:
    suite = load_suite(write_suite(FILES))
    attempts = ask(suite, *ROUTES)
    told = [f"{one.case} {one.route} {one.control}: {one.verdict} {one.why} {one.error} {one.said}" for one in attempts]
    assert {one.verdict for one in attempts} == {Verdict.PASS}, told
    parity = compare_routes(attempts, suite.gates, own=True)
    assert [str(found) for found in parity.breaks] == []
    by_case = {one.case: one for one in attempts if one.control is None and one.route == "openai"}
    (called,) = by_case["weather"].turns
    assert called["tool_calls"][0]["arguments"] == {"location": "Tokyo"}
    assert called["finish"] == "tool_calls"
    assert len(by_case["memory"].turns) == 2
    assert len(by_case["memory"].sent["messages"]) == 5
    assert [item["w"] for item in by_case["pictures"].sent["images"]] == [256, 256]
    names = [item.name for item in by_case["memory"].checks]
    assert [name for name in names if "turn" in name][:2] == ["turn 1: expect", "turn 1: finish"]
    (blind,) = (one for one in attempts if one.control == "blind" and one.route == "anthropic")
    assert blind.sent["images"] == []
    for one in by_case.values():
        assert Attempt.from_json(json.loads(json.dumps(one.to_json()))) == one
    kept = rejudge(suite, [one.key for one in attempts], attempts)
    assert kept.flips == ()


def test_an_earlier_answer_that_is_wrong_fails_the_case(
    ask: Callable[..., tuple[Attempt, ...]], write_suite: WriteSuite
) -> None:
    folder = write_suite(FILES | {"memory.toml": MEMORY.replace('"Paris"', '"Rome"')})
    (found,) = (one for one in ask(load_suite(folder), "in-process") if one.case == "memory")
    assert found.verdict is Verdict.FAIL
    assert found.why == 'turn 2: no word "Rome"'
    (folder / "memory.toml").write_text(MEMORY)
    (now,) = rejudge(load_suite(folder), [found.key], [found]).attempts
    assert now.verdict is Verdict.PASS


def test_a_conversation_that_cannot_go_on_says_why(
    ask: Callable[..., tuple[Attempt, ...]], write_suite: WriteSuite
) -> None:
    suite = load_suite(write_suite(FILES | {"weather.txt": "Hello!"}))
    (found,) = (one for one in ask(suite, "in-process") if one.case == "weather")
    assert found.turns == ()
    assert found.verdict is Verdict.FAIL
    assert (
        "no tool was called, and the next turn tells what get_weather returns: the conversation ended there"
        in found.why
    )


def test_turns_change_the_question_and_its_judgement(write_suite: WriteSuite) -> None:
    folder = write_suite(FILES)
    before = {case.id: case for case in load_suite(folder).cases}
    (folder / "memory.toml").write_text(MEMORY.replace("my name", "the name of me"))
    asked = {case.id: case for case in load_suite(folder).cases}
    assert asked["memory"].ask_sha != before["memory"].ask_sha
    (folder / "memory.toml").write_text(MEMORY.replace('"Paris"', '"Rome"'))
    judged = {case.id: case for case in load_suite(folder).cases}
    assert judged["memory"].ask_sha == before["memory"].ask_sha
    assert judged["memory"].sha != before["memory"].sha
    assert replace(judged["weather"], file=Path()) == replace(before["weather"], file=Path())


@pytest.mark.parametrize(
    ("toml", "fault"),
    [
        ("[[turns]]\n", "a turn has either user, a question, or results, what tools return"),
        ('[[turns]]\nuser = "a"\nresults.x = "y"\n', "a turn has either user"),
        ('[[turns]]\nresults.x = "y"\nimages = "red.png"\n', "images go with a question"),
        ('[[turns]]\nresults.x = "y"\n', 'It tells what "x" returns, which the case does not offer.'),
        ('[[turns]]\nusr = "a"\n', 'There is no key "usr" here (did you mean "user"?)'),
        ('[[turns]]\nuser = "a"\nimages = "gone.png"\n', "There is no image"),
    ],
)
def test_what_is_wrong_with_turns_is_named(write_suite: WriteSuite, toml: str, fault: str) -> None:
    _, problems = read_suite(write_suite({"p.txt": "?", "p.toml": toml, "red.png": "red_square.png"}))
    assert fault in " ".join(problem.message for problem in problems)
    assert all(problem.line for problem in problems)


def test_the_linter_looks_at_every_turn(write_suite: WriteSuite) -> None:
    toml = 'expect.quick = "red"\nexpect.full = "blue"\n[[turns]]\nuser = "And?"\nexpect = { regex = "." }\n'
    found = [problem.message for problem in lint_folder(write_suite({"p.txt": "?", "p.toml": toml}))[1]]
    assert any(message.startswith("p: in turn 1, full does not imply quick") for message in found)
    assert "p: nothing could fail the check of quick and full (/./)." in found


def test_variables_stand_in_turns_too(write_suite: WriteSuite) -> None:
    toml = '[vars]\nname = ["Ada", "Bob"]\n[[turns]]\nuser = "Is it {{name}}?"\nexpect = "{{name}}"\n'
    suite = load_suite(write_suite({"p.txt": "Guess a name.", "p.toml": toml}))
    assert [case.turns[0].user for case in suite.cases] == ["Is it Ada?", "Is it Bob?"]


def test_an_image_in_a_later_turn_asks_for_a_model_that_sees(engine: Engine, write_suite: WriteSuite) -> None:
    toml = '[[turns]]\nuser = "And this?"\nimages = "red.png"\n'
    suite = load_suite(
        write_suite({"golden.toml": GOLDEN_TOML, "p.txt": "?", "p.toml": toml, "red.png": "red_square.png"})
    )
    plan = make_plan(suite, from_disk(engine.catalog, engine.settings), RunOptions(tiers=(Tier.FULL,)))
    assert [one.model.id for one in plan.attempts if one.model] == ["pocket/qwen2-vl"]
