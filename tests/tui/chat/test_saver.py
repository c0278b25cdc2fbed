"""The file follows the conversation, in a real SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.calls.requests import Message, Role
from core.chats.history import Draft, History
from core.chats.settings import ChatSettings
from core.chats.tree import Turn
from tests.tui.scripted import finished, red_square
from tui.chat.conversation import Conversation
from tui.chat.saver import ChatSaver, Written


@pytest.fixture
def errors() -> list[str]:
    return []


@pytest.fixture
def saver(tmp_path: Path, errors: list[str]) -> Iterator[ChatSaver]:
    saver = ChatSaver(tmp_path / "history.sqlite3", errors.append)
    yield saver
    saver.close()


def turn(role: Role, text: str) -> Turn:
    return Turn(Message.text(role, text), "m" if role is Role.ASSISTANT else "")


def stored(path: Path) -> list[list[str]]:
    with History(path) as history:
        return [[turn.message.plain_text for turn in history.turns(chat.id)] for chat in history.chats()]


def test_each_turn_is_added_once(saver: ChatSaver, tmp_path: Path) -> None:
    chat = Conversation(turn(Role.USER, "hi"))
    saver.save(chat, "m")
    chat.add(turn(Role.ASSISTANT, "hello"))
    saver.save(chat, "m")
    saver.save(chat, "m")
    saver.close()
    assert stored(saver._path) == [["hi", "hello"]]


async def test_versions_are_kept_and_the_one_that_is_shown_comes_back(saver: ChatSaver) -> None:
    chat = Conversation(turn(Role.USER, "hi"), turn(Role.ASSISTANT, "first"))
    saver.save(chat, "m")
    question, first = chat.branch
    chat.add(turn(Role.ASSISTANT, "second"), question)
    saver.save(chat, "m")
    chat.show(first)
    saver.save(chat, "m")
    (hit,) = await saver.chats()
    again = (await saver.open(hit.chat.id)).conversation
    assert [turn.message.plain_text for turn in again.turns] == ["hi", "first"]
    assert len(again.every) == 3
    (found,) = await saver.chats("second")
    there = (await saver.open(found.chat.id, found.turn)).conversation
    assert [turn.message.plain_text for turn in there.turns] == ["hi", "second"]


async def test_drafts_of_a_chat_and_of_the_next_one_are_kept(saver: ChatSaver) -> None:
    fresh = Written(Draft("for a new one", (red_square(),)))
    saver.save_written(Conversation(), fresh)
    assert await saver.written() == fresh
    chat = Conversation(turn(Role.USER, "hi"))
    saver.save(chat, "m", ChatSettings("Be brief."))
    assert not await saver.written(), "it became the question"
    saver.save_written(chat, Written(Draft("next"), (chat.branch[0], Draft("hi there"))))
    (hit,) = await saver.chats()
    opened = await saver.open(hit.chat.id)
    assert opened.settings == ChatSettings("Be brief.")
    assert opened.written == Written(Draft("next"), (opened.conversation.branch[0], Draft("hi there")))
    saver.put_aside(Conversation(), fresh, "m", ChatSettings())
    assert {(hit.chat.title, hit.chat.messages, hit.chat.drafts) for hit in await saver.chats()} == {
        ("hi", 1, 2),
        ("for a new one", 0, 1),
    }


def test_nothing_is_created_for_nothing(saver: ChatSaver) -> None:
    saver.save_written(Conversation(), Written())
    saver.save(Conversation(), "m")
    saver.close()
    assert not saver._path.exists()


def test_a_new_chat_is_another_one(saver: ChatSaver) -> None:
    saver.save(Conversation(turn(Role.USER, "one")), "m")
    saver.save(Conversation(turn(Role.USER, "two")), "m")
    saver.close()
    assert sorted(stored(saver._path)) == [["one"], ["two"]]


async def test_a_chat_that_is_opened_goes_on(saver: ChatSaver) -> None:
    question = Turn(Message.text(Role.USER, "what?", red_square()))
    answer = Turn(Message.text(Role.ASSISTANT, "a square"), "m", finished())
    saver.save(Conversation(question, answer), "m")
    (hit,) = await saver.chats()
    again = (await saver.open(hit.chat.id)).conversation
    assert again.turns == [question, answer]
    again.add(turn(Role.USER, "sure?"))
    saver.save(again, "m")
    saver.close()
    assert stored(saver._path) == [["what?", "a square", "sure?"]]


async def test_words_find_a_chat_and_deleting_forgets_it(saver: ChatSaver) -> None:
    saver.save(Conversation(turn(Role.USER, "the weather in Tokyo")), "m")
    (hit,) = await saver.chats("toky")
    assert [hit.snippet[start:end] for start, end in hit.marks] == ["Tokyo"]
    assert await saver.chats("Paris") == []
    await saver.delete(hit.chat.id)
    assert await saver.chats() == []
    saver.save(Conversation(turn(Role.USER, "again")), "m")
    saver.close()
    assert stored(saver._path) == [["again"]]


def test_a_disk_that_refuses_is_said_once_and_the_chat_goes_on(tmp_path: Path, errors: list[str]) -> None:
    (tmp_path / "file").write_text("")
    saver = ChatSaver(tmp_path / "file" / "history.sqlite3", errors.append)
    chat = Conversation(turn(Role.USER, "hi"))
    saver.save(chat, "m")
    saver.save(chat, "m")
    saver.close()
    assert len(errors) == 1
    assert "cannot be opened" in errors[0]


async def test_two_workbenches_on_one_folder_keep_what_is_written_in_both(tmp_path: Path, errors: list[str]) -> None:
    file = tmp_path / "history.sqlite3"
    one, other = ChatSaver(file, errors.append), ChatSaver(file, errors.append)
    mine, theirs = Conversation(), Conversation()
    assert not await one.written()
    assert not await other.written()
    for number in range(3):
        one.save_written(mine, Written(Draft(f"mine {number}")))
        await one.chats()  # its turn comes after the writing
        other.save_written(theirs, Written(Draft(f"theirs {number}")))
        await other.chats()
    with History(file) as history:
        assert [history.drafts(chat.id) for chat in history.chats()] == [[Draft("mine 2")]]
        assert history.drafts(None) == [Draft("theirs 2")]

    one.save_written(mine, Written())
    theirs.add(turn(Role.USER, "theirs, sent"))
    other.save(theirs, "m")
    await one.chats()
    await other.chats()
    with History(file) as history:
        assert [chat.title for chat in history.chats()] == ["theirs, sent"]
        assert history.drafts(None) == []
    one.close()
    other.close()
    assert errors == []


async def test_a_message_that_is_sent_leaves_the_other_workbenchs_draft(tmp_path: Path, errors: list[str]) -> None:
    file = tmp_path / "history.sqlite3"
    one, other = ChatSaver(file, errors.append), ChatSaver(file, errors.append)
    mine, theirs = Conversation(), Conversation()
    one.save_written(mine, Written(Draft("mine")))
    await one.chats()
    theirs.add(turn(Role.USER, "sent at once"))
    other.save(theirs, "m")
    await other.chats()
    with History(file) as history:
        assert history.drafts(None) == [Draft("mine")]
    one.close()
    other.close()
    assert errors == []
