"""Images in full size, by keyboard, from where they are shown small."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.tui.conftest import screen_text, until
from tests.tui.golden.test_pane import opened
from tests.tui.scripted import ScriptedEngine, red_square
from tui.app import AssayApp


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_all_images_of_a_prompt_can_be_gone_through(
    workbench: AssayApp, scripted: ScriptedEngine, size: tuple[int, int]
) -> None:
    async with workbench.run_test(size=size) as pilot:
        await opened(pilot, workbench, scripted)
        workbench.golden.table.select("vision/compare_images")
        await until(pilot, lambda: len(workbench.golden.detail.images) == 2)
        await pilot.press("v")
        await until(pilot, lambda: "1 of 2  red_square.png  256×256 · 585B · image/png" in screen_text(workbench))
        await pilot.press("right")
        await until(pilot, lambda: "2 of 2  blue_circle.png" in screen_text(workbench))
        await until(pilot, lambda: len(workbench.screen.query("HalfcellImage")) == 1)
        picture, box = workbench.screen.query_one("Picture").region, workbench.screen.query_one(".picture-box").region
        assert box.contains_region(picture)
        assert abs((picture.x - box.x) - (box.right - picture.right)) <= 1, "in the middle"
        await pilot.press("right")
        await until(pilot, lambda: "1 of 2" in screen_text(workbench))
        await pilot.press("left")
        await until(pilot, lambda: "2 of 2" in screen_text(workbench))
        await pilot.press("escape")
        await until(pilot, lambda: len(workbench.screen_stack) == 1)


async def test_the_chat_shows_all_of_its_images(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready")
        for count, names in ((2, ("a.png",)), (4, ("b.png", "[c].png"))):
            for name in names:
                await workbench.chat.input.attachments.add(replace(red_square(), name=name))
            workbench.chat.input.composer.insert("what is this?")
            await pilot.press("enter")
            await until(pilot, lambda count=count: len(workbench.chat.conversation.turns) == count)
        workbench.chat.focus_last_turn()
        await pilot.press("shift+tab", "v")
        await until(pilot, lambda: "2 of 3  b.png" in screen_text(workbench))
        await pilot.press("n")
        await until(pilot, lambda: "3 of 3  [c].png" in screen_text(workbench))
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: "3 of 3  [c].png" in screen_text(workbench) and workbench.screen.size.width == 120)
        await pilot.press("home")
        await until(pilot, lambda: "1 of 3  a.png" in screen_text(workbench))


async def test_a_single_image_has_no_number(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready")
        await workbench.chat.input.attachments.add(red_square())
        await until(pilot, lambda: workbench.chat.input.query("HalfcellImage"))
        await pilot.click("Attachment Picture")
        await until(pilot, lambda: len(workbench.screen_stack) == 2)
        await until(pilot, lambda: "64×64" in screen_text(workbench))
        assert " of 1" not in screen_text(workbench)
