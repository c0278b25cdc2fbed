"""Editing and answering again lose nothing: each makes a branch, in the file too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from textual.pilot import Pilot

from core.calls.events import Event, FinishReason, ToolCallDelta, ToolCallStart
from core.calls.requests import GenerationRequest
from core.chats.history import History
from core.chats.tree import Tree
from core.errors import EngineError, GenerationFailed
from tests.tui.chat.test_pane import ask, notices, opened, said
from tests.tui.conftest import screen_text, until
from tests.tui.scripted import ScriptedEngine, answer, finished, red_square
from tui.app import AssayApp
from tui.chat.saver import history_file


def numbered(scripted: ScriptedEngine) -> None:
    """Answer "answer 1", "answer 2", ..."""
    numbers: Iterator[int] = iter(range(1, 100))
    scripted.script = lambda request: answer(f"answer {next(numbers)}")


async def talk(pilot: Pilot[None], app: AssayApp, *texts: str) -> None:
    for text in texts:
        turns = len(said(app))
        await ask(pilot, app, text)
        await until(pilot, lambda turns=turns: not app.chat.busy and len(said(app)) == turns + 2, text)  # type: ignore[misc]


def words(app: AssayApp) -> list[str]:
    return [text for _, text in said(app)]


def focus(app: AssayApp, index: int) -> None:
    app.chat.transcript.focus_turn(app.chat.transcript.turns[index])


async def edit(pilot: Pilot[None], app: AssayApp, index: int, text: str) -> None:
    """Edit a turn to be another text, and send it."""
    focus(app, index)
    await pilot.press("e")
    await until(pilot, lambda: app.chat.input.composer.editing, "the edit")
    app.chat.input.composer.text = text
    await pilot.press("enter")
    await until(pilot, lambda: not app.chat.busy and text in words(app) and len(words(app)) % 2 == 0, "the answer")


async def test_e_takes_nothing_away_and_escape_brings_the_draft_back(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    numbered(scripted)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await talk(pilot, workbench, "one", "two")
        before = words(workbench)
        workbench.chat.input.composer.insert("half a thought")
        await workbench.chat.input.attachments.add(red_square())
        focus(workbench, 0)
        await pilot.press("e")
        await until(pilot, lambda: workbench.chat.input.composer.text == "one")
        assert words(workbench) == before
        assert "answer 2" in screen_text(workbench)
        assert "editing your message 1" in screen_text(workbench)
        await pilot.press("escape")
        await until(pilot, lambda: workbench.chat.input.composer.text == "half a thought")
        assert [image.name for image in workbench.chat.input.attachments.images] == ["red_square.png"]
        assert "editing your message" not in screen_text(workbench)
        assert words(workbench) == before


async def test_an_edited_message_is_a_branch_in_the_file_and_keys_move_between_them(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    numbered(scripted)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await talk(pilot, workbench, "one", "two")
        await edit(pilot, workbench, 0, "one, better")
        assert words(workbench) == ["one, better", "answer 3"]
        assert [message.plain_text for message in scripted.requests[-1].messages] == ["one, better"]
        assert "‹ 2/2 ›" in screen_text(workbench)
        focus(workbench, 0)
        await pilot.press("left")
        await until(pilot, lambda: words(workbench) == ["one", "answer 1", "two", "answer 2"])
        assert "‹ 1/2 ›" in screen_text(workbench)
        await until(pilot, lambda: workbench.chat.transcript.current is workbench.chat.transcript.turns[0])
        await pilot.press("]")
        await until(pilot, lambda: words(workbench) == ["one, better", "answer 3"])
        await pilot.press("[")
        await until(pilot, lambda: len(words(workbench)) == 4)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: workbench._exit)
    with History(history_file(workbench.settings.data_dir)) as history:
        (chat,) = history.chats()
        assert [turn.message.plain_text for turn in history.turns(chat.id)] == ["one", "answer 1", "two", "answer 2"]
        assert len(history.tree(chat.id, Tree()).every) == 6


async def test_answering_again_keeps_every_answer_and_below_it_what_was_seen_last(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    numbered(scripted)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await talk(pilot, workbench, "one", "two")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: words(workbench)[-1] == "answer 3" and not workbench.chat.busy)
        assert scripted.requests[-1].messages == scripted.requests[-2].messages
        focus(workbench, 1)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: words(workbench) == ["one", "answer 4"])
        assert [message.plain_text for message in scripted.requests[-1].messages] == ["one"]
        await until(pilot, lambda: "‹ 2/2 ›" in screen_text(workbench))
        focus(workbench, 1)
        await pilot.press("left")
        await until(pilot, lambda: words(workbench) == ["one", "answer 1", "two", "answer 3"])


async def test_an_answer_again_that_fails_or_is_stopped_leaves_the_old_one(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await talk(pilot, workbench, "hello")
        before = words(workbench)
        scripted.script = lambda request: GenerationFailed("The step failed.")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "The step failed." in screen_text(workbench) and not workbench.chat.busy)
        assert words(workbench) == before
        assert "It is a red square." in screen_text(workbench)
        scripted.script, scripted.held = lambda request: answer("never"), True
        await pilot.press("ctrl+r")
        await until(pilot, lambda: workbench.chat.busy)
        await pilot.press("escape")
        await until(pilot, lambda: "the answer from before stays" in notices(workbench))
        assert words(workbench) == before
        assert "It is a red square." in screen_text(workbench)
        assert workbench.chat.input.composer.text == ""


async def test_after_an_edit_that_was_left_the_newest_message_comes_first(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await talk(pilot, workbench, "hello")
        focus(workbench, 0)
        await pilot.press("e")
        await until(pilot, lambda: workbench.chat.input.composer.editing)
        await pilot.press("escape")
        await until(pilot, lambda: not workbench.chat.input.composer.editing)
        await pilot.press("shift+tab")
        await until(pilot, lambda: workbench.chat.transcript.current is workbench.chat.transcript.turns[-1])


async def test_while_an_answer_runs_escape_leaves_the_edit_and_f12_stops_the_answer(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await talk(pilot, workbench, "hello")
        scripted.script, scripted.held = lambda request: answer("one two three"), True
        workbench.chat.input.composer.insert("again")
        await pilot.press("enter")
        await until(pilot, lambda: workbench.chat.busy)
        scripted.release(2)
        await until(pilot, lambda: workbench.chat.input.composer.text == "")
        focus(workbench, 0)
        await pilot.press("e")
        await until(pilot, lambda: workbench.chat.input.composer.editing)
        await pilot.press("enter")
        await until(pilot, lambda: "An answer is running: F12 stops it." in notices(workbench))
        await pilot.press("escape")
        await until(pilot, lambda: not workbench.chat.input.composer.editing)
        assert workbench.chat.busy
        await pilot.press("f12")
        await until(pilot, lambda: not workbench.chat.busy)
        await until(pilot, lambda: "An answer is running" not in notices(workbench))


async def test_an_edit_that_fails_stays_an_edit_and_the_draft_waits_on(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    def script(request: GenerationRequest) -> list[Event] | EngineError:
        return GenerationFailed("The step failed.") if "worse" in request.messages[-1].plain_text else answer("Well.")

    scripted.script = script
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await talk(pilot, workbench, "hello")
        composer = workbench.chat.input.composer
        composer.insert("a draft")
        focus(workbench, 0)
        await pilot.press("e")
        await until(pilot, lambda: composer.text == "hello")
        composer.text = "worse"
        await pilot.press("enter")
        await until(pilot, lambda: "The step failed." in screen_text(workbench) and composer.editing)
        assert composer.text == "worse"
        assert words(workbench) == ["hello", "Well."]
        await pilot.press("escape")
        await until(pilot, lambda: composer.text == "a draft")
        workbench.chat.end()
        workbench.chat.close()
    with History(history_file(workbench.settings.data_dir)) as history:
        (chat,) = history.chats()
        assert (chat.messages, chat.drafts) == (2, 2), "the draft, and the wording that was left"


async def test_a_search_opens_at_the_branch_that_holds_the_hit(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    numbered(scripted)
    async with workbench.run_test(size=(80, 24)) as pilot:
        await opened(pilot, workbench)
        await talk(pilot, workbench, "zebras live where?")
        await edit(pilot, workbench, 0, "lions?")
        await pilot.press("ctrl+n", "ctrl+l")
        await until(pilot, lambda: len(workbench.screen_stack) == 2)
        await pilot.press(*"zebra")
        await until(pilot, lambda: "zebras live" in screen_text(workbench) and "[zebra" not in screen_text(workbench))
        await pilot.press("enter")
        await until(pilot, lambda: words(workbench) == ["zebras live where?", "answer 1"])
        await until(pilot, lambda: workbench.chat.transcript.current is workbench.chat.transcript.turns[0])


async def test_a_chat_that_is_deleted_while_it_is_shown_leaves_a_new_one(
    workbench: AssayApp, scripted: ScriptedEngine, tmp_path: Path
) -> None:
    async with workbench.run_test(size=(80, 24)) as pilot:
        await opened(pilot, workbench)
        await talk(pilot, workbench, "hello")
        await pilot.press("ctrl+l")
        await until(pilot, lambda: len(workbench.screen_stack) == 2 and "today" in screen_text(workbench))
        await pilot.press("down", "d")
        await until(pilot, lambda: len(workbench.screen_stack) == 3)
        await pilot.press("y")
        await until(pilot, lambda: "No chat has been saved yet." in screen_text(workbench))
        await pilot.press("escape")
        await until(pilot, lambda: said(workbench) == [])


async def test_leaving_in_the_middle_of_another_answer_keeps_what_came_and_the_old_one(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    async with workbench.run_test(size=(80, 24)) as pilot:
        await opened(pilot, workbench)
        await talk(pilot, workbench, "hello")
        scripted.script, scripted.held = lambda request: answer("one two three"), True
        await pilot.press("ctrl+r")
        await until(pilot, lambda: workbench.chat.busy)
        scripted.release(3)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: workbench._exit)
    with History(history_file(workbench.settings.data_dir)) as history:
        (chat,) = history.chats()
        assert [turn.message.plain_text for turn in history.turns(chat.id)] == ["hello", "one two"]
        every = [node.turn.message.plain_text for node in history.tree(chat.id, Tree()).every]
        assert every == ["hello", "It is a red square.", "one two"]


async def test_a_call_waits_for_its_result_until_it_has_one(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    calls = [ToolCallStart(0, "c1", "weather"), ToolCallDelta(0, "{}"), finished(FinishReason.TOOL_CALLS)]
    scripted.script = lambda request: answer("Sunny.") if len(request.messages) > 1 else list(calls)
    waits = "waits for the tool's result"
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await talk(pilot, workbench, "weather?")
        await until(pilot, lambda: waits in screen_text(workbench))
        await talk(pilot, workbench, "20 degrees")
        await until(pilot, lambda: waits not in screen_text(workbench))
        focus(workbench, 2)
        await pilot.press("e")
        await until(pilot, lambda: workbench.chat.input.composer.editing, "the edit")
        workbench.chat.input.composer.text = "30 degrees"
        await pilot.press("enter")
        await until(pilot, lambda: not workbench.chat.busy and "‹ 2/2 ›" in screen_text(workbench))
        assert waits not in screen_text(workbench)
        focus(workbench, 2)
        await pilot.press("left")
        await until(pilot, lambda: "‹ 1/2 ›" in screen_text(workbench))
        assert waits not in screen_text(workbench)
        await pilot.press("f3", "ctrl+n")
        await until(pilot, lambda: not said(workbench))
        await pilot.press("ctrl+l")
        await until(pilot, lambda: "Saved chats" in screen_text(workbench) and "weather?" in screen_text(workbench))
        await pilot.press("down", "enter")
        await until(pilot, lambda: "20 degrees" in screen_text(workbench) and len(workbench.screen_stack) == 1)
        assert waits not in screen_text(workbench)
        focus(workbench, 1)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: len(said(workbench)) == 2 and waits in screen_text(workbench), "another call")
