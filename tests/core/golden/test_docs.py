"""The suite in docs/golden.md is one that can be run as it is written."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from core.calls.witness import Witness
from core.golden.expressions import OPERATORS
from core.golden.lint import lint_folder
from core.golden.results import RunFolder, Verdict
from core.golden.schema import ControlsTable, Sidecar
from tests.core.golden.records import attempt

PAGE = (Path(__file__).parents[3] / "docs" / "golden.md").read_text(encoding="utf-8")


def test_the_example_on_the_page_is_a_suite_without_faults(write_suite: Callable[[Mapping[str, str]], Path]) -> None:
    files = dict(re.findall(r"<!-- (\S+) -->\n```toml\n(.*?)```", PAGE, flags=re.DOTALL))
    assert sorted(files) == [
        "capital.toml",
        "golden.toml",
        "translate.toml",
        "vision/cat.toml",
        "vision/shapes.toml",
        "weather.toml",
    ]
    prompts = {
        "greeting.txt": "Hello!",
        "capital.txt": "What is the capital of France?",
        "weather.txt": "What is the weather in Tokyo?",
        "translate.txt": 'Translate "{{word}}" into {{language}}.',
        "vision/cat.txt": "What is this?",
        "vision/cat.png": "text_sample.png",
        "vision/shapes.txt": "What do you see?",
        "vision/red.png": "red_square.png",
        "vision/blue.png": "blue_circle.png",
    }
    suite, problems = lint_folder(write_suite({**files, **prompts}))
    assert problems == []
    assert suite is not None
    assert [case.id for case in suite.cases] == [
        "capital",
        "greeting",
        "translate#dog,language=French",
        "translate#dog,language=German",
        "weather",
        "vision/cat",
        "vision/shapes#red",
        "vision/shapes#blue",
    ]
    assert suite.cases[-1].sampling.max_tokens == 64
    assert len(suite.cases[4].turns) == 2


def test_the_page_names_every_operator_key_and_control() -> None:
    for operator in OPERATORS.keys() - {"any", "all", "not"}:
        assert f"{{ {operator} = " in PAGE
    for name in (*Sidecar.model_fields.keys() - {"case"}, *ControlsTable.model_fields):
        assert f"`{name}" in PAGE


def test_the_lines_that_read_a_run_work(tmp_path: Path) -> None:
    (program,) = re.findall(r"<!-- read.py -->\n```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(program.splitlines()) == 5
    folder = RunFolder.create(tmp_path, {})
    folder.append(attempt("red"))
    folder.append(attempt("blue\u2028sky", Verdict.FAIL, key="other", why="no word"))
    folder.close()
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder.path / "attempts.jsonl")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "p#a | full | no word | blue\u2028sky\n"


def test_the_page_names_every_key_of_a_record() -> None:
    record = attempt().to_json()
    for name in (*record, *record["perf"], *Witness().to_json()):
        assert f"`{name}`" in PAGE
