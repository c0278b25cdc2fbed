"""A suite of a user's own in the workbench, over the scripted engine."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot

from core.calls.events import Event
from core.calls.requests import GenerationRequest
from tests.tui.conftest import until
from tests.tui.scripted import ScriptedEngine, answer, red_square
from tui.app import AssayApp

GOLDEN = """[defaults]
temperature = 0.0
[tiers]
quick = "pocket/qwen2-vl"
full = "pocket/gemma3"
"""


def write_suite(folder: Path) -> Path:
    """Two cases, one with an image; on both tiers."""
    folder.mkdir()
    (folder / "golden.toml").write_text(GOLDEN)
    (folder / "capital.txt").write_text("What is the capital of France?")
    (folder / "capital.toml").write_text('expect = "paris"\n')
    (folder / "shape.txt").write_text("Which shape is in the image?")
    (folder / "shape.toml").write_text('expect = "square"\n')
    (folder / "shape.png").write_bytes(red_square().data)
    return folder


class Sayings:
    """What the models say to a part of a prompt; it can be changed between two runs."""

    def __init__(self) -> None:
        self.said = {"capital": "It is Paris.", "shape": "A red square."}

    def __call__(self, request: GenerationRequest) -> list[Event]:
        prompt = request.messages[-1].plain_text
        return answer(next(text for part, text in self.said.items() if part in prompt))


async def opened(pilot: Pilot[None], app: AssayApp, scripted: ScriptedEngine, folder: Path) -> Sayings:
    """The suite is open, and its pane has the focus."""
    scripted.script = sayings = Sayings()
    await until(pilot, lambda: app.state.phase == "ready" and app.golden.table.selected, "the built-in suite")
    app.golden.open_suite(folder)
    await until(pilot, lambda: app.golden.table.keys == ["capital", "shape"], "the suite")
    await pilot.press("f4")
    return sayings


async def run_all(pilot: Pilot[None], app: AssayApp) -> None:
    asked = len(app.golden._board.attempts)
    await pilot.press("R")
    await until(pilot, lambda: not app.golden.busy and len(app.golden._board.attempts) >= max(asked, 4), "the run")
