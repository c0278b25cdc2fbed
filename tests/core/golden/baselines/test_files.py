"""Accepted answers as files: read as they were written, named for a diff, and cleared away when nothing uses them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.golden.baselines.files import (
    Accepted,
    BaselineError,
    accepted_of,
    path_of,
    read_accepted,
    remove,
    unused,
    write_accepted,
)
from core.golden.reading import load_suite
from core.golden.suite import BUILTIN, SuiteError
from tests.core.golden.conftest import WriteSuite
from tests.core.golden.records import attempt

SUITE = {"p.txt": "What colour?", "p.toml": '[[case]]\nid = "a"\nexpect = "red"\n', "v/q.txt": "?"}


def test_the_file_is_named_after_case_model_and_repeat() -> None:
    assert path_of(Path("s"), ("v/cat#red", "pocket/gemma3", 0)) == Path("s/accepted/v/cat#red@pocket--gemma3.txt")
    assert path_of(Path("s"), ("cat", "m", 2)) == Path("s/accepted/cat@m+2.txt")
    assert path_of(Path("s"), ("cat", "a@b/..", 0)) == Path("s/accepted/cat@a%40b--...txt")


def test_the_file_reads_well_in_a_diff() -> None:
    one = Accepted(Path("f"), "p#a", "m/x", 0, "beef", "A red\nsquare.")
    assert one.to_text() == (
        '+++\ncase = "p#a"\nmodel = "m/x"\nquestion = "beef"\nfinish = "stop"\n+++\nA red\nsquare.\n'
    )


@given(
    answer=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")),
    case=st.text("ab#é \"'+\n"),
    repeat=st.integers(0, 99),
    value=st.text(),
)
def test_what_is_written_is_what_is_read(answer: str, case: str, repeat: int, value: str) -> None:
    calls = ({"name": "f", "arguments": {"x": value, "n": [1, None]}}, {"name": "g", "arguments": "no JSON"})
    one = Accepted(Path("f"), case, "m", repeat, "beef", answer, "tool_calls", calls)
    assert Accepted.from_text(Path("f"), one.to_text()) == one


def test_files_that_are_no_answers_are_told_and_left(write_suite: WriteSuite) -> None:
    folder = write_suite(SUITE | {"accepted/note.txt": "hello", "accepted/half.txt": '+++\ncase = "p#a"\n+++\nred\n'})
    found, problems = read_accepted(folder)
    assert found == {}
    assert [problem.message for problem in problems] == [
        "This is no accepted answer: its head lacks 'model'.",
        "This is no accepted answer: it does not begin with a head between two lines +++.",
    ]
    assert [case.id for case in load_suite(folder).cases] == ["p#a", "v/q"]


def test_answers_that_no_case_uses_are_found_and_removed(write_suite: WriteSuite) -> None:
    suite = load_suite(write_suite(SUITE))
    for case, repeat in (("p#a", 0), ("p#a", 1), ("v/gone", 0)):
        write_accepted(suite, Accepted(path_of(suite.path, (case, "m", repeat)), case, "m", repeat, "beef", "red"))
    found, problems = read_accepted(suite.path)
    assert problems == []
    idle = unused(suite, found.values())
    assert [(one.case, one.repeat) for one in idle] == [("p#a", 1), ("v/gone", 0)]
    remove(suite, idle)
    assert sorted(path.name for path in (suite.path / "accepted").rglob("*")) == ["p#a@m.txt"]
    remove(suite, found.values())
    assert not (suite.path / "accepted").exists()


def test_lines_of_other_systems_are_kept_as_plain_ones(write_suite: WriteSuite) -> None:
    suite = load_suite(write_suite(SUITE))
    one = accepted_of(suite.path, suite.cases[0], attempt("a\r\nb"))
    write_accepted(suite, one)
    assert list(read_accepted(suite.path)[0].values()) == [one]


def test_what_cannot_be_written_is_a_sentence(write_suite: WriteSuite) -> None:
    suite = load_suite(write_suite(SUITE))
    with pytest.raises(SuiteError, match="part of the program"):
        builtin = load_suite(BUILTIN)
        write_accepted(builtin, accepted_of(builtin.path, builtin.cases[0], attempt()))
    (suite.path / "accepted").write_text("a file")
    with pytest.raises(BaselineError, match="cannot be written"):
        write_accepted(suite, accepted_of(suite.path, suite.cases[0], attempt()))
