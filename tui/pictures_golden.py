"""Pictures of every state of the golden pane, over a suite of a user's own and real models: `python -m tui.pictures
FOLDER --golden`. It makes a 2-bit copy of a pocket model, which says other
things,, so it needs the repository, not only the package."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from core.golden.suite import BUILTIN
from core.pocket import POCKET_MODELS
from core.settings import load_settings
from tui.app import AssayApp
from tui.camera import Camera, until

COPY = "gemma3-2bit"
QUANTISE = """import sys
from pathlib import Path
from tests.tiny.quantised import quantise
quantise(Path(sys.argv[1]), Path(sys.argv[2]), 2)
"""
GOLDEN = """[defaults]
temperature = 0.0
max_tokens = 64
thinking = false
[tiers]
quick = { vision = "MODEL", text = "pocket/qwen3" }
full = { vision = "pocket/gemma3", text = "pocket/qwen3" }
"""
CHECKS = """import time
def short(answer, about):
    time.sleep(1 if about["case"] == "manner/kind" else 8)
    return len(answer) < 200 or "it is too long"
"""
CASES = {
    "facts/capital": ("What is the capital of France? Answer in one word.", 'expect = "paris"\n'),
    "facts/river": ("What is the capital of Italy?", 'expect = { all = ["tiber", "rome"] }\n'),
    "facts/echo": ("Say red.", 'expect = "red"\n'),
    "facts/long": ("Read this. " + "It is a long text, longer than any window. " * 9_000, 'expect = "red"\n'),
    "facts/known": ("What is 17 times 23?", 'expect = "391"\nxfail = "it cannot multiply"\n'),
    "manner/short": (
        "Say hello to Ada.",
        'expect = { all = [{ not_empty = true }, { python = "checks.py:short" }] }\n',
    ),
    "manner/kind": ("Say goodbye to Ada.", 'expect = { python = "checks.py:short" }\n'),
    "manner/often": ("Tell me a story about a dog.", "repeats = 3\ntemperature = 0.9\nexpect = { regex = '[dD]og' }\n"),
    "vision/red": ("What shape do you see and what color is it?", 'images = "../images/red.png"\nexpect = ["red"]\n'),
    "vision/blue": (
        "What shape do you see and what color is it?",
        'images = "../images/blue.png"\nexpect = { all = ["blue", "circle"] }\ncontrols.blind = true\n',
    ),
    "vision/both": (
        "What do the two images have in common, and in what do they differ?\nAnswer in two sentences; name colors.",
        'images = ["../images/red.png", "../images/blue.png"]\nexpect = { all = ["red", "blue"] }\n',
    ),
    "vision/three": (
        "What do you see in these images?",
        'images = ["../images/red.png", "../images/blue.png", "../images/text.png"]\nexpect = "red"\n',
    ),
    "vision/tool": (
        "What is the weather where this was taken?",
        'images = "../images/red.png"\nexpect = { tool = "weather" }\n[[tools]]\nname = "weather"\n',
    ),
    "vision/turns": (
        "What color is it?",
        'images = "../images/blue.png"\nexpect = "blue"\n[[turns]]\nuser = "And its shape?"\nexpect = "circle"\n',
    ),
}
"""By id, the prompt and its sidecar."""


def _write_suite(folder: Path, model: str) -> None:
    (folder / "images").mkdir(parents=True)
    for name, source in (("red", "red_square"), ("blue", "blue_circle"), ("text", "text_sample")):
        shutil.copyfile(BUILTIN / "images" / f"{source}.png", folder / "images" / f"{name}.png")
    (folder / "golden.toml").write_text(GOLDEN.replace("MODEL", model))
    (folder / "checks.py").write_text(CHECKS)
    for name, (prompt, sidecar) in CASES.items():
        file = folder / f"{name}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text(prompt)
        file.with_suffix(".toml").write_text(sidecar)


def _quantise(folder: Path) -> None:
    source = next(model.folder for model in POCKET_MODELS if model.id == "pocket/gemma3")
    folder.parent.mkdir()
    subprocess.run([sys.executable, "-c", QUANTISE, source, folder], check=True)


async def _states(camera: Camera, suite: Path) -> None:
    app, pilot = camera.app, camera.pilot
    golden = app.golden

    async def opened(screens: int = 2) -> None:
        await until(pilot, lambda: len(app.screen_stack) == screens)

    await pilot.press("f4")
    empty = suite.parent / "empty"
    empty.mkdir()
    golden.open_suite(empty)
    await pilot.pause(0.5)
    await camera.keep("golden-01-empty")
    golden.open_suite(suite)
    await until(pilot, lambda: len(golden.table.keys) == len(CASES))
    await until(pilot, lambda: golden._board.problems)
    golden.table.select("facts/echo")
    await camera.keep("golden-02-first")
    await pilot.press("R")
    await until(pilot, lambda: golden._board.ended()[0] > 3)
    await camera.keep("golden-03-running")
    await until(pilot, lambda: golden._grading is not None and golden._grading.done)
    await camera.keep("golden-04-grading")
    await until(pilot, lambda: not golden.busy)
    for name, case in (
        ("failed", "facts/river"),
        ("error", "facts/long"),
        ("graded", "manner/kind"),
        ("often", "manner/often"),
        ("case", "vision/both"),
        ("three-images", "vision/three"),
        ("skipped", "vision/tool"),
        ("turns", "vision/turns"),
    ):
        golden.table.select(case)
        await pilot.pause(0.5)
        await camera.keep(f"golden-05-{name}")
    for name, case in (("case", "vision/blue"), ("often", "manner/often"), ("three-images", "vision/three")):
        golden.table.select(case)
        await pilot.press("enter")
        await opened()
        await pilot.pause(0.5)
        await camera.keep(f"golden-05-full-{name}")
        await pilot.press("escape")
        await opened(1)
    await pilot.press("f")
    await camera.keep("golden-06-maximised")
    await pilot.press("f")
    await pilot.press("slash", *"vision", "enter")
    await camera.keep("golden-07-filter")
    await pilot.press("slash", *" nothing", "enter")
    await camera.keep("golden-07-filter-nothing")
    await pilot.press("escape", "home", "space", "space", "space")
    await camera.keep("golden-08-marks")
    await pilot.press("left")
    await camera.keep("golden-09-folded")
    await pilot.press("right", "asterisk", "asterisk")
    await camera.keep_opened("golden-10-matrix", "t")
    golden.table.select("vision/red")
    await camera.keep_opened(
        "golden-11-explain", "d", lambda: "How likely" in str(app.screen.query_one("#explain-text").render())
    )
    (suite / "accepted").mkdir()
    await pilot.press("a")
    await opened()
    await camera.keep("golden-12-review-new")
    for _ in range(18):
        await pilot.press("a")
    await camera.keep("golden-12-review-next")
    await pilot.press("escape")
    await opened(1)
    for file in sorted((suite / "accepted").rglob("*.txt")):
        _, head, said = file.read_text().split("+++", 2)
        file.write_text(f"+++{head}+++{said.replace('red', 'green').replace('Paris', 'Rome')}")
    golden._stand()
    await pilot.pause(1)
    await camera.keep("golden-13-pending")
    await camera.keep_opened("golden-14-review", "a")
    await camera.keep_opened("golden-15-duel", "b", lambda: app.screen.query("#duel-answers"))
    await pilot.press("b")
    await opened()
    for _ in range(12):
        await pilot.press("1")
        await pilot.pause(0.1)
    await camera.keep("golden-16-duel-results")
    await pilot.press("escape")
    await opened(1)
    (suite / "facts/capital.toml").write_text('expect = "rome"\n')
    await until(pilot, lambda: golden._board.judged_anew)
    golden.table.select("facts/capital")
    await camera.keep("golden-17-judged-anew")
    golden.table.select("manner/often")
    await pilot.press("r")
    await until(pilot, lambda: not golden.busy)
    await pilot.press("R")
    await until(pilot, lambda: golden._board.ended()[0] > 3)
    await pilot.press("escape")
    await until(pilot, lambda: not golden.busy)
    await camera.keep("golden-18-stopped")
    await pilot.press("h")
    await opened()
    await pilot.pause(0.5)
    await camera.keep("golden-19-runs")
    await pilot.press("down", "enter")
    await opened(3)
    await camera.keep("golden-20-comparison-part")
    await pilot.press("escape", "escape")
    await opened(1)
    await pilot.press("R")
    await until(pilot, lambda: not golden.busy)
    await pilot.press("h")
    await opened()
    await pilot.pause(0.5)
    await pilot.press("enter")
    await opened(3)
    await pilot.pause(0.5)
    await camera.keep("golden-21-comparison")
    await pilot.press("escape", "escape")
    await opened(1)
    await camera.keep_opened("golden-22-export", "e")
    await pilot.press("e")
    await opened()
    app.screen.name_field.value = "/nowhere/page.html"  # type: ignore[attr-defined]
    await pilot.press("enter")
    await camera.keep("golden-23-export-fault")
    await pilot.press("escape")
    await opened(1)
    (suite / "facts/echo.toml").write_text("expekt = 1\nimages = 3\n")
    await until(pilot, lambda: golden._faults)
    await camera.keep("golden-24-faults")


async def take_golden(target: Path, size: tuple[int, int], themes: Sequence[str]) -> None:
    """Take a picture of every state of the golden pane at a size, in every theme."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        suite = folder / "mine"
        await asyncio.to_thread(_quantise, folder / "copies" / COPY)
        own = {"data_dir": folder / "data", "cache_dir": folder / "kept", "hf_cache": folder / "cache"}
        settings = load_settings(**own, port=0, model_folders=[folder / "copies"], golden_python=[suite])
        await asyncio.to_thread(_write_suite, suite, COPY)
        app = AssayApp(lambda: settings)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.state.phase == "ready" and app.golden.table.selected)
            await _states(Camera(app, pilot, target, themes), suite)
            await pilot.press("ctrl+q", "ctrl+q")
            await until(pilot, lambda: app._exit)
