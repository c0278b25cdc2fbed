"""What programs read of a suite and of a run, and how they say which cases they mean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.golden import draw
from tests.tui.cli.golden_places import ONE_MODEL, Golden

FILES = {
    "golden.toml": ONE_MODEL.replace(
        'full = "pocket/qwen3"', 'full = { text = "pocket/qwen3", vision = "nobody/has-this" }'
    ),
    "capital.txt": "What is the capital of France?",
    "capital.toml": 'expect.quick = ["paris", "lyon"]\nexpect.full = "lyon"\n',
    "vision/shape.txt": "What is this?",
    "vision/shape.toml": '[[case]]\nid = "red"\nimages = "red.png"\nexpect = "red"\n',
    "accepted/capital@pocket--qwen3.txt": """\
+++
case = "capital"
model = "pocket/qwen3"
question = "before"
+++
Lyon, I think.
""",
}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    draw.draw_all()["red_square.png"].save(folder / "vision" / "red.png")
    return folder


def test_a_suite_is_listed_for_programs(golden: Golden, suite: Path) -> None:
    told = json.loads(golden("list", suite, "--json", "-").stdout)
    assert told["suite"]["path"] == str(suite.resolve())
    capital, shape = told["cases"]
    assert (shape["id"], shape["folder"], shape["line"]) == ("vision/shape#red", "vision", 4)
    assert shape["sidecar"] == str((suite / "vision" / "shape.toml").resolve())
    assert shape["images"][0]["path"] == str((suite / "vision" / "red.png").resolve())
    assert shape["tiers"]["full"]["model"] is None
    assert "nobody/has-this is not on disk" in shape["tiers"]["full"]["skip"]
    assert capital["tiers"]["quick"] == {
        "expect": ["paris", "lyon"],
        "expected": "paris or lyon",
        "model": "pocket/qwen3",
        "skip": "",
    }


def test_a_run_of_named_cases_tells_what_each_came_to(golden: Golden, suite: Path, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("capital\n")
    out = tmp_path / "out.json"
    assert golden("run", suite, "--ids", tmp_path / "ids", "--json", out).exit_code == 1
    quick, full = json.loads(out.read_text())["cases"]
    assert (quick["verdict"], quick["holds"], quick["why"]) == ("pass", True, "")
    assert (full["verdict"], full["holds"], full["expected"]) == ("fail", False, "lyon")
    assert full["failed"][0]["why"]
    assert full["change"] == "regressed"
    assert full["accepted"] == "Lyon, I think."
    assert "".join(text for kind, text in full["diff"] if kind != "old") == full["answer"]


@pytest.mark.parametrize(
    ("text", "said"), [("capitol\n", 'no case capitol (did you mean "capital"?)'), ("\n", "names no case")]
)
def test_ids_that_no_case_has_are_named(golden: Golden, suite: Path, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "ids").write_text(text)
    refused = golden("run", suite, "--ids", tmp_path / "ids")
    assert refused.exit_code == 2
    assert said in refused.output
