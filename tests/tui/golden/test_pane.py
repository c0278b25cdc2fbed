"""Golden prompts in the workbench, over the real runner and a scripted engine."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Static

from core.golden.results import Attempt, RunFolder, Status, Verdict
from core.tiers import Tier
from tests.tui.conftest import QUICK, screen_text, until
from tests.tui.scripted import ScriptedEngine, answer, golden_answers, model_ids
from tui.app import AssayApp
from tui.golden.board import Cell, Progress
from tui.golden.cells import verdict_content
from tui.golden.record import runs_folder


async def opened(pilot: Pilot[None], app: AssayApp, scripted: ScriptedEngine) -> None:
    scripted.script = golden_answers
    await until(pilot, lambda: app.state.phase == "ready" and app.golden.table.selected, "the suite")
    await pilot.press("f4")


async def finished_run(pilot: Pilot[None], app: AssayApp) -> None:
    await until(pilot, lambda: not app.golden.busy and any(cell.attempt for cell in app.golden._board.cells.values()))


def notices(app: AssayApp) -> str:
    return "\n".join(notice.message for notice in app._notifications)


async def test_the_suite_is_there_before_anything_runs(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted)
        workbench.golden.action_next_disagreement()  # the key may come before the footer has changed
        text = screen_text(workbench)
        assert "suite built-in  11 prompts" in text
        assert "vision/describe_image#red" in text
        assert "not run yet" in text


async def test_the_turns_of_a_case_stand_below_its_prompt(
    workbench: AssayApp, scripted: ScriptedEngine, tmp_path: Path
) -> None:
    (tmp_path / "hello.txt").write_text("My name is Ada.")
    (tmp_path / "hello.toml").write_text('[[turns]]\nuser = "What is my name?"\nexpect = "Ada"\n')
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted)
        workbench.golden.open_suite(tmp_path)
        await until(pilot, lambda: "then    What is my name?" in screen_text(workbench))
        assert "My name is Ada." in screen_text(workbench)


async def test_who_would_answer_is_said_before_anything_runs(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    def named(case: str) -> list[str]:
        return [workbench.golden._board.cells[case, tier].model for tier in Tier]

    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted)
        suites_own = ["mlx-community/Qwen2-VL-2B-Instruct-4bit", "mlx-community/gemma-3-27b-it-4bit-DWQ"]
        await until(pilot, lambda: named("vision/ocr_text") == suites_own)
        workbench.golden.table.select("vision/ocr_text")
        await until(pilot, lambda: "full · gemma-3-27b" in screen_text(workbench))
        workbench.post_message(workbench.models.RoleChosen("full", QUICK))
        await until(pilot, lambda: named("vision/ocr_text") == [suites_own[0], QUICK])
        await until(pilot, lambda: "full · qwen2-vl" in screen_text(workbench))


async def test_a_run_can_be_stopped_before_it_has_begun(
    workbench: AssayApp, scripted: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()
    monkeypatch.setattr("tui.golden.running.make_plan", lambda *arguments: held.wait(30))
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted)
        await pilot.press("R")
        assert workbench.golden.busy
        await pilot.press("escape")
        await until(pilot, lambda: not workbench.golden.busy)
        held.set()
        assert {cell.progress for cell in workbench.golden._board.cells.values()} == {Progress.IDLE}
        assert scripted.requests == []


async def test_r_runs_one_prompt_on_both_tiers(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted)
        workbench.golden.table.select("vision/describe_image#red")
        await pilot.press("r")
        await finished_run(pilot, workbench)
        assert len(scripted.requests) == 6  # with its controls, another image and none
        assert sum(bool(request.images) for request in scripted.requests) == 4
        cells = workbench.golden._board.cells
        assert [cells["vision/describe_image#red", tier].held for tier in Tier] == [True, True]
        assert cells["vision/ocr_text", Tier.QUICK].progress is Progress.IDLE
        await until(pilot, lambda: "matched  red, square" in screen_text(workbench))


async def test_capital_r_runs_all_and_n_finds_the_disagreement(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted)
        await pilot.press("R")
        await finished_run(pilot, workbench)
        assert len(scripted.requests) == 36
        folder = RunFolder.open(runs_folder(workbench.settings.data_dir), "last")
        assert len(folder.attempts()) == 48
        assert folder.header["outcome"]["exit_code"] == 1
        await pilot.press("n")
        assert workbench.golden.table.selected == "vision/ocr_text"
        await until(pilot, lambda: 'no word "Hello" in this case' in screen_text(workbench))
        assert "1 disagreement" in screen_text(workbench)


async def test_a_stopped_run_leaves_what_the_whole_one_before_it_said(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted)
        golden = workbench.golden
        await pilot.press("R")
        await finished_run(pilot, workbench)
        whole, said = golden.last_run, {key: cell.attempt for key, cell in golden._board.cells.items()}
        scripted.held = True
        asked = len(scripted.requests)
        await pilot.press("R")
        await until(pilot, lambda: len(scripted.requests) > asked)
        await pilot.press("escape")
        await until(pilot, lambda: not golden.busy and "Stopped" in notices(workbench))
        assert "not run yet" not in screen_text(workbench)
        assert {key: cell.attempt for key, cell in golden._board.cells.items()} == said
        assert golden.last_run == whole != RunFolder.open(runs_folder(workbench.settings.data_dir), "last").id


async def test_a_run_that_was_stopped_is_better_than_none_once_something_ended(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted)
        scripted.held = True
        await pilot.press("R")
        await until(pilot, lambda: scripted.requests)
        assert not workbench.golden.last_run
        for generation in list(scripted.generations):
            for event in answer("Paris."):
                generation.feed(event)
        await until(pilot, lambda: workbench.golden.last_run)
        await pilot.press("escape")
        await until(pilot, lambda: not workbench.golden.busy)
        kept = RunFolder.open(runs_folder(workbench.settings.data_dir), workbench.golden.last_run)
        assert kept.attempts()


async def test_answers_are_seen_while_they_stream_and_escape_stops(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    scripted.held = True
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted)
        workbench.golden.table.select("prompts/system_instruction")
        await pilot.press("r")
        await until(pilot, lambda: len(scripted.generations) == 1, "the model of both tiers to be asked")
        scripted.release(2)
        await until(pilot, lambda: screen_text(workbench).count("Le▌") == 2, "the first word, on both tiers")
        await pilot.press("escape")
        await until(pilot, lambda: not workbench.golden.busy)
        await until(pilot, lambda: "not run yet" in screen_text(workbench))
        assert all(generation.cancelled for generation in scripted.generations)


async def test_a_run_that_breaks_off_is_a_notice_and_the_app_lives(
    workbench: AssayApp, scripted: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted)
        monkeypatch.setattr("tui.golden.running.GoldenRun.run", lambda run: 1 / 0)
        await pilot.press("r")
        await until(pilot, lambda: any("ZeroDivisionError" in notice.message for notice in workbench._notifications))
        assert not workbench.golden.busy
        assert "not run yet" in screen_text(workbench)


async def test_a_role_chosen_here_answers_here(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted)
        await pilot.press("f2")
        workbench.models.table.select("pocket/gemma3")
        await pilot.press("q")
        await until(pilot, lambda: workbench.state.quick == "pocket/gemma3")
        await pilot.press("f4")
        workbench.golden.table.select("vision/ocr_text")
        await pilot.press("r")
        await finished_run(pilot, workbench)
        assert "pocket/gemma3" in model_ids(scripted.requests)


async def test_loading_the_usual_model_is_no_choice(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted)
        await pilot.press("f2")
        for model_id, chosen in (("pocket/gemma3", {"quick"}), ("pocket/qwen2-vl", set())):
            workbench.models.table.select(model_id)
            await pilot.press("q")
            await until(pilot, lambda model_id=model_id: workbench.state.quick == model_id)
            assert workbench.state.chosen == chosen


async def test_the_images_of_a_prompt_are_shown_and_open_in_full(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted)
        workbench.golden.table.select("vision/compare_images")
        await until(pilot, lambda: len(workbench.golden.detail.images) == 2)
        await until(pilot, lambda: len(workbench.golden.query("HalfcellImage")) == 2)
        await pilot.press("v")
        await until(pilot, lambda: "256×256" in screen_text(workbench))
        await pilot.press("escape")
        await until(pilot, lambda: len(workbench.screen_stack) == 1)


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_every_prompt_can_be_reached_on_any_screen(
    workbench: AssayApp, scripted: ScriptedEngine, size: tuple[int, int]
) -> None:
    async with workbench.run_test(size=size) as pilot:
        await opened(pilot, workbench, scripted)
        await pilot.press("end")
        await until(pilot, lambda: "ocr_text" in screen_text(workbench))


@pytest.mark.parametrize("size", [(80, 24), (140, 40), (160, 45), (220, 60)])
async def test_the_disagreement_is_counted_whole_on_any_screen(
    workbench: AssayApp, scripted: ScriptedEngine, size: tuple[int, int]
) -> None:
    async with workbench.run_test(size=size) as pilot:
        await opened(pilot, workbench, scripted)
        await pilot.press("R")
        await finished_run(pilot, workbench)
        for key in ("f4", "f3", "f2"):
            await pilot.press(key)
            await pilot.pause()
            if workbench.golden.region.area and (bar := workbench.golden.query_one("#golden-bar", Static).content):
                assert "1 ≠" in str(bar) or "1 disagreement" in str(bar)
                assert cell_len(str(bar)) <= workbench.golden.content_size.width


@pytest.mark.parametrize("size", [(120, 40), (160, 45), (220, 60)])
async def test_verdicts_stand_beside_the_names_in_words(
    workbench: AssayApp, scripted: ScriptedEngine, size: tuple[int, int]
) -> None:
    async with workbench.run_test(size=size) as pilot:
        await opened(pilot, workbench, scripted)
        await pilot.press("R")
        await finished_run(pilot, workbench)
        await pilot.press("f")
        await until(pilot, lambda: "quick is better" in screen_text(workbench))
        row = next(line for line in screen_text(workbench).splitlines() if "vision/ocr_text" in line)
        assert "✗ fails" in row
        assert "✓ passes" in row
        assert row.index("✓ passes") - row.index("vision/ocr_text") < 40
        assert row.index("quick is better") - row.index("✗ fails") < 40
        places = [workbench.golden.query_one(f".golden-answer.-{tier}").region for tier in Tier]
        table = workbench.golden.table.region
        assert all((place.x >= table.right) == (size[0] > 150) for place in places), (
            "beside the table where there is room"
        )
        assert (places[0].y == places[1].y) == (size[0] != 160)


def test_what_has_no_rate_shows_none_and_skipped_has_a_sign_of_its_own() -> None:
    passed = Attempt("a", "k", "c", "", "", "quick", "in-process", 0, Status.OK, Verdict.PASS)
    shown = [
        verdict_content(Cell(Progress.DONE, attempt=attempt), cells).plain
        for attempt in (passed, replace(passed, perf={"decode_tps": 92.0}), replace(passed, verdict=Verdict.SKIP))
        for cells in (6, 19)
    ]
    assert shown == ["✓", "✓ passes", "✓  92", "✓ passes 92 tok/s", "»", "» skipped"]
