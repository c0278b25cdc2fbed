"""What stops what: escape for the focused pane, for everything else a key from anywhere, both in the footer."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace

import pytest
from textual.pilot import Pilot
from textual.widgets._footer import FooterKey

from core.errors import ModelUnloaded
from core.status import LoadedModel
from tests.tui.conftest import QUICK, screen_text, until
from tests.tui.scripted import ScriptedEngine, answer, red_square
from tui.app import AssayApp


def footer(app: AssayApp) -> list[tuple[str, str]]:
    """The keys of the last line, as far as they are on the screen."""
    keys = app.screen.query(FooterKey)
    return [(key.key_display, str(key.description)) for key in keys if key.region.right <= app.size.width]


async def both_run(pilot: Pilot[None], app: AssayApp, scripted: ScriptedEngine) -> None:
    """An answer and a golden run at once, the focus in the chat."""
    await until(pilot, lambda: app.state.phase == "ready" and app.chat.bar._models and app.golden.table.selected)
    scripted.held = True
    scripted.script = lambda request: answer("one two three")
    await pilot.press("f4", "R")
    await until(pilot, lambda: app.golden.busy)
    await pilot.press("f3", *"hi", "enter")
    await until(pilot, lambda: app.chat.busy)


@pytest.mark.parametrize("width", [80, 120, 160])
async def test_escape_in_the_chat_stops_the_answer_and_not_the_golden_run(
    workbench: AssayApp, scripted: ScriptedEngine, width: int
) -> None:
    async with workbench.run_test(size=(width, 24)) as pilot:
        await both_run(pilot, workbench, scripted)
        await until(pilot, lambda: footer(workbench)[:2] == [("esc", "Stop answer"), ("^g", "Stop golden run")])
        assert ("F1", "Keys") in footer(workbench)
        asked = next(generation for generation in scripted.generations if generation.request.source == "chat")
        await pilot.press("escape")
        await until(pilot, lambda: not workbench.chat.busy)
        assert asked.cancelled
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert workbench.golden.busy
        await until(pilot, lambda: ("esc", "Stop answer") not in footer(workbench))
        await pilot.press("ctrl+g")
        await until(pilot, lambda: not workbench.golden.busy)
        await until(pilot, lambda: not any("Stop" in label for _, label in footer(workbench)))


async def test_from_elsewhere_the_answer_has_a_key_of_its_own(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(80, 24)) as pilot:
        await both_run(pilot, workbench, scripted)
        await pilot.press("f4")
        await until(pilot, lambda: {("esc", "Stop golden run"), ("F12", "Stop answer")} <= set(footer(workbench)))
        await pilot.press("f12")
        await until(pilot, lambda: not workbench.chat.busy)
        assert workbench.golden.busy
        await pilot.press("escape")
        await until(pilot, lambda: not workbench.golden.busy)


async def test_a_load_is_given_up_by_its_own_keys(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    loads: list[Future[LoadedModel]] = []

    def load(model_id: str, *, pin: bool = False) -> Future[LoadedModel]:
        loads.append(Future())
        return loads[-1]

    def unload(model_id: str, *, cancel: bool = False) -> Future[None]:
        loads[-1].set_exception(ModelUnloaded(f"Loading {model_id} was cancelled."))
        done: Future[None] = Future()
        done.set_result(None)
        return done

    scripted.load, scripted.unload = load, unload  # type: ignore[method-assign]
    async with workbench.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.models.table.selected)
        await pilot.press("f2", "q")
        await until(pilot, lambda: ("esc", "Stop load") in footer(workbench))
        await pilot.press("f3")
        await until(pilot, lambda: ("^\\", "Stop load") in footer(workbench))
        await pilot.press("escape")
        await pilot.pause()
        assert workbench.models.busy
        await pilot.press("ctrl+backslash")
        await until(pilot, lambda: not workbench.models.busy)
        await pilot.press("f2", "q")
        await until(pilot, lambda: workbench.models.busy)
        await pilot.press("escape")
        await until(pilot, lambda: not workbench.models.busy)
    assert len(loads) == 2


async def test_escape_in_another_pane_leaves_the_filter(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(160, 45)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.models.table.selected)
        await pilot.press("f2", "slash", *"qwen", "f3", "escape")
        assert workbench.models.filter_box.value == "qwen"
        await pilot.press("f2", "escape")
        assert workbench.models.filter_box.value == ""


async def test_a_stop_of_the_palette_says_when_there_is_nothing_to_stop(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready")
        (stop,) = [
            command for command in workbench.get_system_commands(workbench.screen) if "Stop golden" in command[0]
        ]
        workbench.call_later(stop.callback)
        await until(pilot, lambda: any("nothing to do" in notice.message for notice in workbench._notifications))


# -- the model's chooser ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closes", ["enter", "escape", "down,enter"])
async def test_what_is_typed_after_the_chooser_goes_to_the_composer(workbench: AssayApp, closes: str) -> None:
    async with workbench.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.chat.bar._models)
        await pilot.press("f7")
        await until(pilot, lambda: workbench.chat.bar.chooser.expanded)
        await pilot.press(*closes.split(","))
        await until(pilot, lambda: workbench.focused is workbench.chat.input.composer)
        await pilot.press(*"hello")
        assert workbench.chat.input.composer.text == "hello"


async def test_a_chooser_that_is_left_for_another_pane_does_not_call_back(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(160, 45)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.chat.bar._models)
        await pilot.press("f7")
        await until(pilot, lambda: workbench.chat.bar.chooser.expanded)
        await pilot.press("f2")
        await until(pilot, lambda: not workbench.chat.bar.chooser.expanded)
        await pilot.pause()
        assert workbench.focused is workbench.models.table.rows


async def test_the_bar_names_the_model_that_will_answer(workbench: AssayApp) -> None:
    open_as_usual = workbench._opener

    def opener(settings: object) -> object:
        return replace(open_as_usual(settings), text={"quick": "pocket/qwen3", "full": "pocket/qwen3"})  # type: ignore[arg-type]

    workbench._opener = opener  # type: ignore[assignment]
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.chat.bar._models)
        await until(pilot, lambda: "quick · pocket/qwen3 (also full)" in screen_text(workbench))
        await workbench.chat.input.attachments.add(red_square())
        await until(pilot, lambda: f"quick · {QUICK}" in screen_text(workbench))
        await workbench.chat.input.attachments.set([])
        await until(pilot, lambda: "quick · pocket/qwen3" in screen_text(workbench))
        await pilot.press(*"hi", "enter")
        await until(pilot, lambda: len(workbench.chat.conversation.turns) == 2)
        assert workbench.chat.conversation.turns[1].model == "pocket/qwen3"
