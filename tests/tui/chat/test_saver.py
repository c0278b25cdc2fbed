"""The file follows the conversation, in a real SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.calls.requests import Message, Role
from core.chats.history import History
from tests.tui.scripted import finished, red_square
from tui.chat.conversation import Conversation, Turn
from tui.chat.saver import ChatSaver


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
    chat = Conversation([turn(Role.USER, "hi")])
    saver.save(chat, "m")
    chat.turns.append(turn(Role.ASSISTANT, "hello"))
    saver.save(chat, "m")
    saver.save(chat, "m")
    saver.close()
    assert stored(saver._path) == [["hi", "hello"]]


def test_what_was_taken_back_is_forgotten(saver: ChatSaver) -> None:
    chat = Conversation([turn(Role.USER, "hi"), turn(Role.ASSISTANT, "first")])
    saver.save(chat, "m")
    chat.take_back_answer()
    chat.turns.append(turn(Role.ASSISTANT, "second"))
    saver.save(chat, "m")
    saver.close()
    assert stored(saver._path) == [["hi", "second"]]


def test_a_new_chat_is_another_one(saver: ChatSaver) -> None:
    saver.save(Conversation([turn(Role.USER, "one")]), "m")
    saver.new_chat()
    saver.save(Conversation([turn(Role.USER, "two")]), "m")
    saver.close()
    assert sorted(stored(saver._path)) == [["one"], ["two"]]


async def test_a_chat_that_is_opened_goes_on(saver: ChatSaver) -> None:
    question = Turn(Message.text(Role.USER, "what?", red_square()))
    answer = Turn(Message.text(Role.ASSISTANT, "a square"), "m", finished())
    saver.save(Conversation([question, answer]), "m")
    saver.new_chat()
    ((chat, _),) = await saver.chats()
    again = await saver.open(chat.id)
    assert again.turns == [question, answer]
    again.turns.append(turn(Role.USER, "sure?"))
    saver.save(again, "m")
    saver.close()
    assert stored(saver._path) == [["what?", "a square", "sure?"]]


async def test_words_find_a_chat_and_deleting_forgets_it(saver: ChatSaver) -> None:
    saver.save(Conversation([turn(Role.USER, "the weather in Tokyo")]), "m")
    ((chat, snippet),) = await saver.chats("toky")
    assert "Tokyo" in snippet
    assert await saver.chats("Paris") == []
    await saver.delete(chat.id)
    assert await saver.chats() == []
    saver.save(Conversation([turn(Role.USER, "again")]), "m")
    saver.close()
    assert stored(saver._path) == [["again"]]


def test_a_disk_that_refuses_is_said_once_and_the_chat_goes_on(tmp_path: Path, errors: list[str]) -> None:
    (tmp_path / "file").write_text("")
    saver = ChatSaver(tmp_path / "file" / "history.sqlite3", errors.append)
    chat = Conversation([turn(Role.USER, "hi")])
    saver.save(chat, "m")
    saver.save(chat, "m")
    saver.close()
    assert len(errors) == 1
    assert "cannot be opened" in errors[0]
