"""Variables of a sidecar, and the cases that they make."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.golden.expressions import describe
from core.golden.reading import load_suite, read_suite
from core.golden.variables import MOST, combinations
from core.tiers import Tier
from tests.core.golden.conftest import WriteSuite


def faults(folder: Path) -> list[str]:
    return [str(problem).replace(f"{folder}/", "") for problem in read_suite(folder)[1]]


def test_every_combination_of_values_is_a_case(write_suite: WriteSuite) -> None:
    toml = """
        system = "You speak {{ language }}."
        expect = { all = ["{{number}}", { not = "{{number}}0" }] }
        [vars]
        language = ["French", "Old Norse!"]
        number = [1, 2]
        unit = "metres"
    """
    suite = load_suite(write_suite({"p.txt": "Say {{number}} {{unit}} in {{language}}.", "p.toml": toml}))
    assert [case.id for case in suite.cases] == [
        "p#language=French,number=1",
        "p#language=French,number=2",
        "p#language=Old-Norse,number=1",
        "p#language=Old-Norse,number=2",
    ]
    assert suite.cases[3].prompt == "Say 2 metres in Old Norse!."
    assert suite.cases[3].system == "You speak Old Norse!."
    assert describe(suite.cases[3].expected(Tier.FULL)) == "2 and not 20"
    assert len({case.ask_sha for case in suite.cases}) == 4


def test_a_case_has_values_of_its_own_and_images_are_named_by_them(write_suite: WriteSuite) -> None:
    toml = """
        images = "{{colour}}.png"
        controls.blind = true
        expect = "{{colour}}"
        [[case]]
        id = "one"
        vars.colour = "red"
        [[case]]
        id = "two"
        vars.colour = ["red", "blue"]
    """
    files = {"p.txt": "Which colour?", "p.toml": toml, "red.png": "red_square.png", "blue.png": "blue_circle.png"}
    suite = load_suite(write_suite(files))
    assert [(case.id, case.images[0].path.name) for case in suite.cases] == [
        ("p#one", "red.png"),
        ("p#two,colour=red", "red.png"),
        ("p#two,colour=blue", "blue.png"),
    ]


def test_braces_stand_for_themselves_where_there_are_no_variables(write_suite: WriteSuite) -> None:
    assert load_suite(write_suite({"p.txt": "Render {{name}}."})).cases[0].prompt == "Render {{name}}."


def test_what_is_wrong_with_variables_is_named(write_suite: WriteSuite) -> None:
    folder = write_suite({"p.txt": "In {{citty}}?", "p.toml": '[vars]\ncity = ["Rome", "Oslo"]\n'})
    assert faults(folder) == [
        'p.toml:1: There is no variable {{citty}} (did you mean "city"?).',
        'p.toml:1: The variable "city" has no effect: {{city}} stands in no text of the case.',
    ]
    for value, reason in (
        ("[]", "a variable is a text"),
        ('["a", "a"]', "a value comes twice"),
        ("{}", "a variable is"),
    ):
        (folder / "p.toml").write_text(f"vars.citty = {value}\n")
        assert reason in faults(folder)[0]
    (folder / "p.toml").write_text(f"vars.citty = {list(range(MOST + 1))}\n")
    assert "make 1001 cases" in faults(folder)[0]


def test_values_that_are_spelled_alike_make_cases_of_their_own() -> None:
    assert [name for name, _ in combinations({"a": ["x y", "x/y", "?"]})] == ["a=x-y", "a=x-y-2", "a=-"]
    assert combinations({}) == [("", {})]
    with pytest.raises(ValueError, match="may become"):
        combinations({"a": [str(n) for n in range(40)], "b": [str(n) for n in range(40)]})
