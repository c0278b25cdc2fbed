"""The chat, by keyboard."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import TextArea

from core.calls.events import Prefill, TextDelta, ThinkingDelta, ToolCallDelta, ToolCallStart
from core.calls.requests import Role
from core.chats.history import History
from core.chats.settings import ChatSettings
from core.errors import GenerationFailed, InvalidImage
from tests.tui.conftest import QUICK, screen_text, until
from tests.tui.scripted import ScriptedEngine, answer, finished, red_square
from tui.app import AssayApp
from tui.chat.question_view import QuestionView
from tui.chat.saver import history_file


async def opened(pilot: Pilot[None], app: AssayApp) -> None:
    await until(pilot, lambda: app.state.phase == "ready" and app.chat.bar._models, "an open chat")


async def ask(pilot: Pilot[None], app: AssayApp, text: str) -> None:
    """Type a message, send it, and wait until it is out of the composer."""
    app.chat.input.composer.insert(text)
    await pilot.press("enter")


def said(app: AssayApp) -> list[tuple[str, str]]:
    return [(turn.message.role.value, turn.message.plain_text) for turn in app.chat.conversation.turns]


def exported(folder: Path) -> tuple[str, str]:
    """The name of the file that a chat was exported to, and what is in it."""
    (file,) = folder.glob("assay-chat-*.*")
    return file.name, file.read_text()


def notices(app: AssayApp) -> str:
    return "\n".join(notice.message for notice in app._notifications)


async def test_the_chooser_names_the_tiers_models_and_follows_them(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await until(pilot, lambda: "quick · pocket/qwen2-vl" in screen_text(workbench))
        await pilot.press("f2")
        workbench.models.table.select("pocket/qwen3")
        await pilot.press("q", "f3")
        await until(pilot, lambda: "quick · pocket/qwen3" in screen_text(workbench))
        await pilot.press("f7", "down", "enter")
        await until(pilot, lambda: workbench.chat.bar.chosen == "full")
        assert workbench.focused is workbench.chat.input.composer


async def test_an_answer_streams_in_and_ends_with_figures(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    scripted.held = True
    scripted.script = lambda request: answer("First paragraph.\n\nSecond **bold** one.")
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await ask(pilot, workbench, "hello")
        await until(pilot, lambda: workbench.chat.busy)
        scripted.release(2)
        await until(pilot, lambda: "First" in screen_text(workbench), "the first token")
        assert "Second" not in screen_text(workbench)
        scripted.release_all()
        await until(
            pilot,
            lambda: "first token after 0.21 s · prompt 131 tokens, answer 5" in screen_text(workbench),
            "the figures",
        )
        assert "Second bold one." in screen_text(workbench)
        assert said(workbench) == [("user", "hello"), ("assistant", "First paragraph.\n\nSecond **bold** one.")]


async def test_escape_stops_and_keeps_the_partial_answer(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    scripted.held = True
    scripted.script = lambda request: answer("one two three four five")
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await ask(pilot, workbench, "count")
        await until(pilot, lambda: workbench.chat.busy)
        scripted.release(3)
        await until(pilot, lambda: "one two" in screen_text(workbench))
        await pilot.press("escape")
        await until(pilot, lambda: not workbench.chat.busy and len(said(workbench)) == 2)
        assert said(workbench)[1] == ("assistant", "one two")
        assert "stopped" in screen_text(workbench)


async def test_a_message_sent_while_one_is_answered_waits_in_the_composer(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    scripted.held = True
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await ask(pilot, workbench, "first")
        await until(pilot, lambda: workbench.chat.busy)
        await ask(pilot, workbench, "second")
        await until(pilot, lambda: "An answer is running" in notices(workbench))
        assert workbench.chat.input.composer.text == "second"
        assert len(scripted.requests) == 1


async def test_ctrl_j_breaks_the_line_and_enter_sends_both(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await pilot.press("a", "ctrl+j", "b", "enter")
        await until(pilot, lambda: scripted.requests)
        assert scripted.requests[0].messages[-1].plain_text == "a\nb"


async def test_up_and_down_recall_what_was_sent(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        composer = workbench.chat.input.composer
        for text in ("first", "second"):
            await ask(pilot, workbench, text)
            await until(pilot, lambda: not workbench.chat.busy and composer.text == "")
        await pilot.press("d", "up")
        assert composer.text == "second"
        await pilot.press("up", "up")
        assert composer.text == "first"
        await pilot.press("down", "down")
        assert composer.text == "d"


async def test_an_image_is_attached_by_completing_its_path(
    workbench: AssayApp, scripted: ScriptedEngine, tmp_path: Path
) -> None:
    (tmp_path / "shape.png").write_bytes(red_square().data)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await pilot.press(*"what? @sh")
        await until(pilot, lambda: workbench.chat.input.composer.completing)
        assert "shape.png" in screen_text(workbench)
        await pilot.press("tab")
        await until(pilot, lambda: workbench.chat.input.attachments.images)
        assert workbench.chat.input.composer.text == "what? "
        await pilot.press("enter")
        await until(pilot, lambda: scripted.requests)
        assert [image.name for image in scripted.requests[0].images] == ["shape.png"]
        await until(pilot, lambda: not workbench.chat.input.attachments.images)


async def test_a_dropped_file_becomes_an_image_wherever_the_focus_is(workbench: AssayApp, tmp_path: Path) -> None:
    file = tmp_path / "my shape.png"
    file.write_bytes(red_square().data)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await pilot.press("f2")
        workbench.post_message(events.Paste(f"'{file}'"))
        await until(pilot, lambda: workbench.chat.input.attachments.images)
        assert workbench.face == "chat"
        assert workbench.chat.input.composer.text == ""


async def test_pasted_text_is_text_without_control_characters(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        workbench.chat.input.composer.post_message(events.Paste("[bold]a\x1b[2Jb\r\nc"))
        await until(pilot, lambda: workbench.chat.input.composer.text)
        assert workbench.chat.input.composer.text == "[bold]ab\nc"


async def test_an_attached_image_can_be_taken_off(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        attachments = workbench.chat.input.attachments
        for _ in range(3):
            await attachments.add(red_square())
        await pilot.pause()
        await pilot.click("RemoveMark")
        await until(pilot, lambda: len(attachments.images) == 2)
        await pilot.press("ctrl+d")
        await until(pilot, lambda: len(attachments.images) == 1)
        await pilot.press("backspace")
        await until(pilot, lambda: not attachments.images)


@pytest.mark.parametrize("key", ["ctrl+v", "alt+v"])
async def test_the_clipboards_image_is_pasted(workbench: AssayApp, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setattr("tui.chat.chat_input.clipboard_image", red_square)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await pilot.press(key)
        await until(pilot, lambda: workbench.chat.input.attachments.images)


async def test_a_clipboard_that_cannot_be_read_is_explained(
    workbench: AssayApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable() -> None:
        raise InvalidImage("The clipboard cannot be read here.")

    monkeypatch.setattr("tui.chat.chat_input.clipboard_image", unreadable)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await pilot.press("alt+v")
        await until(pilot, lambda: "The clipboard cannot be read here." in notices(workbench))
        workbench.copy_to_clipboard("copied words")
        await pilot.press("ctrl+v")
        await until(pilot, lambda: workbench.chat.input.composer.text == "copied words")


async def test_an_image_for_a_text_model_shows_the_sentence_and_keeps_the_draft(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        workbench.chat.bar.choose("pocket/qwen3")
        await workbench.chat.input.attachments.add(red_square())
        await ask(pilot, workbench, "what is it?")
        await until(pilot, lambda: "pocket/qwen3 is a text model and takes no images" in screen_text(workbench))
        assert said(workbench) == []
        assert workbench.chat.input.composer.text == "what is it?"
        workbench.chat.bar.choose(QUICK)
        await until(pilot, lambda: workbench.focused is workbench.chat.input.composer)
        await pilot.press("enter")
        await until(pilot, lambda: len(said(workbench)) == 2)
        await until(pilot, lambda: len(workbench.chat.transcript.views(QuestionView)) == 1, "the refused turn to go")
        assert "takes no images" not in screen_text(workbench)


async def test_a_failure_before_the_first_word_gives_the_message_back(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    scripted.script = lambda request: GenerationFailed("The step failed [at 3].")
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await ask(pilot, workbench, "hello")
        await until(pilot, lambda: "The step failed [at 3]." in screen_text(workbench))
        await until(pilot, lambda: workbench.chat.input.composer.text == "hello")
        assert said(workbench) == []


async def test_thinking_is_shown_apart_and_folded(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    scripted.script = lambda request: [
        Prefill(9, 9),
        ThinkingDelta("The user asks for Paris [sic]."),
        TextDelta("Paris."),
        finished(),
    ]
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await ask(pilot, workbench, "capital?")
        await until(pilot, lambda: "thought for 6 words" in screen_text(workbench))
        assert "[sic]" not in screen_text(workbench)
        await pilot.press("f8")
        await until(pilot, lambda: "The user asks for Paris [sic]." in screen_text(workbench))


async def test_a_tool_call_is_shown_and_its_result_is_asked_for(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    scripted.script = lambda request: (
        answer("Sunny, then.")
        if request.messages[-1].role is Role.TOOL
        else [ToolCallStart(0, "c1", "get_weather"), ToolCallDelta(0, '{"location": "Tokyo"}'), finished()]
    )
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await ask(pilot, workbench, "weather?")
        await until(pilot, lambda: "get_weather(location='Tokyo')" in screen_text(workbench))
        await until(pilot, lambda: not workbench.chat.busy)
        await ask(pilot, workbench, "sunny")
        await until(pilot, lambda: "Sunny, then." in screen_text(workbench))
        assert "tool result" in screen_text(workbench)


async def test_settings_go_with_the_next_request(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: workbench.screen.query("#set-system"))
        await pilot.press(*"Be brief.", "tab", *"0.5")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: workbench.chat.settings.temperature == 0.5)
        await until(pilot, lambda: "system prompt · temperature 0.5" in screen_text(workbench))
        await ask(pilot, workbench, "hi")
        await until(pilot, lambda: scripted.requests)
        request = scripted.requests[0]
        assert request.messages[0].plain_text == "Be brief."
        assert request.sampling.temperature == 0.5


async def test_a_wrong_setting_is_named_and_not_taken(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: workbench.screen.query("#set-temperature"))
        await pilot.press("tab", "9", "ctrl+s")
        await until(pilot, lambda: "Temperature is 9; it must lie between 0 and 2." in screen_text(workbench))
        await pilot.press("escape")
        await until(pilot, lambda: not workbench.screen.query("#set-temperature"))
        assert workbench.chat.settings.temperature is None


@pytest.mark.parametrize(("keys", "becomes"), [("g", None), ("escape", None), ("d", ""), ("a", "Be brief.")])
async def test_settings_that_were_changed_are_not_left_without_a_question(
    workbench: AssayApp, keys: str, becomes: str | None
) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(workbench.screen_stack) == 2)
        await pilot.press(*"Be brief.", "escape")
        await until(pilot, lambda: "changes that are not applied" in screen_text(workbench))
        await pilot.press(keys)
        await until(pilot, lambda: len(workbench.screen_stack) == (2 if becomes is None else 1))
        if becomes is None:
            assert workbench.screen.query_one("#set-system", TextArea).text == "Be brief."
        else:
            assert workbench.chat.settings.system == becomes
            await pilot.press("ctrl+s")
            await until(pilot, lambda: len(workbench.screen_stack) == 2)
            await pilot.press("escape")  # nothing is changed now
            await until(pilot, lambda: len(workbench.screen_stack) == 1)


async def test_a_chat_is_saved_and_opened_again(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await workbench.chat.input.attachments.add(red_square())
        await ask(pilot, workbench, "what is it?")
        await until(pilot, lambda: len(said(workbench)) == 2)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: said(workbench) == [])
        await pilot.press("ctrl+l")
        await until(pilot, lambda: "what is it?" in screen_text(workbench) and len(workbench.screen_stack) == 2)
        await pilot.press("enter")
        await until(pilot, lambda: len(said(workbench)) == 2)
        await until(pilot, lambda: "It is a red square." in screen_text(workbench))
        assert workbench.chat.conversation.turns[0].message.images[0].sha256 == red_square().sha256
        await until(pilot, lambda: "first token after 0.21 s" in screen_text(workbench), "the stored figures")
        await ask(pilot, workbench, "sure?")
        await until(pilot, lambda: len(said(workbench)) == 4)
    with History(history_file(workbench.settings.data_dir)) as history:
        (chat,) = history.chats()
        assert (chat.title, chat.messages) == ("what is it?", 4)


async def test_a_new_chat_while_answering_keeps_what_came(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    scripted.held = True
    scripted.script = lambda request: answer("one two three")
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await ask(pilot, workbench, "count")
        await until(pilot, lambda: workbench.chat.busy)
        scripted.release(2)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: not workbench.chat.busy and said(workbench) == [])
        assert scripted.generations[0].cancelled
        workbench.chat.close()
    with History(history_file(workbench.settings.data_dir)) as history:
        (chat,) = history.chats()
        assert [turn.message.plain_text for turn in history.turns(chat.id)] == ["count", "one"]


async def test_a_reader_who_scrolled_up_is_not_moved(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    scripted.held = True
    scripted.script = lambda request: answer("\n\n".join(f"paragraph {number}" for number in range(30)))
    async with workbench.run_test(size=(80, 24)) as pilot:
        await opened(pilot, workbench)
        await ask(pilot, workbench, "write")
        await until(pilot, lambda: workbench.chat.busy)
        scripted.release(30)
        transcript = workbench.chat.transcript
        await until(pilot, lambda: transcript.max_scroll_y > 5 and transcript.scroll_y == transcript.max_scroll_y)
        transcript.scroll_to(y=2, animate=False)
        await pilot.pause()
        scripted.release_all()
        await until(pilot, lambda: not workbench.chat.busy and len(said(workbench)) == 2)
        assert transcript.scroll_y == 2


@pytest.mark.parametrize("key", ["m", "j"])
async def test_the_export_is_markdown_or_json(workbench: AssayApp, tmp_path: Path, key: str) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await ask(pilot, workbench, "hello")
        await until(pilot, lambda: len(said(workbench)) == 2)
        await workbench.chat.run_action("export")
        await until(pilot, lambda: len(workbench.screen_stack) == 2)
        await pilot.press(key)
        await until(pilot, lambda: "Wrote" in notices(workbench))
    (name, text) = exported(tmp_path)
    assert name.endswith({"m": ".md", "j": ".json"}[key])
    assert ("## You\n\nhello\n" if key == "m" else '"text": "hello"') in text


async def test_settings_are_words_where_they_fit(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(160, 45)) as pilot:
        await opened(pilot, workbench)
        workbench.chat.settings = ChatSettings(system="Be brief.", temperature=0.5, max_tokens=1024)
        await until(pilot, lambda: "system · t 0.5 · ≤1024" in screen_text(workbench))
        workbench.action_maximise_face()
        words = "system prompt · temperature 0.5 · at most 1,024 tokens"
        await until(pilot, lambda: words in screen_text(workbench))


async def test_text_stays_readable_in_a_very_wide_window(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    scripted.script = lambda request: answer("word " * 200)
    async with workbench.run_test(size=(220, 60)) as pilot:
        await opened(pilot, workbench)
        workbench.action_maximise_face()
        await ask(pilot, workbench, "much?")
        await until(pilot, lambda: len(said(workbench)) == 2)
        lines = [line.rstrip() for line in screen_text(workbench).splitlines() if "word word" in line]
        assert lines
        assert all(len(line.strip(" │").strip()) <= 120 for line in lines)
