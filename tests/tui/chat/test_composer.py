"""What stands at the composer: what it waits for, completions, and notices that leave it alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.style import Style
from textual.widgets._toast import Toast

from core.calls.events import ToolCallDelta, ToolCallStart
from core.calls.requests import Role
from tests.tui.conftest import screen_text, until
from tests.tui.scripted import ScriptedEngine, answer, finished, red_square
from tui.app import AssayApp


async def test_the_composer_says_that_a_tools_result_is_waited_for(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    scripted.script = lambda request: (
        answer("Sunny.")
        if request.messages[-1].role is Role.TOOL
        else [ToolCallStart(0, "c1", "get_[b]"), ToolCallDelta(0, "{}"), finished()]
    )
    async with workbench.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.chat.bar._models)
        await pilot.press(*"weather?", "enter")
        await until(pilot, lambda: "The model waits for what get_[b] gives" in screen_text(workbench))
        await pilot.press("s")
        await until(pilot, lambda: "result of get_[b]" in screen_text(workbench), "while writing too")
        await pilot.press("enter")
        await until(pilot, lambda: len(workbench.chat.conversation.turns) == 4)
        await until(pilot, lambda: "Ask something." in screen_text(workbench))
        assert "result of" not in screen_text(workbench)


async def test_completions_mark_the_choice_and_say_how_to_take_it(workbench: AssayApp, tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        (tmp_path / name).write_bytes(red_square().data)
    async with workbench.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.chat.bar._models)
        await pilot.press("@")
        await until(pilot, lambda: "─ tab completes · ↑ ↓ choose · esc closes ─" in screen_text(workbench))
        styles: dict[str, Style | None] = {}
        for strip in workbench.screen._compositor.render_strips():
            styles |= {segment.text.split()[0]: segment.style for segment in strip if ".png" in segment.text}
        one, two = styles["one.png"], styles["two.png"]
        assert one is not None
        assert two is not None
        assert one.bgcolor != two.bgcolor
        assert one.bold


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (160, 45)])
async def test_a_notice_covers_nothing_that_one_types_into(workbench: AssayApp, size: tuple[int, int]) -> None:
    async with workbench.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.chat.bar._models)
        composer = workbench.chat.input.composer
        for lines in (1, 6):
            composer.text = "\n".join(["text"] * lines)
            await until(pilot, lambda lines=lines: composer.size.height >= lines)
            workbench.notify("A sentence of some length that has to be read and takes several lines.")
            await until(pilot, lambda: workbench.screen.query(Toast))
            await pilot.pause()
            for toast in workbench.screen.query(Toast):
                assert not toast.region.overlaps(workbench.chat.input.region)
                assert not toast.region.overlaps(workbench.query_one("Footer").region)
                assert toast.region.y > 0
        await pilot.press("f2", "slash")
        await pilot.pause()
        for toast in workbench.screen.query(Toast):
            assert not toast.region.overlaps(workbench.models.filter_box.region)
