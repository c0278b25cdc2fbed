"""`pytest --assay SUITE` in a folder of a user's own, by a pytest of its own, on pocket models."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from core.golden import draw

FILES = {
    "pytest.ini": "[pytest]\naddopts = --strict-markers\n",
    "test_mine.py": "def test_mine():\n    pass\n",
    "tui/__init__.py": "raise ImportError('a folder of the user has this name')\n",
    "prompts/golden.toml": """
[defaults]
temperature = 0.0
thinking = false
max_tokens = 32
[tiers]
quick = { text = "pocket/qwen3", vision = "pocket/qwen2-vl" }
full = "nobody/has-this"
""",
    "prompts/capital.txt": "What is the capital of France?",
    "prompts/capital.toml": 'expect = "paris"\n',
    "prompts/vision/test_shape.txt": "What is in this image?",
    "prompts/vision/test_shape.toml": '[[case]]\nid = "red"\nimages = "red.png"\nexpect = "elephant"\n',
    "prompts/accepted/vision/test_shape#red@pocket--qwen2-vl.txt": """\
+++
case = "vision/test_shape#red"
model = "pocket/qwen2-vl"
question = "before"
+++
The image shows a blue elephant.
""",
    "prompts/slow.txt": "Hello!",
    "prompts/slow.toml": "xfail = 'it is shy'\nexpect = 'rhinoceros'\n",
}
Run = Callable[..., "Told"]


class Told:
    """What a run of pytest says, and the golden runs that it made."""

    def __init__(self, done: subprocess.CompletedProcess[str], runs: Path) -> None:
        self.code = done.returncode
        self.text = done.stdout + done.stderr
        self.last = self.text.strip().splitlines()[-1]
        found = sorted(runs.glob("*/run.json"))
        self.runs: list[dict[str, Any]] = [json.loads(file.read_text()) for file in found]

    def asked(self) -> list[str]:
        """The cases of the latest golden run."""
        return [key.split("|")[0] for key in self.runs[-1]["planned"]]


@pytest.fixture
def run(clean_env: dict[str, str], tmp_path: Path) -> Run:
    home = tmp_path / "home"
    for name, text in FILES.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    draw.draw_all()["red_square.png"].save(home / "prompts" / "vision" / "red.png")

    def pytest_there(*arguments: str) -> Told:
        env = {name: value for name, value in clean_env.items() if not name.startswith("PYTEST_")}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=home,
            env=env,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        return Told(done, tmp_path / "data" / "runs")

    return pytest_there


def test_cases_are_tests_with_their_images_in_every_report(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    quick = ("--assay", "prompts", "--assay-tier", "quick")
    told = run(*quick, "--junitxml", "out.xml", "--html", "page.html", "--self-contained-html")
    assert told.code == 1, told.text
    assert "1 failed, 2 passed, 1 xfailed" in told.last
    assert len(told.runs) == 1
    assert "FAILED prompts::vision/test_shape#red[quick]" in told.text
    assert "vision/test_shape#red (quick, pocket/qwen2-vl):" in told.text
    assert "  prompt    What is in this image?" in told.text
    assert f"  image     {home.resolve() / 'prompts/vision/red.png'}" in told.text
    assert "  expected  elephant" in told.text
    assert "  answer    The image shows a red square" in told.text
    assert '  check     expect: no word "elephant"' in told.text
    assert "  accepted  The image shows a [-blue elephant-]{+red square" in told.text
    assert f"  written   {home.resolve() / 'prompts/vision/test_shape.toml'}:4" in told.text
    cases = {one.get("name"): one for one in ElementTree.parse(home / "out.xml").iter("testcase")}
    named = [(one.get("name"), one.get("value")) for one in cases["vision/test_shape#red[quick]"].iter("property")]
    assert ("image", str(home.resolve() / "prompts/vision/red.png")) in named
    assert ("verdict", "quick, pocket/qwen2-vl: fail") in named
    assert "data:image/png;base64,iVBOR" in (home / "page.html").read_text()

    again = run(*quick, "--lf")
    assert "1 failed" in again.last
    assert again.asked() == ["vision/test_shape#red"]

    one = run("--assay", "prompts", "prompts::capital", "--assay-model", "pocket/qwen3")
    assert one.code == 0, one.text
    assert "1 passed, 2 deselected" in one.last
    assert one.asked() == ["capital"]


def test_workers_of_xdist_share_one_run(run: Run) -> None:
    told = run("--assay", "prompts", "--assay-model", "pocket/qwen3", "-k", "capital or slow or mine", "-n", "2")
    assert told.code == 0, told.text
    assert "2 passed, 1 xfailed" in told.last
    assert len(told.runs) == 1
    assert f"kept as {told.runs[0]['id']}" in told.text
    assert sorted(told.asked()) == ["capital", "slow"]


def test_what_assay_cannot_do_is_an_error_with_its_sentence(run: Run, tmp_path: Path) -> None:
    absent = run("--assay", "prompts", "--assay-model", "nobody/has-this")
    assert "1 passed, 3 errors" in absent.last
    assert "nobody/has-this" in absent.text
    unanswered = run("--assay", "prompts", "--assay-tier", "full", "-k", "capital")
    assert "1 error" in unanswered.last
    assert "No model answers on the full tier: nobody/has-this is not on disk" in unanswered.text
    assert run("--assay", "gone").last.startswith("ERROR: There is no suite")
    assert "has no case capitol" in run("--assay", "prompts", "prompts::capitol").text
    (tmp_path / "home" / "prompts" / "capital.toml").write_text("expekt = 1\n")
    broken = run("--assay", "prompts")
    assert "capital.toml:1" in broken.text
    assert "ERROR prompts" in broken.text


def test_suites_of_the_ini_file_are_run_unless_something_else_is_asked_for(run: Run, tmp_path: Path) -> None:
    ini = tmp_path / "home" / "pytest.ini"
    ini.write_text(f"{ini.read_text()}testpaths = test_mine.py\nassay_suites = prompts\n")
    assert "4 tests collected" in run("--collect-only", "-q").last
    assert "1 test collected" in run("--collect-only", "-q", "test_mine.py").last
