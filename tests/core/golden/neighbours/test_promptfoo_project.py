"""A suite goes out as a project of promptfoo and comes in again as it was. The program itself is asked by
tests/clients/promptfoo.sh."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from core.golden.expressions import parse_expression
from core.golden.neighbours.incoming import read_incoming, write_incoming
from core.golden.neighbours.promptfoo_checks import assertions
from core.golden.neighbours.promptfoo_project import CONFIG, Project, project_of_run, project_of_suite
from core.golden.reading import load_suite
from core.golden.reports.report import report_of
from core.golden.suite import Case, Suite
from core.tiers import Tier
from tests.core.golden.records import attempt
from tests.tui.cli.golden_places import keep_run

WriteSuite = Callable[[Mapping[str, str]], Path]
URL = "http://127.0.0.1:8484/v1"
FILES = {
    "golden.toml": """
[defaults]
temperature = 0.0
thinking = false
[tiers]
quick = { vision = "a/see", text = "a/talk" }
full = { vision = "b/see", text = "a/talk" }
""",
    "capital.txt": "What is the capital of {{country}}? {% x",
    "capital.toml": 'vars.country = ["France", "Spain"]\nexpect = ["paris", "madrid"]\nlimits.total_s = 9.5\n',
    "vision/shapes.txt": "What is in this image?",
    "vision/shapes.toml": """
system = "Be brief."
[[case]]
id = "red"
images = "../red.png"
expect.quick = ["red", "square"]
expect.full = { all = ["red", { not = "blue" }, { regex = '\\bs\\w+' }, { python = "checks.py:polite" }] }
controls = { swap = "blue.png", blind = true }
xfail.full = { reason = "it is shy", checks = "red" }
[[case]]
id = "both"
images = ["../red.png", "blue.png"]
repeats = 3
temperature = 0.7
top_p = 0.9
top_k = 40
stop = ["END"]
expect = { json_schema = { type = "object", properties = { a = { type = "string" } } } }
""",
    "vision/blue.png": "blue_circle.png",
    "red.png": "red_square.png",
    "weather.txt": "What is the weather in Oslo?",
    "weather.toml": """
tool_choice = "get_weather"
json_schema = { type = "object", properties = { b = {}, a = {} } }
expect = { tool = { name = "get_weather", args = { location = "Oslo" } } }
[[tools]]
name = "get_weather"
description = "The weather there"
parameters = { type = "object", properties = { location = { type = "string" } } }
""",
    "talk.txt": "Hello!",
    "talk.toml": 'turns = [{ user = "And again?" }]\n',
    "checks.py": "def polite(answer, about): return True\n",
}


@pytest.fixture
def suite(write_suite: WriteSuite) -> Suite:
    return load_suite(write_suite(FILES))


def laid_out(project: Project, folder: Path) -> Path:
    for name, content in project.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content.read_bytes())
    return folder / CONFIG


def told(case: Case) -> Case:
    """All that a case asks and expects, wherever it is written."""
    asked = {tier: case.expected(tier) for tier in Tier}
    images, swap = (
        tuple(replace(image, path=Path(image.path.name)) for image in of) for of in (case.images, case.swap)
    )
    return replace(case, id="", file=Path(), line=None, expect=asked, images=images, swap=swap, sha="", ask_sha="")


def test_what_goes_out_comes_in_as_it_was(suite: Suite, tmp_path: Path) -> None:
    project = project_of_suite(suite, {}, URL)
    assert "talk: promptfoo has no test of several turns, and it is left out." in project.notes
    assert any("vision/shapes#red: promptfoo has no counterpart of polite of checks.py" in one for one in project.notes)
    found = read_incoming(laid_out(project, tmp_path / "out"))
    write_incoming(found, tmp_path / "in")
    (tmp_path / "in" / "checks.py").write_text(FILES["checks.py"])
    after = load_suite(tmp_path / "in")
    names = {"capital#country=France": "capital/country-France", "capital#country=Spain": "capital/country-Spain"}
    cases = {names.get(case.id, case.id): told(case) for case in suite.cases if not case.turns}
    assert {case.id: told(case) for case in after.cases} == cases
    assert after.tiers == suite.tiers
    assert any("its variables have their values" in note for note in found.notes)


def test_assertions_that_were_changed_are_read_as_they_are(suite: Suite, tmp_path: Path) -> None:
    file = laid_out(project_of_suite(suite, {}, URL), tmp_path / "out")
    config = yaml.safe_load(file.read_text())
    config["tests"][0]["assert"].append({"type": "icontains", "value": "lyon"})
    file.write_text(yaml.safe_dump(config))
    found = read_incoming(file)
    assert "are not those that were exported" in " ".join(found.notes)
    assert "lyon" in str(found.files["capital/country-France.toml"])


def test_a_run_goes_out_with_its_answers(suite: Suite, tmp_path: Path) -> None:
    case = next(one for one in suite.cases if one.id == "weather")
    about = {"case": case.id, "ask_sha": case.ask_sha}
    run = keep_run(tmp_path / "data", suite.path, attempt("It rains.", **about), attempt("?", case="gone", key="2"))
    project = project_of_run(report_of(run), URL)
    (test,) = yaml.safe_load(str(project.files[CONFIG]))["tests"]
    assert test["providerOutput"] == "It rains."
    calls = ({"name": "get_weather", "arguments": {"location": "Oslo"}},)
    run = keep_run(tmp_path / "data", suite.path, attempt("", **about, tool_calls=calls, finish="tool_calls"))
    (called,) = yaml.safe_load(str(project_of_run(report_of(run), URL).files[CONFIG]))["tests"]
    assert called["providerOutput"]["tool_calls"][0]["function"]["arguments"] == '{"location": "Oslo"}'
    assert test["providers"] == ["m"]
    assert project.notes[0] == "gone: the suite asks it otherwise now, and it is left out."


def test_a_run_needs_no_key_and_what_is_graded_does(suite: Suite, tmp_path: Path) -> None:
    (suite.path / "kind.txt").write_text("Are you well?")
    (suite.path / "kind.toml").write_text('expect = { judge = { model = "x/y", rubric = "is kind" } }')
    asked = {case.id: case.ask_sha for case in load_suite(suite.path).cases}
    run = keep_run(tmp_path / "data", suite.path, attempt("It rains.", case="weather", ask_sha=asked["weather"]))
    project = project_of_run(report_of(run), URL)
    (named,) = yaml.safe_load(str(project.files[CONFIG]))["providers"]
    assert (named["config"]["apiKeyRequired"], project.asks) == (False, False)
    run = keep_run(tmp_path / "data", suite.path, attempt("Yes.", case="kind", ask_sha=asked["kind"]))
    assert project_of_run(report_of(run), URL).asks
    project = project_of_suite(suite, {}, URL)
    assert project.asks
    assert not any("apiKeyRequired" in one["config"] for one in yaml.safe_load(str(project.files[CONFIG]))["providers"])


def test_a_model_that_cannot_take_a_case_is_not_asked(suite: Suite) -> None:
    able = {(case.id, tier): f"lab/{tier}" for case in suite.cases for tier in Tier}
    quick = suite.tiers[Tier.QUICK].text[0]
    del able["weather", Tier.QUICK]
    project = project_of_suite(suite, able, URL, [quick])
    assert f"weather: {quick} is here and cannot take it: the quick tier is not asked." in project.notes
    tests = yaml.safe_load(str(project.files[CONFIG]))["tests"]
    assert [test["providers"] for test in tests if test["description"] == "weather"] == [["lab/full"]]


@pytest.mark.parametrize(
    ("expected", "kind", "inside"),
    [
        ({"equals": " Paris "}, "equals", "Paris"),
        ({"equals": "a {{b}}"}, "javascript", '"a \\u007b{b}}"'),
        ({"regex": r"\d{3}"}, "regex", r"\d{3}"),
        ({"regex": "(?i)red"}, "javascript", 'new RegExp("red", "i")'),
        ("red.", "javascript", r"red\\."),
        ({"judge": {"model": "x/y", "rubric": "is kind"}}, "llm-rubric", "is kind"),
    ],
)
def test_what_is_expected_becomes_an_assertion(expected: object, kind: str, inside: str) -> None:
    found, lost = assertions(parse_expression(expected), URL)
    assert found[0]["type"] == kind
    assert inside in found[0]["value"]
    assert lost == []


def test_patterns_that_javascript_reads_otherwise_are_named() -> None:
    assert "JavaScript reads otherwise" in assertions(parse_expression({"regex": r"(?P<a>x)\Z"}), URL)[1][0]
