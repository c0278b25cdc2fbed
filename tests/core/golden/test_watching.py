"""Which cases a changed file concerns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from core.golden.models import Choice
from core.golden.plan import Plan, RunOptions, make_plan
from core.golden.reading import load_suite
from core.golden.results import Attempt
from core.golden.watching import changed, outside, stale, stamps, without_programs
from core.tiers import Tier
from tests.core.golden.records import MODEL, attempt

WriteSuite = Callable[[Mapping[str, str]], Path]
FILES = {
    "golden.toml": '[defaults]\ntemperature = 0.0\n[tiers]\nfull = "m"\n',
    "capital.txt": "What is the capital of {{country}}?",
    "capital.toml": 'vars.country = ["France", "Spain"]\nexpect = ["Paris", "Madrid"]\n',
    "cat.txt": "What is this?",
    "cat.png": "red_square.png",
    "cat.toml": 'expect = { python = "cat.py:named" }\n',
    "dog.txt": "What is that?",
    "dog.toml": 'expect = { python = "dog.py:named" }\n',
    "cat.py": "def named(answer, about): return True",
    "dog.py": "def named(answer, about): return True",
    "common.py": "",
}


def planned(folder: Path) -> Plan:
    return make_plan(load_suite(folder), lambda *of: Choice(MODEL), RunOptions(tiers=(Tier.FULL,)))


def answered(plan: Plan) -> dict[str, Attempt]:
    return {one.key: attempt(key=one.key, case=one.case.id, case_sha=one.case.sha) for one in plan.attempts}


@pytest.mark.parametrize(
    ("file", "text", "cases"),
    [
        ("capital.toml", FILES["capital.toml"].replace("Spain", "Italy"), ["capital#country=Italy"]),
        ("capital.txt", "And of {{country}}?", ["capital#country=France", "capital#country=Spain"]),
        ("cat.png", "blue_circle.png", ["cat"]),
        ("dog.py", "def named(answer, about): return False", ["dog"]),
        ("common.py", "import os", ["cat", "dog"]),
        ("notes.md", "for people", []),
        ("new.txt", "What is new?", ["new"]),
    ],
)
def test_only_cases_that_depend_on_the_file_are_run(
    write_suite: WriteSuite, file: str, text: str, cases: list[str]
) -> None:
    folder = write_suite(FILES)
    before, done = stamps(folder), answered(planned(folder))
    assert stale(planned(folder), done, []) == []
    write_suite({file: text})
    files = changed(before, stamps(folder))
    assert files == [folder / file]
    assert stale(planned(folder), done, files) == cases


def test_defaults_concern_every_case_and_what_did_not_come_about_is_tried_again(write_suite: WriteSuite) -> None:
    folder = write_suite(FILES)
    done = answered(planned(folder))
    done.pop(next(key for key, one in done.items() if one.case == "dog"))
    assert stale(planned(folder), done, []) == ["dog"]
    write_suite({"golden.toml": FILES["golden.toml"].replace("0.0", "0.5")})
    assert len(stale(planned(folder), done, [])) == 4


def test_images_outside_the_folder_are_looked_at_and_grades_of_functions_forgotten(
    write_suite: WriteSuite, tmp_path: Path
) -> None:
    write_suite({"../far.png": "red_square.png"})
    folder = write_suite({"far.txt": "What is this?", "far.toml": 'images = "../far.png"\n'})
    assert outside(load_suite(folder)) == [tmp_path / "far.png"]
    assert str(tmp_path / "far.png") in stamps(folder, outside(load_suite(folder)))
    said = ({"expr": {"python": "a.py:b"}, "held": True}, {"expr": {"judge": {}}, "held": True})
    (one,) = without_programs([replace(attempt(), graded=said)])
    assert one.graded == said[1:]
