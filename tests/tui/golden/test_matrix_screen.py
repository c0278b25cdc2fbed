"""Cases by tiers or models: disagreements stand first, and one is gone to."""

from __future__ import annotations

from core.golden.results import Verdict
from tests.core.golden.records import attempt
from tests.tui.conftest import screen_text, until
from tests.tui.golden.test_pane import finished_run, opened
from tests.tui.scripted import ScriptedEngine
from tui.app import AssayApp
from tui.golden.matrix_screen import Matrix, MatrixScreen


def test_models_are_columns_where_several_answered() -> None:
    found = Matrix(
        attempt(
            f"Said {model}.", case=case, key=f"{case} {model}", tier="full", model={"id": f"a/{model}"}, verdict=is_so
        )
        for case, model, is_so in (
            ("one", "x", Verdict.PASS),
            ("one", "y", Verdict.PASS),
            ("two", "x", Verdict.PASS),
            ("two", "y", Verdict.FAIL),
        )
    )
    assert [name for _, name in found.columns] == ["x", "y"]
    assert found.rows == ["two", "one"]
    assert found.differs("two")
    assert not found.differs("one")


def test_among_like_ones_the_cases_stand_as_in_the_suite() -> None:
    ended = [attempt("Yes.", case=case, key=case, tier="full") for case in ("c", "a", "gone", "b")]
    assert Matrix(ended, ["a", "b", "c", "d"]).rows == ["a", "b", "c", "gone"]


async def test_the_matrix_leads_to_a_disagreement(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted)
        await pilot.press("R")
        await finished_run(pilot, workbench)
        await pilot.press("t")
        await until(pilot, lambda: isinstance(workbench.screen, MatrixScreen))
        rows = [line for line in screen_text(workbench).splitlines() if "vision/" in line or "prompts/" in line]
        first = next(line for line in rows if "differ" in line)
        assert "vision/ocr_text" in first
        assert "✗" in first
        assert "1 of 11 differ" in screen_text(workbench)
        await pilot.press("enter")
        await until(pilot, lambda: workbench.golden.table.selected == "vision/ocr_text")
        assert len(workbench.screen_stack) == 1
