"""A suite's rows: folded by folder, filtered, marked, and run in part."""

from __future__ import annotations

from tests.tui.conftest import screen_text, until
from tests.tui.golden.test_pane import finished_run, opened
from tests.tui.scripted import ScriptedEngine, answer
from tui.app import AssayApp
from tui.golden.board import Progress
from tui.golden.tree import folder_of, inside, rows

CASES = ["a/b/one", "a/b/two", "a/three#x", "four"]


def test_a_folded_folder_is_one_row_and_stands_for_all_in_it() -> None:
    assert rows(CASES, ()) == CASES
    assert rows(CASES, {"a/b/"}) == ["a/b/", "a/three#x", "four"]
    assert rows(CASES, {"a/b/", "a/"}) == ["a/", "four"]
    assert [folder_of(row) for row in ("a/b/one", "a/b/", "a/", "four")] == ["a/b/", "a/", "", ""]
    assert inside("a/", CASES) == CASES[:3]
    assert inside("four", CASES) == ["four"]
    assert inside(None, CASES) == []


async def test_rows_are_filtered_folded_marked_and_run(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted)
        golden = workbench.golden
        await pilot.press("slash", *"vision ocr", "enter")
        await until(pilot, lambda: golden.table.keys == ["vision/ocr_text"])
        await pilot.press("space")
        assert golden._board.marked == {"vision/ocr_text"}
        await until(pilot, lambda: "● vision/ocr_text" in screen_text(workbench))
        await pilot.press("escape")
        await until(pilot, lambda: len(golden.table.keys) == len(golden._board.cases))
        await pilot.press("m")
        await finished_run(pilot, workbench)
        done = {case for (case, _), cell in golden._board.cells.items() if cell.progress is Progress.DONE}
        assert done == {"vision/ocr_text"}
        await pilot.press("space", "asterisk", "asterisk")
        assert golden._board.marked == set()

        golden.table.select("vision/ocr_text")
        await pilot.press("left")
        await until(pilot, lambda: golden.table.selected == "vision/")
        row = next(line for line in screen_text(workbench).splitlines() if "▸ vision/" in line)
        assert "  ▸ vision/" not in row, "nothing is marked"
        assert "0/1" in row
        assert "1/1" in row
        await pilot.press("space")
        await until(pilot, lambda: "● ▸ vision/" in screen_text(workbench), "all of it is marked")
        golden._board.marked.discard("vision/ocr_text")
        golden._redraw()
        await until(pilot, lambda: "◐ ▸ vision/" in screen_text(workbench), "some of it is marked")
        golden.table.select("vision/")
        asked = len(scripted.requests)
        await pilot.press("x")
        await until(pilot, lambda: len(scripted.requests) > asked)
        await until(pilot, lambda: not golden.busy)
        done = {case for (case, _), cell in golden._board.cells.items() if cell.progress is Progress.DONE}
        assert done == {"vision/ocr_text"}, "only what failed was run"
        await pilot.press("n")
        assert golden.table.selected == "vision/ocr_text", "a disagreement in a folded folder is gone to"
        await pilot.press("left", "right")
        await until(pilot, lambda: "▸ vision/" not in screen_text(workbench))


async def test_what_is_left_of_a_run_is_told(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(160, 45)) as pilot:
        await opened(pilot, workbench, scripted)
        golden = workbench.golden
        scripted.held = True
        await pilot.press("R")
        await until(pilot, lambda: scripted.generations)
        assert golden._left_s is None
        for generation in list(scripted.generations):
            for event in answer("Paris."):
                generation.feed(event)
        await until(pilot, lambda: golden._answered)
        assert golden._left_s is not None
        await until(pilot, lambda: "left" in screen_text(workbench))
        await pilot.press("escape")
        await until(pilot, lambda: not golden.busy)
