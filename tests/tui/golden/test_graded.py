"""Answers that something grades: the pane says how far that is, and marks what holds only because of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.calls.events import Event
from core.calls.requests import GenerationRequest
from core.golden.results import Attempt, Status, Verdict
from core.tiers import Tier
from tests.core.golden.records import attempt
from tests.tui.conftest import screen_text, until
from tests.tui.golden.own_suite import GOLDEN
from tests.tui.scripted import ScriptedEngine, answer
from tui.app import AssayApp
from tui.golden.board import Cell, Progress
from tui.golden.cells import verdict_content

JUDGE = 'expect = { judge = { model = "pocket/qwen3", rubric = "It is polite." } }\n'


def by_grade(verdict: Verdict = Verdict.PASS, **changes: object) -> Attempt:
    check = {"name": "expect", "expr": {}, "pass": True, "hits": [], "failed": [], "graded": True}
    return Attempt.from_json({**attempt(verdict=verdict).to_json(), "checks": [check], **changes})


@pytest.mark.parametrize(
    ("cell", "narrow", "wide"),
    [
        (Cell(attempt=by_grade(perf={"decode_tps": 92.0})), "✓g 92", "✓ passes (graded)"),
        (Cell(attempt=by_grade(Verdict.XPASS)), "+g 40", "+ unexpected pass g"),
        (Cell(attempt=attempt(), was=Verdict.FAIL), "✓↻ 40", "✓ passes ↻ 40 tok/s"),
        (Cell(attempt=by_grade(), was=Verdict.FAIL), "✓g↻ 40", "✓ passes (graded) ↻"),
        (Cell(Progress.GRADING), "∴", "to be graded"),
    ],
)
def test_a_verdict_says_on_what_it_rests(cell: Cell, narrow: str, wide: str) -> None:
    assert cell.attempt is None or cell.attempt.status is Status.OK
    assert [verdict_content(cell, cells).plain for cells in (6, 19)] == [narrow, wide]


async def test_grading_is_told_and_what_holds_by_it_is_marked(
    workbench: AssayApp, scripted: ScriptedEngine, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "golden.toml").write_text(GOLDEN)
    for name in ("one", "two"):
        (folder / f"{name}.txt").write_text(f"Say {name}.")
        (folder / f"{name}.toml").write_text(JUDGE)

    def says(request: GenerationRequest) -> list[Event]:
        grades = request.model == "pocket/qwen3"
        scripted.held = grades  # a grade comes when the test lets it
        return answer("PASS") if grades else answer("It is one, please.")

    async with workbench.run_test(size=(120, 40)) as pilot:
        scripted.script = says
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.golden.table.selected)
        workbench.golden.open_suite(folder)
        await until(pilot, lambda: workbench.golden.table.keys == ["one", "two"])
        await pilot.press("f4", "f", "R")
        await until(pilot, lambda: "grading 0 of 4" in screen_text(workbench), "what goes on")
        assert screen_text(workbench).count("to be graded") >= 4
        for _ in range(2):  # both orders of the first check
            await until(pilot, lambda: any(not one.done for one in scripted.generations))
            waiting = [one for one in scripted.generations if not one.done]
            for one in waiting:
                for event in answer("PASS"):
                    one.feed(event)
        await until(pilot, lambda: not workbench.golden.busy, "the grades")
        cells = workbench.golden._board.cells
        assert all(cells[case, tier].graded for case in ("one", "two") for tier in Tier), json.dumps(
            [cell.attempt.why for cell in cells.values() if cell.attempt]
        )
        await until(pilot, lambda: screen_text(workbench).count("✓ passes (graded)") >= 4)
        assert "2 by graded checks" in screen_text(workbench)
        await pilot.press("slash", *"graded", "enter")
        await until(pilot, lambda: workbench.golden.table.keys == ["one", "two"])
