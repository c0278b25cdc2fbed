"""A suite that changes on disk is read again; what the linter says stands where it belongs."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Static

from core.golden.suite import Case, Problem
from core.golden.watching import stamps
from core.tiers import Tier
from tests.tui.conftest import screen_text, until
from tests.tui.golden.own_suite import opened, run_all, write_suite
from tests.tui.golden.test_pane import notices
from tests.tui.scripted import ScriptedEngine
from tui.app import AssayApp
from tui.golden.watched import by_case


def test_a_message_belongs_to_the_case_before_its_line(tmp_path: Path) -> None:
    cases = [Case(f"a#{name}", tmp_path / "a.toml", line, "?") for name, line in (("x", 3), ("y", 9))]
    problems = [Problem("one", tmp_path / "a.toml", at) for at in (1, 4, 12)] + [
        Problem("two", tmp_path / "golden.toml")
    ]
    found = by_case(cases, problems)
    assert {case: [one.line for one in of] for case, of in found.items()} == {"a#x": [1, 4], "a#y": [12], "": [None]}


def test_accepted_answers_are_no_change(tmp_path: Path) -> None:
    folder = write_suite(tmp_path / "mine")
    before = stamps(folder)
    (folder / "accepted").mkdir()
    (folder / "accepted" / "capital@x.txt").write_text("x")
    assert stamps(folder) == before
    (folder / "capital.txt").write_text("What is the capital of Spain?")
    assert stamps(folder) != before


async def test_a_suite_is_read_again_when_it_changes(
    workbench: AssayApp, scripted: ScriptedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.golden.watching.LOOK_S", 0.05)
    folder = write_suite(tmp_path / "mine")
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted, folder)
        golden = workbench.golden
        await run_all(pilot, workbench)
        (folder / "shape.txt").write_text("Which shape do you see in the image?")
        (folder / "word.txt").write_text("Say red.")
        (folder / "word.toml").write_text('expect = "red"\n')
        await until(pilot, lambda: golden.table.keys == ["capital", "shape", "word"], "the new case")
        assert golden._board.cells["capital", Tier.QUICK].held, "what has not changed keeps its answer"
        assert golden._board.cells["shape", Tier.QUICK].attempt is None
        await until(pilot, lambda: "lint has messages on" in screen_text(workbench))
        golden.table.select("word")
        await until(pilot, lambda: "lint    " in screen_text(workbench), "beside the prompt")

        (folder / "word.toml").write_text("expekt = 1\n")
        await until(pilot, lambda: "Not read anew" in screen_text(workbench))
        await pilot.press("R")
        await until(pilot, lambda: "expekt" in notices(workbench))
        assert not golden.busy
        (folder / "word.toml").unlink()
        await until(pilot, lambda: "Not read anew" not in screen_text(workbench))


async def test_another_expectation_judges_kept_answers_at_once(
    workbench: AssayApp, scripted: ScriptedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.golden.watching.LOOK_S", 0.05)
    folder = write_suite(tmp_path / "mine")
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted, folder)
        golden = workbench.golden
        await run_all(pilot, workbench)
        asked = len(scripted.requests)
        (folder / "capital.toml").write_text('expect = "rome"\n')
        await until(pilot, lambda: golden._board.cells["capital", Tier.QUICK].held is False, "judged anew")
        assert len(scripted.requests) == asked
        assert golden._board.cells["shape", Tier.QUICK].was is None
        await until(pilot, lambda: "↻ judged anew, before: ✓ passes" in screen_text(workbench))
        assert "✗ fails ↻" in screen_text(workbench)
        assert "1 judged anew" in screen_text(workbench) or "1 ↻" in screen_text(workbench)
        (folder / "shape.txt").write_text("Which shape do you see in the image?")
        await until(pilot, lambda: golden._board.cells["shape", Tier.QUICK].attempt is None, "read once more")
        assert golden._board.cells["capital", Tier.QUICK].was is not None, "it stays marked"
        await pilot.press("home", "r")
        await until(pilot, lambda: not golden.busy and golden._board.cells["capital", Tier.QUICK].was is None)


async def test_a_folder_without_prompts_shows_no_other_suites_rows(
    workbench: AssayApp, scripted: ScriptedEngine, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    async with workbench.run_test(size=(80, 24)) as pilot:
        await opened(pilot, workbench, scripted, write_suite(tmp_path / "mine"))
        workbench.golden.open_suite(empty)
        await until(pilot, lambda: "There is no .txt file" in screen_text(workbench))
        assert workbench.golden.table.keys == []
        assert "suite empty" in screen_text(workbench)
        assert "runs them all" not in screen_text(workbench)
        await pilot.press("f4", "space")
        assert "There is no .txt file" in notices(workbench), "a key without a row says why"


async def test_a_filter_that_finds_nothing_says_so(
    workbench: AssayApp, scripted: ScriptedEngine, tmp_path: Path
) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted, write_suite(tmp_path / "mine"))
        await pilot.press("slash", *"zebra", "enter")
        await until(pilot, lambda: "No prompt matches 'zebra'. Escape clears the filter." in screen_text(workbench))
        for count, key in enumerate(("space", "asterisk", "r"), 1):
            await pilot.press(key)
            assert notices(workbench).count("No prompt matches 'zebra'") == count, "a key without a row says why"
        await pilot.press("escape")
        await until(pilot, lambda: workbench.golden.table.keys == ["capital", "shape"])


async def test_messages_name_the_file_and_not_the_way_to_it(
    workbench: AssayApp, scripted: ScriptedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.golden.watching.LOOK_S", 0.05)
    folder = write_suite(tmp_path / "mine")
    (folder / "capital.txt").write_text("Say paris.")
    async with workbench.run_test(size=(160, 45)) as pilot:
        await opened(pilot, workbench, scripted, folder)
        await until(pilot, lambda: "lint    capital.toml:1: an echo of the prompt" in screen_text(workbench))
        (folder / "capital.toml").write_text("expekt = 1\n")
        said = workbench.golden.query_one("#golden-faults", Static)
        await until(pilot, lambda: "the rows are as before: capital.toml:1: There is no key" in str(said.content))
