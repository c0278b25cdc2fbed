"""Insta's cycle in the pane, by keyboard alone, on a suite of a user's own: what changed is pending, and decided on."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from core.golden.compare.change import Change
from tests.tui.conftest import screen_text, until
from tests.tui.golden.own_suite import opened, run_all, write_suite
from tests.tui.golden.test_pane import notices
from tests.tui.scripted import ScriptedEngine
from tui.app import AssayApp
from tui.golden.review_screen import ReviewScreen
from tui.widgets.picture import Picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_suite(tmp_path / "mine")


def accepted(folder: Path) -> dict[str, str]:
    files = sorted((folder / "accepted").rglob("*.txt"))
    return {file.name.split("@")[0] + file.name[-11:]: file.read_text().split("+++\n")[2].strip() for file in files}


def move_away(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


async def reviewing(pilot: Pilot[None], app: AssayApp) -> None:
    await pilot.press("a")
    await until(pilot, lambda: isinstance(app.screen, ReviewScreen), "the review")


async def test_the_cycle_by_keyboard_alone(workbench: AssayApp, scripted: ScriptedEngine, folder: Path) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        sayings = await opened(pilot, workbench, scripted, folder)
        await run_all(pilot, workbench)
        assert workbench.golden._board.changes == {}, "a suite that keeps no answers is left alone"
        await reviewing(pilot, workbench)
        assert "+ new" in screen_text(workbench)
        assert "1 of 4" in screen_text(workbench)
        await pilot.press("a", "a", "a", "a")
        await until(pilot, lambda: "4 accepted" in screen_text(workbench))
        assert set(accepted(folder).values()) == {"It is Paris.", "A red square."}
        await pilot.press("escape")
        await until(pilot, lambda: len(workbench.screen_stack) == 1)

        sayings.said = {"capital": "It is Rome.", "shape": "A blue square."}
        await run_all(pilot, workbench)
        await until(pilot, lambda: len(workbench.golden._board.changes) == 2, "what is pending")
        assert workbench.golden._board.changes == {"capital": Change.REGRESSED, "shape": Change.CHANGED}
        assert "✗ capital" in screen_text(workbench)
        assert "≠ shape" in screen_text(workbench)
        assert "regressed  It is [-Paris-]{+Rome+}." in screen_text(workbench), "in the view of the case"

        await reviewing(pilot, workbench)
        assert "It is [-Paris-]{+Rome+}." in screen_text(workbench)
        assert "this answer fails, the accepted one passes" in screen_text(workbench)
        await pilot.press("r", "s")
        await until(pilot, lambda: "A [-red-]{+blue+} square." in screen_text(workbench))
        await until(pilot, lambda: workbench.screen.query("HalfcellImage"), "its image")
        await pilot.press("a")
        await until(pilot, lambda: "accepted: accepted/shape@pocket--" in screen_text(workbench))
        await pilot.press("u", "a", "s")
        await until(pilot, lambda: "1 rejected, 2 skipped, 1 accepted" in screen_text(workbench))
        assert sorted(accepted(folder).values()) == ["A blue square.", "A red square.", "It is Paris.", "It is Paris."]
        await pilot.press("escape")
        await until(pilot, lambda: len(workbench.screen_stack) == 1)

        await until(pilot, lambda: "capital" in workbench.golden._board.changes, "what was skipped is pending still")
        await reviewing(pilot, workbench)
        assert "1 of 2" in screen_text(workbench)


async def test_undo_leaves_the_suite_as_it_was(workbench: AssayApp, scripted: ScriptedEngine, folder: Path) -> None:
    async with workbench.run_test(size=(80, 24)) as pilot:
        await opened(pilot, workbench, scripted, folder)
        await run_all(pilot, workbench)
        await reviewing(pilot, workbench)
        await pilot.press("a", "r", "u", "u")
        await until(pilot, lambda: "taken back" in screen_text(workbench) and "1 of 4" in screen_text(workbench))
        assert not (folder / "accepted").exists()
        await pilot.press("escape")


async def test_the_built_in_suite_keeps_no_answers(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.golden.table.selected)
        await pilot.press("f4", "a")
        await until(pilot, lambda: "R runs the suite" in notices(workbench))
        assert len(workbench.screen_stack) == 1


async def test_a_suite_that_is_gone_does_not_come_back_as_half_a_folder(
    workbench: AssayApp, scripted: ScriptedEngine, folder: Path
) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted, folder)
        await run_all(pilot, workbench)
        await reviewing(pilot, workbench)
        move_away(folder)
        await pilot.press("a")
        await until(pilot, lambda: "is not there any more: no answer is written" in notices(workbench))
        assert not list(folder.parent.glob(folder.name))
        assert "1 of 4" in screen_text(workbench)


async def test_a_long_question_can_be_read_to_its_end_and_images_follow_the_window(
    workbench: AssayApp, scripted: ScriptedEngine, folder: Path
) -> None:
    (folder / "shape.txt").write_text("Which shape is in the image?\n" + "And then?\n" * 30 + "The end.")
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted, folder)
        await run_all(pilot, workbench)
        await pilot.press("end")
        await reviewing(pilot, workbench)
        await until(pilot, lambda: workbench.screen.query(Picture), "the image")
        assert workbench.screen.query_one(Picture).size.height == 10
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: workbench.screen.query_one(Picture).size.height == 4, "a smaller image")
        assert "The end." not in screen_text(workbench)
        await pilot.press("shift+tab", "end")
        await until(pilot, lambda: "The end." in screen_text(workbench))
