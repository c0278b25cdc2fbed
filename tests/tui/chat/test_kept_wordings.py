"""What was written and left is there again: another wording of a message, settings not applied, a chat's name."""

from __future__ import annotations

import pytest

from core.calls.events import Event, FinishReason, Prefill, ToolCallDelta, ToolCallStart
from core.calls.requests import Role, ToolResultPart
from core.chats.history import History
from tests.tui.chat.test_branches import focus, talk, words
from tests.tui.chat.test_drafts import Start, leave, open_chat, start  # noqa: F401
from tests.tui.chat.test_pane import notices, opened
from tests.tui.conftest import screen_text, until
from tests.tui.scripted import ScriptedEngine, answer, finished, red_square
from tui.app import AssayApp
from tui.chat.saver import history_file
from tui.chat.settings_screen import ChatSettingsScreen
from tui.screens.unsaved import Unsaved
from tui.widgets.text_fields import LineField, TextField


async def test_a_wording_that_was_left_waits_at_its_message_over_a_restart(
    start: Start,  # noqa: F811
    scripted: ScriptedEngine,
) -> None:
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        composer, attachments = app.chat.input.composer, app.chat.input.attachments
        await talk(pilot, app, "one", "two")
        composer.insert("a draft")
        focus(app, 0)
        await pilot.press("e")
        await until(pilot, lambda: composer.text == "one")
        composer.insert(" and more")
        await attachments.add(red_square())
        await pilot.press("escape")
        await until(pilot, lambda: composer.text == "a draft")
        assert "e on the message shows it again" in notices(app)
        await until(pilot, lambda: "you  draft" in screen_text(app))
        focus(app, 2)
        await pilot.press("e")
        await until(pilot, lambda: composer.text == "two")
        composer.insert(" too")
        focus(app, 0)
        await pilot.press("e")  # from one edit to another: both stay
        await until(pilot, lambda: composer.text == "one and more")
        assert [image.name for image in attachments.images] == ["red_square.png"]
        await until(
            pilot, lambda: "editing your draft of message 1 · ⏎ sends a new version · esc leaves it" in screen_text(app)
        )
        await pilot.press("escape")
        await until(pilot, lambda: composer.text == "a draft" and screen_text(app).count("you  draft") == 2)
        await leave(pilot, app)
    again = start()
    async with again.run_test(size=(120, 40)) as pilot:
        await opened(pilot, again)
        composer = again.chat.input.composer
        await open_chat(pilot, again, "two")
        await until(pilot, lambda: composer.text == "a draft" and screen_text(again).count("you  draft") == 2)
        focus(again, 0)
        await pilot.press("e")
        await until(pilot, lambda: composer.text == "one and more")
        await pilot.press("enter")
        await until(pilot, lambda: not again.chat.busy and words(again)[0] == "one and more" and len(words(again)) == 2)
        await until(pilot, lambda: composer.text == "a draft")
        assert "you  draft" not in screen_text(again)
        await leave(pilot, again)


async def test_a_wording_that_is_the_old_one_again_does_not_wait(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        composer = workbench.chat.input.composer
        await talk(pilot, workbench, "one")
        for typed in ("!", "backspace"):
            focus(workbench, 0)
            await pilot.press("e")
            await until(pilot, lambda: composer.editing)
            await pilot.press(typed)
            await pilot.press("escape")
            await until(pilot, lambda: not composer.editing)
        assert not workbench.chat._put_off
        assert "draft" not in screen_text(workbench)


async def change_the_prompt(pilot, app: AssayApp) -> None:  # type: ignore[no-untyped-def]
    await opened(pilot, app)
    await pilot.press("ctrl+s")
    await until(pilot, lambda: isinstance(app.screen, ChatSettingsScreen))
    app.screen.query_one("#set-system", TextField).text = "Be brief."


async def test_leaving_asks_about_settings_that_are_not_applied(start: Start) -> None:  # noqa: F811
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await change_the_prompt(pilot, app)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, Unsaved))
        await pilot.press("ctrl+q", "escape")
        await until(pilot, lambda: isinstance(app.screen, ChatSettingsScreen))
        assert app.screen.query_one("#set-system", TextField).text == "Be brief."
        app.screen.query_one("#set-seed", LineField).value = "many"
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, Unsaved))
        await pilot.press("a")  # one of them cannot be applied
        await until(pilot, lambda: "Seed is 'many'" in screen_text(app))
        app.screen.query_one("#set-seed", LineField).value = ""
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, Unsaved))
        await pilot.press("a")
        await until(pilot, lambda: app._exit)
    again = start()
    async with again.run_test(size=(80, 24)) as pilot:
        await opened(pilot, again)
        assert again.chat.settings.system == "Be brief."
        await leave(pilot, again)


@pytest.mark.parametrize("ends", ["signal", "discard"])
async def test_a_signal_asks_nobody_and_keeps_the_settings(start: Start, ends: str) -> None:  # noqa: F811
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await change_the_prompt(pilot, app)
        if ends == "signal":
            await app.leave()
        else:
            await pilot.press("ctrl+q")
            await until(pilot, lambda: isinstance(app.screen, Unsaved))
            await pilot.press("d")
        await until(pilot, lambda: app._exit)
    assert app.chat.defaults.system == ("Be brief." if ends == "signal" else "")


async def test_a_chat_that_began_as_a_draft_is_called_by_what_is_sent(start: Start) -> None:  # noqa: F811
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        composer = app.chat.input.composer
        composer.insert("secret first wording")
        await pilot.press("ctrl+n")
        await until(pilot, lambda: composer.text == "")
        await pilot.press("ctrl+l")
        await until(pilot, lambda: "secret first wording" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: composer.text == "secret first wording")
        await pilot.press("ctrl+u", *"Other thought", "ctrl+l")
        await until(pilot, lambda: "Other thought" in screen_text(app) and len(app.screen_stack) == 2)
        assert "secret first wording" not in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        await pilot.press("ctrl+u", *"Other question", "enter")
        await until(pilot, lambda: len(words(app)) == 2)
        await leave(pilot, app)
    with History(history_file(app.settings.data_dir)) as history:
        assert [chat.title for chat in history.chats()] == ["Other question"]


def calls(request: object) -> list[Event]:
    made = [
        event
        for number in range(3)
        for event in (ToolCallStart(number, f"call_{number}", "get_weather"), ToolCallDelta(number, "{}"))
    ]
    return [Prefill(1, 1), *made, finished(FinishReason.TOOL_CALLS)]


async def test_a_result_of_several_calls_is_shown_and_edited_once(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    scripted.script = lambda request: answer("Sunny.") if request.messages[-1].role is Role.TOOL else calls(request)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await talk(pilot, workbench, "weather?")
        await until(pilot, lambda: "─ result of get_weather, get_weather, get_weather ─" in screen_text(workbench))
        await pilot.press(*"sunny, 20", "enter")
        await until(pilot, lambda: len(words(workbench)) == 4 and not workbench.chat.busy)
        assert screen_text(workbench).count("sunny, 20") == 1
        focus(workbench, 2)
        await pilot.press("e")
        await until(pilot, lambda: workbench.chat.input.composer.editing)
        assert workbench.chat.input.composer.text == "sunny, 20"
        await pilot.press("enter")
        await until(pilot, lambda: len(scripted.requests) == 3 and not workbench.chat.busy)
        parts = scripted.requests[-1].messages[-1].parts
        assert [part.content[0].text for part in parts if isinstance(part, ToolResultPart)] == ["sunny, 20"] * 3  # type: ignore[union-attr]
