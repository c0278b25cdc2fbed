"""Answers judged in the workbench by keyboard, names hidden until the last."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from core.golden.duel.votes import VOTES
from core.golden.reading import load_suite
from core.golden.results import RunFolder
from tests.core.golden.records import attempt
from tests.tui.cli.golden_places import keep_run
from tests.tui.cli.test_golden_duel import MODELS, keep, suite
from tests.tui.conftest import screen_text, until
from tests.tui.golden.test_pane import notices, opened
from tests.tui.scripted import ScriptedEngine
from tui.app import AssayApp
from tui.golden.duel_screen import DuelScreen
from tui.widgets.picture import Picture

__all__ = ["suite"]


async def shown(pilot: Pilot[None], app: AssayApp, text: str) -> None:
    await until(pilot, lambda: text in screen_text(app), text)


async def judging(pilot: Pilot[None], app: AssayApp, scripted: ScriptedEngine, run: RunFolder) -> None:
    await opened(pilot, app, scripted)
    app.golden.last_run = run.id
    await pilot.press("b")
    await until(pilot, lambda: isinstance(app.screen, DuelScreen), "the screen")


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_two_answers_are_judged_blind_and_the_names_come_last(
    workbench: AssayApp, scripted: ScriptedEngine, suite: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    run = keep(tmp_path, suite)
    async with workbench.run_test(size=size) as pilot:
        await judging(pilot, workbench, scripted, run)
        await shown(pilot, workbench, "1 of 2")
        seen = screen_text(workbench)
        await pilot.press("1")
        await shown(pilot, workbench, "kept: the first is better · 2 of 2")
        await pilot.press("u")
        await shown(pilot, workbench, "taken back · 1 of 2")
        await pilot.press("s")
        await shown(pilot, workbench, "skipped · 1 of 2")
        seen += screen_text(workbench)
        pictures = len(workbench.screen.query(Picture))
        await pilot.press("2")
        await shown(pilot, workbench, "2 of 2")
        seen += screen_text(workbench)
        assert pictures + len(workbench.screen.query(Picture)) == 1
        assert all(model not in seen for model in MODELS)
        assert "thinks 0." in seen
        assert "thinks 1." in seen
        await pilot.press("0")
        await shown(pilot, workbench, "2 of 2 judged")
        assert all(model in screen_text(workbench) for model in MODELS)
        await shown(pilot, workbench, "sign test by case")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(workbench.screen, DuelScreen), "the pane again")
    assert len((run.path / VOTES).read_text().splitlines()) == 4


async def test_what_cannot_be_judged_is_said(
    workbench: AssayApp, scripted: ScriptedEngine, suite: Path, tmp_path: Path
) -> None:
    run = keep(tmp_path, suite, MODELS[:1])
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted)
        await pilot.press("b")
        assert "There is no run to judge yet" in notices(workbench)
        await judging(pilot, workbench, scripted, run)
        await shown(pilot, workbench, "no case was answered by two models")


async def test_a_long_question_can_be_read_to_its_end_and_images_follow_the_window(
    workbench: AssayApp, scripted: ScriptedEngine, suite: Path, tmp_path: Path
) -> None:
    (suite / "shape.txt").write_text("What is in the image?\n" + "And then?\n" * 20 + "The end.")
    run = keep(tmp_path, suite)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await judging(pilot, workbench, scripted, run)
        await shown(pilot, workbench, "1 of 2")
        if not workbench.screen.query(Picture):
            await pilot.press("s")
        await until(pilot, lambda: workbench.screen.query(Picture), "the case with an image")
        assert workbench.screen.query_one(Picture).size.height == 13
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: workbench.screen.query_one(Picture).size.height == 5, "a smaller image")
        assert "The end." not in screen_text(workbench)
        await pilot.press("shift+tab", "end")
        await shown(pilot, workbench, "The end.")


async def test_names_of_models_are_no_markup(
    workbench: AssayApp, scripted: ScriptedEngine, suite: Path, tmp_path: Path
) -> None:
    asked = {case.id: case.ask_sha for case in load_suite(suite).cases}
    pairs = {"shape": ("lab/a[i]", "lab[/i]b"), "capital": ("lab/c", "lab/d")}
    told = [
        attempt(f"Says {model}.", case=case, key=f"{case} {model}", ask_sha=asked[case], model={"id": model})
        for case, models in pairs.items()
        for model in models
    ]
    run = keep_run(tmp_path / "data", suite, *told)
    async with workbench.run_test(size=(160, 45)) as pilot:
        await judging(pilot, workbench, scripted, run)
        await shown(pilot, workbench, "1 of 2")
        await pilot.press("1")
        await shown(pilot, workbench, "2 of 2")
        await pilot.press("1")
        await shown(pilot, workbench, "lab/a[i], lab[/i]b")
