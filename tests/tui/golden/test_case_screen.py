"""One prompt in full: what does not fit beside the rows can be read by keyboard on any screen."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.containers import VerticalScroll

from tests.tui.conftest import screen_text, until
from tests.tui.golden.own_suite import opened, run_all, write_suite
from tests.tui.scripted import ScriptedEngine, red_square
from tui.app import AssayApp
from tui.golden.case_screen import CaseScreen


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_a_case_opens_with_all_its_images_answers_and_checks(
    workbench: AssayApp, scripted: ScriptedEngine, tmp_path: Path, size: tuple[int, int]
) -> None:
    folder = write_suite(tmp_path / "mine")
    images = [f"{number}.png" for number in range(6)]
    for name in images:
        (folder / name).write_bytes(red_square().data)
    told = f"images = {images}\nrepeats = 2\ntemperature = 0.5\ncontrols.blind = true\nlimits.ttft_s = 0.1\n"
    (folder / "shape.toml").write_text(f'expect = "square"\n{told}')
    async with workbench.run_test(size=size) as pilot:
        await opened(pilot, workbench, scripted, folder)
        await run_all(pilot, workbench)
        workbench.golden.table.select("shape")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(workbench.screen, CaseScreen))
        await until(pilot, lambda: len(workbench.screen.query("HalfcellImage")) == 6, "all images")
        area = workbench.screen.query_one("#case-images").region
        assert all(one.region.right <= area.right for one in workbench.screen.query("HalfcellImage"))
        seen = ""
        scroll = workbench.screen.query_one("#case-scroll", VerticalScroll)
        while True:  # down to the end, as a person reads it
            seen += screen_text(workbench)
            at = scroll.scroll_offset.y
            await pilot.press("pagedown")
            await pilot.pause()
            if scroll.scroll_offset.y == at:
                break
        for words in (
            "repeat 1 ✗ fails",
            "repeat 2",
            "control: blind",
            "✓ expect: square at 6",
            "✗ ttft_s: ttft_s is 0.21",
        ):
            assert words in seen
        await pilot.press("n")
        await until(pilot, lambda: "What is the capital of France?" in screen_text(workbench))
        assert "1 of 2" in screen_text(workbench)
        await pilot.press("escape")
        await until(pilot, lambda: len(workbench.screen_stack) == 1)
        assert workbench.golden.table.selected == "capital"


async def test_earlier_answers_of_a_conversation_are_shown(
    workbench: AssayApp, scripted: ScriptedEngine, tmp_path: Path
) -> None:
    folder = write_suite(tmp_path / "mine")
    (folder / "capital.toml").write_text('expect = "paris"\n[[turns]]\nuser = "Which shape has it?"\n')
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, scripted, folder)
        await run_all(pilot, workbench)
        await until(pilot, lambda: "1. It is Paris." in screen_text(workbench))
        assert "A red square." in screen_text(workbench)
