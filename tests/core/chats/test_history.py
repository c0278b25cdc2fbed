"""Past chats in a real SQLite file: what is acknowledged is kept, what fails changes nothing."""

from __future__ import annotations

import sqlite3
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.calls.requests import Message
from core.chats.history import History
from core.errors import HistoryError
from tests.core.chats.conftest import EVERY_PART, picture, said


def test_every_kind_of_part_comes_back_as_it_was(history, path):
    chat = history.start("Shapes", "pocket/qwen2-vl")
    turn = history.add(chat.id, EVERY_PART, model="pocket/gemma3", details={"ttft_s": 0.25})
    assert history.turns(chat.id) == [turn]
    history.close()
    with History(path) as again:
        (stored,) = again.turns(chat.id)
        assert stored == turn
        assert stored.message == EVERY_PART
        assert stored.details == {"ttft_s": 0.25}
        head = again.chat(chat.id)
        assert (head.title, head.model, head.messages) == ("Shapes", "pocket/gemma3", 1)


def test_the_chat_last_talked_in_comes_first(history):
    first, second = history.start("first", "m"), history.start("second", "m")
    assert [chat.title for chat in history.chats()] == ["second", "first"]
    history.add(first.id, said("again"))
    assert [chat.title for chat in history.chats()] == ["first", "second"]
    assert history.chats(limit=1)[0].id == first.id
    assert history.chat(second.id).messages == 0


def test_an_image_shown_twice_is_stored_once_and_goes_with_its_last_chat(history, path):
    one, two = history.start("one", "m"), history.start("two", "m")
    for chat in (one, two, two):
        history.add(chat.id, Message.text("user", "look", picture()))
    count = "SELECT count(*) FROM images"
    with sqlite3.connect(path) as other:
        assert other.execute(count).fetchone() == (1,)
        history.delete(two.id)
        assert other.execute(count).fetchone() == (1,)
        assert history.turns(one.id)[0].message.images == (picture(),)
        history.delete(one.id)
        assert other.execute(count).fetchone() == (0,)


def test_cutting_forgets_a_turn_and_what_follows(history):
    chat, other = history.start("a", "m"), history.start("b", "m")
    turns = [history.add(chat.id, said(f"word{number}")) for number in range(4)]
    history.add(other.id, said("word9"))
    history.cut(chat.id, turns[2].id)
    assert [turn.id for turn in history.turns(chat.id)] == [turns[0].id, turns[1].id]
    assert len(history.turns(other.id)) == 1
    assert history.search("word3") == []
    assert len(history.search("word9")) == 1


def test_deleting_a_chat_leaves_no_trace_in_the_file(history, path):
    chat = history.start("secret-title", "m")
    history.add(chat.id, said("xylophonic secrets " * 50))
    history.delete(chat.id)
    assert history.chats() == []
    assert history.search("xylophonic") == []
    with pytest.raises(HistoryError, match="There is no chat"):
        history.chat(chat.id)
    history.close()
    assert b"xylophonic" not in path.read_bytes()


def test_titles_are_one_clean_line(history):
    chat = history.start("  two\nlines\x1b[2J " + "x" * 500, "m")
    assert chat.title.startswith("two lines[2J x")
    assert len(chat.title) == 200
    history.rename(chat.id, "\n")
    assert history.chat(chat.id).title == "Untitled"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("capital", ["What is the capital of France?"]),
        ("FRANCE capi", ["What is the capital of France?"]),
        ("cafe", ["Un café, s'il vous plaît"]),
        ("Lyon capital", []),
        ("世界", ["你好世界"]),
        ("100%", ["It is 100% sure_thing"]),
        ('"capital', ["What is the capital of France?"]),
        ("", []),
        ("  ", []),
    ],
)
def test_search_finds_words_by_their_beginning(history, query, found):
    for text in ("What is the capital of France?", "Un café, s'il vous plaît", "你好世界", "It is 100% sure_thing"):
        history.add(history.start("chat", "m").id, said(text))
    texts = [history.turns(hit.chat.id)[0].message.plain_text for hit in history.search(query)]
    assert texts == found


def test_search_shows_where_and_looks_into_thinking_results_and_titles(history):
    chat = history.start("About zebras", "m")
    turn = history.add(chat.id, EVERY_PART)
    (hit,) = history.search("sunny")
    assert (hit.chat.id, hit.turn) == (chat.id, turn.id)
    assert "[Sunny]" in hit.snippet
    assert history.search("look")[0].turn == turn.id
    assert history.search("blue.png")[0].turn == turn.id
    (titled,) = history.search("zebra")
    assert (titled.chat.id, titled.turn, titled.snippet) == (chat.id, None, "About zebras")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=30), st.text(max_size=30))
def test_no_text_breaks_storing_or_searching(history, text, query):
    chat = history.start(text, "m")
    history.add(chat.id, said(text))
    assert history.turns(chat.id)[0].message.plain_text == text
    for hit in history.search(query):
        assert hit.chat.id > 0


def test_text_that_no_encoder_can_write_is_stored_all_the_same(history):
    chat = history.start("x", "m")
    history.add(chat.id, said("half \ud83d of a pair"))
    assert history.turns(chat.id)[0].message.plain_text == "half \ud83d of a pair"


def test_adding_to_a_deleted_chat_is_an_error_and_changes_nothing(history, path):
    chat = history.start("x", "m")
    history.delete(chat.id)
    with pytest.raises(HistoryError, match=r"not in .* any more"):
        history.add(chat.id, Message.text("user", "late", picture()))
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM images)").fetchone() == (
            0,
            0,
        )


def test_many_threads_share_one_history(history):
    chat = history.start("x", "m")
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for step in range(10):
                history.add(chat.id, said(f"{number}-{step}"))
                history.search(f"{number}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(history.turns(chat.id)) == 40


def test_two_programs_share_one_file(history, path):
    chat = history.start("x", "m")
    with History(path) as other:
        other.add(chat.id, said("from the other"))
        history.add(chat.id, said("from the one"))
        assert [turn.message.plain_text for turn in other.turns(chat.id)] == ["from the other", "from the one"]
