"""Runs of a part of a suite from the pane: kept, there after a restart, and no base in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.golden.history.joined import JoinedRun, joined
from core.golden.results import NoSuchRun, RunFolder, run_names
from core.settings import Settings
from core.tiers import Tier
from tests.tui.conftest import FULL, QUICK, Furnished, screen_text, until
from tests.tui.golden.own_suite import opened, run_all, write_suite
from tests.tui.scripted import ScriptedEngine, ScriptedServer
from tui.golden.kept import kept_run
from tui.golden.record import runs_folder
from tui.services import Services


def another(data_dir: Path) -> Furnished:
    """The workbench once more, over the same data folder."""
    settings = Settings(data_dir=data_dir)
    app = Furnished(
        lambda: settings,
        lambda settings: Services(settings, ScriptedEngine(), ScriptedServer(), QUICK, FULL),  # type: ignore[arg-type]
    )
    app.animation_level = "none"
    return app


async def test_a_run_of_one_case_is_kept_and_there_after_a_restart(
    workbench: Furnished, scripted: ScriptedEngine, tmp_path: Path
) -> None:
    folder = write_suite(tmp_path / "mine")
    async with workbench.run_test(size=(120, 40)) as pilot:
        sayings = await opened(pilot, workbench, scripted, folder)
        golden = workbench.golden
        await run_all(pilot, workbench)
        whole = golden.last_run
        sayings.said["capital"] = "It is Rome."
        await pilot.press("home", "r")
        await until(pilot, lambda: golden.last_run != whole and not golden.busy)
        part = golden.last_run
        kept = RunFolder.open(runs_folder(workbench.settings.data_dir), part)
        assert {one.case for one in kept.attempts()} == {"capital"}
        assert kept.left_out == 1
        await pilot.press("h")
        await until(pilot, lambda: " 1/2 " in screen_text(workbench), "told apart from the whole run")
        await pilot.press("enter")
        await until(pilot, lambda: f"{part} asked 1 of 2 cases" in screen_text(workbench).replace("\n", ""))
        assert f"{whole} → {part}" in screen_text(workbench)
        await pilot.press("escape", "escape")

    again = another(workbench.settings.data_dir)
    async with again.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: again.golden.table.keys == ["capital", "shape"], "the suite")
        cells = again.golden._board.cells
        await until(pilot, lambda: cells["shape", Tier.FULL].attempt and cells["capital", Tier.FULL].attempt)
        assert [cells[case, Tier.FULL].held for case in ("capital", "shape")] == [False, True]
        assert again.golden.last_run == part


async def test_a_stopped_run_of_one_case_keeps_what_was_said_before(
    workbench: Furnished, scripted: ScriptedEngine, tmp_path: Path
) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted, write_suite(tmp_path / "mine"))
        await run_all(pilot, workbench)
        whole = workbench.golden.last_run
        asked = len(scripted.requests)
        scripted.held = True
        await pilot.press("r")
        await until(pilot, lambda: len(scripted.requests) > asked)
        await pilot.press("escape")
        await until(pilot, lambda: not workbench.golden.busy)
        runs = runs_folder(workbench.settings.data_dir)
        assert len(run_names(runs)) == 2
        assert workbench.golden.last_run == whole
        assert len(joined(runs, "last").as_planned()) == 4


async def test_a_name_that_another_folder_has_too_is_run_alone(
    workbench: Furnished, scripted: ScriptedEngine, tmp_path: Path
) -> None:
    folder = write_suite(tmp_path / "mine")
    (folder / "more").mkdir()
    (folder / "more" / "capital.txt").write_text("What is the capital of Italy?")
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.golden.table.selected)
        workbench.golden.open_suite(folder)
        await until(pilot, lambda: "more/capital" in workbench.golden.table.keys)
        await pilot.press("f4")
        workbench.golden.table.select("capital")
        await pilot.press("r")
        await until(pilot, lambda: workbench.golden.last_run and not workbench.golden.busy)
        kept = RunFolder.open(runs_folder(workbench.settings.data_dir), "last")
        assert {one.case for one in kept.attempts()} == {"capital"}


async def test_what_was_rejected_of_joined_runs_waits_no_more(
    workbench: Furnished, scripted: ScriptedEngine, tmp_path: Path
) -> None:
    folder = write_suite(tmp_path / "mine")
    (folder / "accepted").mkdir()
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted, folder)
        golden = workbench.golden
        await run_all(pilot, workbench)
        whole = golden.last_run
        await pilot.press("home", "r")
        await until(pilot, lambda: golden.last_run != whole and not golden.busy)
        await until(pilot, lambda: set(golden._board.changes) == {"capital", "shape"})
        await pilot.press("a")
        await until(pilot, lambda: len(workbench.screen_stack) == 2)
        await pilot.press("r", "r", "r", "r", "escape")
        await until(pilot, lambda: not golden._board.changes)
        runs = runs_folder(workbench.settings.data_dir)
        assert isinstance(joined(runs, golden.last_run), JoinedRun)


async def test_another_suites_run_is_not_shown(workbench: Furnished, scripted: ScriptedEngine, tmp_path: Path) -> None:
    mine, other = write_suite(tmp_path / "mine"), write_suite(tmp_path / "other")
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted, mine)
        await run_all(pilot, workbench)
        golden, runs = workbench.golden, runs_folder(workbench.settings.data_dir)
        first = golden.last_run
        golden.open_suite(other)
        await until(pilot, lambda: golden._suite is not None and golden._suite.path == other)
        assert not golden.last_run
        assert golden._suite is not None
        with pytest.raises(NoSuchRun):
            kept_run(runs, first, golden._suite)
        await run_all(pilot, workbench)
        assert kept_run(runs, first, golden._suite).folder.id == golden.last_run
