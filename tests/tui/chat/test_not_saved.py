"""What cannot be saved is tried again, is marked, and is not left without a question; other programs lose nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from core.calls.requests import Role
from core.chats.history import Draft, History
from core.database import Database
from tests.tui.chat.test_branches import talk, words
from tests.tui.chat.test_drafts import Start, leave, open_chat, start
from tests.tui.chat.test_pane import notices, opened
from tests.tui.chat.test_saver import errors, stored, turn
from tests.tui.conftest import screen_text, until
from tui.app import AssayApp
from tui.chat import saving_thread
from tui.chat.conversation import Conversation
from tui.chat.saver import ChatSaver, Written, history_file

__all__ = ["errors", "start"]  # fixtures


class Disk:
    full = False


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Full when one says so. Nothing is tried again by the clock."""
    disk, write = Disk(), Database.write

    @contextmanager
    def written(self: Database) -> Iterator[sqlite3.Connection]:
        with self._errors("written"):
            if disk.full:
                full = sqlite3.OperationalError("database or disk is full")
                full.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise full
        with write(self) as db:
            yield db

    monkeypatch.setattr(Database, "write", written)
    monkeypatch.setattr(saving_thread, "RETRY_EVERY_S", 1000.0)
    return disk


def in_file(app: AssayApp) -> list[list[str]]:
    return stored(history_file(app.settings.data_dir))


async def fill(pilot: Pilot[None], app: AssayApp, disk: Disk) -> None:
    """Have one question in the file and one that is not."""
    await opened(pilot, app)
    await talk(pilot, app, "one")
    await until(pilot, lambda: ["one", "It is a red square."] in in_file(app))
    disk.full = True
    await talk(pilot, app, "two")
    await until(pilot, lambda: "· not saved" in screen_text(app), "the mark")


async def asked(pilot: Pilot[None], app: AssayApp) -> None:
    await until(pilot, lambda: type(app.screen).__name__ == "NotSaved", "the question")


async def test_what_a_full_disk_refused_is_saved_by_leaving_when_there_is_room(start: Start, disk: Disk) -> None:
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await fill(pilot, app, disk)
        assert "the disk is full" in notices(app)
        disk.full = False
        await leave(pilot, app)
    assert in_file(app) == [["one", "It is a red square.", "two", "It is a red square."]]


async def test_leaving_asks_while_the_disk_is_full_and_enter_stays(start: Start, disk: Disk) -> None:
    app = start()
    async with app.run_test(size=(80, 24)) as pilot:
        await fill(pilot, app, disk)
        await pilot.press("ctrl+q")
        await asked(pilot, app)
        await until(pilot, lambda: "Not all that was said" in screen_text(app))
        await pilot.press("ctrl+q", "enter")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert not app._exit
        assert words(app)[2] == "two"
        await pilot.press("ctrl+q")
        await asked(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: app._exit)
    disk.full = False
    assert len(in_file(app)[0]) == 2


async def test_a_disk_that_is_full_only_at_the_end_is_asked_about_too(start: Start, disk: Disk) -> None:
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await talk(pilot, app, "one")
        disk.full = True
        app.chat.input.composer.insert("just typed")
        await pilot.press("ctrl+q")
        await asked(pilot, app)
        await pilot.press("n")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert app.state.phase == "ready"
        disk.full = False
        await talk(pilot, app, ", and sent")
        await leave(pilot, app)
    assert in_file(app)[0][2] == "just typed, and sent"


@pytest.mark.parametrize("key", ["ctrl+n", "ctrl+l"])
async def test_another_chat_is_shown_only_after_a_question_and_what_waits_is_saved(
    start: Start, disk: Disk, key: str
) -> None:
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await talk(pilot, app, "zero")
        await pilot.press("ctrl+n")
        await until(pilot, lambda: not words(app))
        await fill(pilot, app, disk)
        app.chat.input.composer.insert("a draft")

        async def turn_the_page() -> None:
            await pilot.press(key)
            if key == "ctrl+l":
                await until(pilot, lambda: "zero" in screen_text(app))
                await pilot.press(*"zero")
                await until(pilot, lambda: len(getattr(app.screen, "_hits", ())) == 1)
                await pilot.press("enter")
            await asked(pilot, app)

        await turn_the_page()
        await pilot.press("enter")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert words(app)[2] == "two"
        assert app.chat.input.composer.text == "a draft"
        await turn_the_page()
        await pilot.press("y")
        await until(pilot, lambda: "two" not in words(app))
        assert "· not saved" in screen_text(app)
        disk.full = False
        await pilot.press("ctrl+l")
        await until(pilot, lambda: "· not saved" not in screen_text(app), "all saved by ctrl+l")
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        await open_chat(pilot, app, "two")
        assert words(app)[2] == "two"
        assert app.chat.input.composer.text == "a draft"
        await leave(pilot, app)


async def test_the_clock_tries_again(start: Start, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving_thread, "RETRY_EVERY_S", 0.05)
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await fill(pilot, app, disk)
        disk.full = False
        await until(pilot, lambda: "· not saved" not in screen_text(app))
        assert len(in_file(app)[0]) == 4
        await leave(pilot, app)


async def test_a_chat_that_another_program_deleted_is_saved_anew_when_something_is_said(start: Start) -> None:
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await talk(pilot, app, "one")
        await until(pilot, lambda: len(in_file(app)[0]) == 2)

        def delete() -> None:
            with History(history_file(app.settings.data_dir)) as history:
                for chat in history.chats():
                    history.delete(chat.id)

        delete()
        await talk(pilot, app, "two")
        await until(pilot, lambda: in_file(app) == [["one", "It is a red square.", "two", "It is a red square."]])
        delete()
        app.chat.input.composer.insert("and a draft")
        await leave(pilot, app)
    with History(history_file(app.settings.data_dir)) as history:
        (chat,) = history.chats()
        assert (chat.title, chat.messages, chat.drafts) == ("one", 4, 1)


async def test_branches_outlive_a_chat_that_is_saved_anew(tmp_path: Path, errors: list[str]) -> None:
    saver = ChatSaver(tmp_path / "history.sqlite3", errors.append)
    chat = Conversation(turn(Role.USER, "hi"), turn(Role.ASSISTANT, "first"))
    question, first = chat.branch
    chat.add(turn(Role.ASSISTANT, "second"), question)
    saver.save(chat, "m")
    await saver.unsaved()
    other = ChatSaver(tmp_path / "history.sqlite3", errors.append)
    await other.delete(chat.chat or 0)
    chat.show(first)
    chat.add(turn(Role.USER, "go on"))
    saver.save(chat, "m")
    saver.save_written(chat, Written(Draft("next"), (question, Draft("hi there"))))
    (hit,) = await saver.chats()
    again = await other.open(hit.chat.id)
    assert [turn.message.plain_text for turn in again.conversation.turns] == ["hi", "first", "go on"]
    assert len(again.conversation.every) == 4
    assert again.written == Written(Draft("next"), (again.conversation.branch[0], Draft("hi there")))
    saver.close()
    other.close()
    assert errors == []


async def test_what_was_deleted_here_does_not_come_back(tmp_path: Path, errors: list[str]) -> None:
    saver = ChatSaver(tmp_path / "history.sqlite3", errors.append)
    chat = Conversation(turn(Role.USER, "hi"))
    saver.save(chat, "m")
    await saver.unsaved()
    await saver.delete(chat.chat or 0)
    chat.add(turn(Role.ASSISTANT, "too late"))
    saver.save(chat, "m")
    saver.save_written(chat, Written(Draft("too late")))
    assert await saver.chats() == []
    saver.close()


async def test_two_workbenches_in_one_chat_keep_each_others_drafts(tmp_path: Path, errors: list[str]) -> None:
    file = tmp_path / "history.sqlite3"
    one, other = ChatSaver(file, errors.append), ChatSaver(file, errors.append)
    mine = Conversation(turn(Role.USER, "hi"))
    one.save(mine, "m")
    (hit,) = await one.chats()
    theirs = (await other.open(hit.chat.id)).conversation
    one.save_written(mine, Written(Draft("AAA")))
    await one.unsaved()
    other.save_written(theirs, Written(Draft("BBB")))
    await other.unsaved()
    assert (await one.open(hit.chat.id)).written.new == Draft("AAA"), "its own"
    one.save_written(mine, Written(Draft("AAA, longer")))
    await one.unsaved()
    mine.add(turn(Role.ASSISTANT, "sent"))
    one.save(mine, "m")
    one.save_written(mine, Written())
    await one.unsaved()
    with History(file) as history:
        drafts = [draft for chat in history.chats() for draft in history.drafts(chat.id)]
        assert drafts == [Draft("BBB")]
        history.set_drafts(hit.chat.id, [])
        for chat in history.chats():
            history.set_drafts(chat.id, [])
    other.save_written(theirs, Written(Draft("BBB")))
    await other.unsaved()
    with History(file) as history:
        assert history.drafts(hit.chat.id) == [Draft("BBB")], "written again when it was taken away"
    one.close()
    other.close()
    assert errors == []


async def test_after_both_have_left_one_draft_is_in_the_chat_and_one_beside_it(start: Start) -> None:
    one, other = start(), start()
    async with one.run_test(size=(120, 40)) as pilot:
        await opened(pilot, one)
        await talk(pilot, one, "hello")
        async with other.run_test(size=(120, 40)) as second:
            await opened(second, other)
            await open_chat(second, other, "hello")
            one.chat.input.composer.insert("AAA draft")
            one.chat._keep_written()
            other.chat.input.composer.insert("BBB draft")
            await leave(second, other)
        await leave(pilot, one)
    again = start()
    async with again.run_test(size=(120, 40)) as pilot:
        await opened(pilot, again)
        await open_chat(pilot, again, "hello")
        assert again.chat.input.composer.text in ("AAA draft", "BBB draft")
        await leave(pilot, again)
    with History(history_file(again.settings.data_dir)) as history:
        drafts = [draft.text for chat in history.chats() for draft in history.drafts(chat.id)]
    assert sorted(drafts) == ["AAA draft", "BBB draft"]
    assert len(drafts) == 2
