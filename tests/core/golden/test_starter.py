"""A folder of images and questions becomes a suite that can be run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from core.golden.lint import lint_folder
from core.golden.starter import start_suite
from core.golden.suite import SuiteError


def test_images_and_questions_become_cases_and_stay_as_they_are(
    write_suite: Callable[[Mapping[str, str]], Path],
) -> None:
    folder = write_suite({"a.png": "red_square.png", "b.png": "blue_circle.png", "b.txt": "Round?", "c.txt": "Who?"})
    assert start_suite(folder) == ["golden.toml", "a.txt", "a.toml", "b.toml", "c.toml"]
    suite, problems = lint_folder(folder)
    assert suite is not None
    assert [problem for problem in problems if not problem.warning] == []
    assert {case.id: len(case.images) for case in suite.cases} == {"a": 1, "b": 1, "c": 0}
    assert (folder / "b.txt").read_text() == "Round?"
    assert start_suite(folder) == []


def test_an_empty_folder_gets_an_example(tmp_path: Path) -> None:
    assert start_suite(tmp_path / "new") == ["golden.toml", "capital.txt", "capital.toml"]
    suite, problems = lint_folder(tmp_path / "new")
    assert suite is not None
    assert problems == []
    (tmp_path / "file").touch()
    with pytest.raises(SuiteError, match="cannot become a suite"):
        start_suite(tmp_path / "file")
