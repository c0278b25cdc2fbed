"""Earlier runs in the pane: found, compared by keyboard, and their answers shown again."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from core.tiers import Tier
from tests.tui.conftest import screen_text, until
from tests.tui.golden.own_suite import opened, run_all, write_suite
from tests.tui.golden.test_pane import notices
from tests.tui.scripted import ScriptedEngine
from tests.tui.test_stopping import footer
from tui.app import AssayApp
from tui.golden.comparison_screen import ComparisonScreen
from tui.golden.earlier import ACCEPTED
from tui.golden.runs_screen import RunsScreen


async def runs(pilot: Pilot[None], app: AssayApp, count: int) -> RunsScreen:
    await pilot.press("h")
    await until(pilot, lambda: isinstance(app.screen, RunsScreen) and len(app.screen.table.keys) == count, "the runs")
    assert isinstance(app.screen, RunsScreen)
    return app.screen


async def test_runs_are_compared_and_opened_by_keyboard(
    workbench: AssayApp, scripted: ScriptedEngine, tmp_path: Path
) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        sayings = await opened(pilot, workbench, scripted, write_suite(tmp_path / "mine"))
        await runs(pilot, workbench, 0)
        await until(pilot, lambda: "No run of this suite is kept yet" in screen_text(workbench))
        await pilot.press("escape")
        await run_all(pilot, workbench)
        first = workbench.golden.last_run
        await runs(pilot, workbench, 2)
        await pilot.press("enter")
        await until(pilot, lambda: "No run before this one has answers: b on another row" in notices(workbench))
        await pilot.press("escape")
        sayings.said["capital"] = "It is Rome."
        await run_all(pilot, workbench)

        screen = await runs(pilot, workbench, 3)
        assert screen.table.keys[-1] == ACCEPTED
        assert "1/2" in screen_text(workbench)
        assert "2/2" in screen_text(workbench)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(workbench.screen, ComparisonScreen))
        await until(pilot, lambda: "It is [-Paris-]{+Rome+}." in screen_text(workbench), "both answers")
        shown = screen_text(workbench)
        assert shown.index("✗ regressed  capital (quick)") < shown.index("✗ regressed  capital (full)")
        assert "shape" not in shown, "what is the same is not listed"
        assert "quick: 2 of 2 held, now 1; 1 held less often" in shown
        balances = str(workbench.screen.query_one("#comparison-balances", Static).content)
        assert "McNemar exact p = 1: may be luck" in balances
        assert "1 of 1    0 of 1" in shown
        assert ("s", "Same too") in footer(workbench)
        await pilot.press("s")
        await until(pilot, lambda: "= same       shape (quick)" in screen_text(workbench))
        await pilot.press("tab")
        assert workbench.focused is workbench.screen.query_one("#comparison-answers"), "they can be scrolled"

        await pilot.press("escape", "b", "enter")
        await until(pilot, lambda: "4 cases: 4 same." in screen_text(workbench), "a run and itself")
        assert ("s", "Same too") not in footer(workbench)
        await pilot.press("s")
        assert "= same       shape (quick)" in screen_text(workbench)
        await pilot.press("escape")
        row = next(line for line in screen_text(workbench).splitlines() if "▸ 20" in line)
        assert "…" not in row, "its time is whole"

        await pilot.press("end", "b")
        assert "▸ accepted answers" in screen_text(workbench)
        await pilot.press("home", "enter")
        await until(pilot, lambda: "accepted →" in screen_text(workbench), "the accepted answers as the base")
        workbench.golden._board.marked = {"capital"}
        await until(pilot, lambda: workbench.golden._board.problems["shape"], "the linter's message")
        await pilot.press("escape", "down", "o")
        await until(pilot, lambda: len(workbench.screen_stack) == 1)
        await until(pilot, lambda: workbench.golden._board.cells["capital", Tier.FULL].held)
        assert workbench.golden.last_run == first
        assert workbench.golden._board.marked == {"capital"}
        assert workbench.golden._board.problems["shape"]

        workbench.golden.table.select("shape")
        await pilot.press("r")
        await until(pilot, lambda: workbench.golden.last_run != first, "a run of one case")
        await until(pilot, lambda: workbench.golden._board.cells["capital", Tier.FULL].held is False)
        assert workbench.golden._board.cells["shape", Tier.FULL].held, "it stands on top of the last whole run"


async def test_both_answers_have_room_below_many_cases(
    workbench: AssayApp, scripted: ScriptedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.golden.watching.LOOK_S", 0.05)
    folder = write_suite(tmp_path / "mine")
    async with workbench.run_test(size=(80, 24)) as pilot:
        sayings = await opened(pilot, workbench, scripted, folder)
        for index in range(10):
            (folder / f"more{index}.txt").write_text("What is the capital?")
        await until(pilot, lambda: len(workbench.golden.table.keys) == 12)
        await run_all(pilot, workbench)
        sayings.said["capital"] = "It is Rome."
        await run_all(pilot, workbench)
        await runs(pilot, workbench, 3)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(workbench.screen, ComparisonScreen))
        await until(pilot, lambda: "It is [-Paris-]{+Rome+}." in screen_text(workbench), "both answers")
        assert "24 cases:" in screen_text(workbench), "what it comes to stands first"
