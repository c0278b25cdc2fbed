"""What is written and not sent waits in its chat, over a restart too; and so do the settings of each chat."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from core.chats.history import History
from core.chats.settings import ChatSettings
from core.chats.tree import Tree
from core.settings import Settings
from tests.tui.chat.test_branches import talk, words
from tests.tui.chat.test_pane import opened
from tests.tui.conftest import FULL, QUICK, Furnished, screen_text, until
from tests.tui.scripted import ScriptedEngine, ScriptedServer, red_square
from tui.app import AssayApp
from tui.chat.saver import history_file
from tui.services import Services

Start = Callable[[], Furnished]


@pytest.fixture
def start(tmp_path: Path, scripted: ScriptedEngine) -> Start:
    def new() -> Furnished:
        own = Settings(data_dir=tmp_path / "data")
        return Furnished(lambda: own, lambda s: Services(s, scripted, ScriptedServer(), QUICK, FULL))  # type: ignore[arg-type]

    return new


async def leave(pilot: Pilot[None], app: AssayApp) -> None:
    await pilot.press("ctrl+q")
    await until(pilot, lambda: app._exit)


async def open_chat(pilot: Pilot[None], app: AssayApp, words: str) -> None:
    await pilot.press("ctrl+l")
    await until(pilot, lambda: len(app.screen_stack) == 2)
    await pilot.press(*words)
    await until(pilot, lambda: len(getattr(app.screen, "_hits", ())) == 1, f"the chat with {words}")
    await pilot.press("enter")
    await until(pilot, lambda: app.chat.transcript.current is not None, "the turn that was found")
    app.chat.focus_main()


async def test_a_new_chat_keeps_the_drafts_of_both_with_their_images(start: Start) -> None:
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        composer, attachments = app.chat.input.composer, app.chat.input.attachments
        await talk(pilot, app, "hello")
        composer.insert("half a thought")
        await attachments.add(red_square())
        await pilot.press("ctrl+n")
        await until(pilot, lambda: composer.text == "" and not attachments.images and not words(app))
        composer.insert("something new")
        await open_chat(pilot, app, "hello")
        await until(pilot, lambda: composer.text == "half a thought")
        assert [image.name for image in attachments.images] == ["red_square.png"]
        await pilot.press("ctrl+n")
        await until(pilot, lambda: composer.text == "something new")
        assert not attachments.images


async def test_drafts_and_edits_outlive_a_restart(start: Start) -> None:
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await talk(pilot, app, "hello")
        app.chat.input.composer.insert("a draft")
        app.chat.transcript.focus_turn(app.chat.transcript.turns[0])
        await pilot.press("e")
        await until(pilot, lambda: app.chat.input.composer.editing)
        app.chat.input.composer.insert(" there")
        await pilot.press("ctrl+n")
        await until(pilot, lambda: not words(app))
        app.chat.input.composer.insert("for the new one")
        await leave(pilot, app)
    again = start()
    async with again.run_test(size=(120, 40)) as pilot:
        await opened(pilot, again)
        composer = again.chat.input.composer
        await until(pilot, lambda: composer.text == "for the new one", "the new chat's draft")
        await open_chat(pilot, again, "hello")
        await until(pilot, lambda: composer.editing and composer.text == "hello there")
        await pilot.press("escape")
        await until(pilot, lambda: composer.text == "a draft")


async def test_what_is_written_is_on_disk_while_the_workbench_runs(start: Start) -> None:
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        file = history_file(app.settings.data_dir)
        await pilot.press(*"do not lose me")

        def kept() -> bool:
            if not file.exists():
                return False
            with History(file) as history:
                return [draft.text for draft in history.drafts(None)] == ["do not lose me"]

        await until(pilot, kept, "the draft on disk")


async def test_a_second_new_chat_puts_the_first_one_aside_as_a_draft(start: Start) -> None:
    app = start()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        app.chat.input.composer.insert("a good idea")
        await pilot.press("ctrl+n")
        await until(pilot, lambda: app.chat.input.composer.text == "")
        await pilot.press("ctrl+l")
        await until(pilot, lambda: "a good idea" in screen_text(app) and "draft" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.chat.input.composer.text == "a good idea")
        await pilot.press("enter")
        await until(pilot, lambda: len(words(app)) == 2)
        await leave(pilot, app)
    with History(history_file(app.settings.data_dir)) as history:
        (chat,) = history.chats()
        assert (chat.messages, chat.drafts) == (2, 0)


async def test_an_empty_chat_is_neither_created_nor_listed(start: Start) -> None:
    app = start()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        await pilot.press("ctrl+n", "ctrl+n")
        await until(pilot, lambda: app.focused is app.chat.input.composer)
        await leave(pilot, app)
    assert not history_file(app.settings.data_dir).exists()


async def test_settings_belong_to_their_chat(start: Start, scripted: ScriptedEngine) -> None:
    app, first, second = start(), ChatSettings("Be brief.", 0.5), ChatSettings("Be long.", 0.9)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        app.chat.set_settings(first)
        await talk(pilot, app, "hello")
        await pilot.press("ctrl+n")
        await until(pilot, lambda: not words(app))
        assert app.chat.settings == first, "a new chat begins with what was set for the last new one"
        app.chat.set_settings(second)
        await talk(pilot, app, "world")
        third = ChatSettings("Be rude.")
        app.chat.set_settings(third)
        await talk(pilot, app, "moon")
        await open_chat(pilot, app, "hello")
        await until(pilot, lambda: app.chat.settings == first)
        await talk(pilot, app, "again")
        assert scripted.requests[-1].messages[0].plain_text == "Be brief."
        await pilot.press("ctrl+n")
        await until(pilot, lambda: app.chat.settings == second)
        await leave(pilot, app)
    again = start()
    async with again.run_test(size=(120, 40)) as pilot:
        await opened(pilot, again)
        assert again.chat.settings == second
        await open_chat(pilot, again, "world")
        await until(pilot, lambda: again.chat.settings == third)
        assert [turn.settings for turn in again.chat.conversation.turns] == [None, second, None, third]
        await leave(pilot, again)
    with History(history_file(app.settings.data_dir)) as history:
        chats = {chat.title: history.tree(chat.id, Tree()) for chat in history.chats()}
        assert [turn.settings for turn in chats["hello"].turns] == [None, first, None, first]
