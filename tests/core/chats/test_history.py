"""Past chats in a real SQLite file: what is acknowledged is kept, what fails changes nothing."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.calls.events import Finished, FinishReason, Timing, Usage
from core.calls.requests import Role, Tool
from core.calls.witness import Witness
from core.chats.history import Draft, History
from core.chats.settings import ChatSettings
from core.chats.tree import Tree, Turn
from core.errors import HistoryError
from tests.core.chats.conftest import EVERY_PART, picture, said

FINISHED = Finished(
    FinishReason.STOP,
    Usage(prompt_tokens=3),
    Timing(ttft_s=0.25),
    None,
    Witness(sampling={"temperature": 0.7, "seed": 5}),
)
SETTINGS = ChatSettings("Be brief.", 0.5, seed=7, thinking=False, tools=(Tool("look", "Looks", strict=True),))


def test_every_kind_of_part_comes_back_as_it_was(history, path):
    chat = history.start("Shapes", "pocket/qwen2-vl")
    assert FINISHED.witness is not None
    told = replace(FINISHED, witness=replace(FINISHED.witness, completion=(5, 6, 7)))  # the ids are not kept
    turn = Turn(EVERY_PART, "pocket/gemma3", FINISHED, SETTINGS)
    history.add(chat.id, replace(turn, finished=told))
    assert history.turns(chat.id) == [turn]
    history.close()
    with History(path) as again:
        (stored,) = again.turns(chat.id)
        assert stored == turn
        assert stored.message == EVERY_PART
        assert stored.created == turn.created
        head = again.chat(chat.id)
        assert (head.title, head.model, head.messages) == ("Shapes", "pocket/gemma3", 1)


def test_the_chat_last_talked_in_comes_first(history):
    first, second = history.start("first", "m"), history.start("second", "m")
    for chat in (first, second):
        history.add(chat.id, said("begun"))
    assert [chat.title for chat in history.chats()] == ["second", "first"]
    history.add(first.id, said("again"))
    assert [chat.title for chat in history.chats()] == ["first", "second"]
    assert history.chats()[0].id == first.id
    assert history.chat(second.id).messages == 1


def test_an_image_shown_twice_is_stored_once_and_goes_with_its_last_chat(history, path):
    one, two = history.start("one", "m"), history.start("two", "m")
    for chat in (one, two, two):
        history.add(chat.id, said("look", Role.USER, picture()))
    count = "SELECT count(*) FROM images"
    with sqlite3.connect(path) as other:
        assert other.execute(count).fetchone() == (1,)
        history.delete(two.id)
        assert other.execute(count).fetchone() == (1,)
        assert history.turns(one.id)[0].message.images == (picture(),)
        history.delete(one.id)
        assert other.execute(count).fetchone() == (0,)


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
    turn = history.add(chat.id, Turn(EVERY_PART))
    (hit,) = history.search("sunny")
    assert (hit.chat.id, hit.turn) == (chat.id, turn)
    assert [hit.snippet[start:end] for start, end in hit.marks] == ["Sunny"]
    assert history.search("look")[0].turn == turn
    assert history.search("blue.png")[0].turn == turn
    (titled,) = history.search("zebra")
    assert (titled.chat.id, titled.turn, titled.snippet, titled.marks) == (chat.id, None, "About zebras", ((6, 11),))


def test_a_search_gives_each_chat_once_however_often_a_word_is_said_in_another(history):
    long = history.start("pie", "m").id
    for number in range(60):
        history.add(long, said(f"apple {number}"))
    best = history.add(long, said("apple apple"))
    other = history.start("other", "m").id
    history.add(other, said("much is said, and an apple as well"))
    titled = history.start("apple", "m").id
    history.add(titled, said("hello"))
    assert [hit.chat.id for hit in history.search("apple")] == [long, other, titled]
    assert history.search("apple")[0].turn == best
    assert {hit.chat.id for hit in history.search("pple")} == {long, other, titled}, "inside a word"
    assert [hit.chat.id for hit in history.search("apple", limit=2)] == [long, other]


def test_all_chats_are_listed(history):
    for number in range(250):
        history.add(history.start(f"{number}", "m").id, said("hi"))
    assert [chat.title for chat in history.chats()] == [f"{number}" for number in range(250)][::-1]


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
        history.add(chat.id, said("late", Role.USER, picture()))
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


def branched(history: History) -> tuple[int, list[int]]:
    """A chat whose second question has two versions, of which the first is shown, with an answer each."""
    chat = history.start("branches", "m").id
    one = history.add(chat, said("one"), None)
    first = history.add(chat, said("hello", Role.ASSISTANT), one)
    old = history.add(chat, said("old question"), first)
    below = history.add(chat, said("old answer", Role.ASSISTANT), old)
    new = history.add(chat, said("new question"), first)
    history.add(chat, said("new answer", Role.ASSISTANT), new)
    history.choose(chat, first, old)
    return chat, [one, first, old, below]


def texts(history: History, chat: int) -> list[str]:
    return [turn.message.plain_text for turn in history.turns(chat)]


def test_branches_come_back_with_the_one_that_was_seen_last(history, path):
    chat, ids = branched(history)
    history.close()
    with History(path) as again:
        assert texts(again, chat) == ["one", "hello", "old question", "old answer"]
        tree = again.tree(chat, Tree())
        assert [node.id for node in tree.branch] == ids
        assert len(tree.every) == 6
        assert tree.branch[2].sibling(1).turn.message.plain_text == "new question"
        tree.show(tree.branch[2].sibling(1))
        assert [turn.message.plain_text for turn in tree.turns][2:] == ["new question", "new answer"]


def test_search_finds_turns_of_all_branches_and_deleting_forgets_all(history):
    chat, ids = branched(history)
    assert {hit.turn for word in ("old", "new") for hit in history.search(f"{word} question")} > {ids[2]}
    history.delete(chat)
    assert history.search("question") == []


def test_a_chain_of_thousands_is_deleted_at_once(history):
    chat = history.start("long", "m").id
    with history._db.write() as db:
        for number in range(1, 3001):
            db.execute(
                "INSERT INTO messages (id, chat, role, parts, created, details, parent) VALUES (?,?,?,?,?,?,?)",
                (number, chat, "user", '[{"type": "text", "text": "x"}]', 0.0, "{}", number - 1 or None),
            )
    assert len(history.turns(chat)) == 3000
    history.delete(chat)
    assert history.chats() == []


def test_a_turn_that_is_taken_back_leaves_the_others(history):
    chat, ids = branched(history)
    failed = history.add(chat, said("failed", Role.USER, picture()), ids[1])
    history.remove(failed)
    assert len(history.tree(chat, Tree()).every) == 6
    history.remove(ids[0])
    assert len(history.tree(chat, Tree()).every) == 6, "one that is followed stays"


def test_drafts_of_another_program_stay_where_one_replaces_its_own(history):
    chat = history.start("talk", "m").id
    turn = history.add(chat, said("hello", Role.USER))
    mine = history.set_drafts(chat, [Draft("mine"), Draft("hello there", turn=turn)], [])
    theirs = history.set_drafts(chat, [Draft("theirs")], [])
    assert history.drafts(chat) == [*mine, *theirs]
    mine = history.set_drafts(chat, [Draft("mine, longer")], mine)
    assert history.drafts(chat) == [Draft("theirs"), Draft("mine, longer")]
    history.part_drafts(theirs)
    assert [(found.title, history.drafts(found.id)) for found in history.chats()] == [
        ("theirs", [Draft("theirs")]),
        ("talk", [Draft("mine, longer")]),
    ]
    history.set_drafts(chat, [Draft("theirs again")], theirs)
    assert [found.title for found in history.chats()] == ["talk"], "it is replaced where it was put"
    history.remove(turn)
    assert history.set_drafts(chat, [Draft("of one that is gone", turn=turn)], mine)[0].row
    assert {draft.turn for draft in history.drafts(chat)} == {None}


def test_a_chat_that_is_gone_or_a_turn_of_it_is_not_held(history):
    chat, other = history.start("talk", "m").id, history.start("other", "m").id
    turn = history.add(chat, said("hello", Role.USER))
    assert history.holds(chat, [turn])
    assert not history.holds(other, [turn])
    history.delete(chat)
    assert not history.holds(chat)
    assert not history.rewrite(turn, said("hello", Role.USER))


def test_drafts_keep_their_images_and_a_chat_with_nothing_is_not_listed(history, path):
    empty, written = history.start("empty", "m"), history.start("written", "m", SETTINGS)
    history.set_drafts(written.id, [Draft("half a", (picture(),))])
    history.set_drafts(None, [Draft("for a new chat")])
    history.close()
    with History(path) as again:
        ((chat),) = again.chats()
        assert (chat.id, chat.messages, chat.drafts, chat.settings) == (written.id, 0, 1, SETTINGS)
        assert again.drafts(written.id) == [Draft("half a", (picture(),))]
        assert again.drafts(None) == [Draft("for a new chat")]
        assert again.search("empty") == []
        again.set_drafts(written.id, [])
        assert again.chats() == []
        with sqlite3.connect(path) as other:
            assert other.execute("SELECT count(*) FROM images").fetchone() == (0,)
    assert empty.id != written.id


def test_a_draft_may_change_a_turn_and_goes_with_it(history):
    chat = history.start("x", "m").id
    turn = history.add(chat, said("hello"))
    history.set_drafts(chat, [Draft("new"), Draft("hello there", (), turn)])
    assert history.drafts(chat) == [Draft("new"), Draft("hello there", (), turn)]
    history.remove(turn)
    assert history.drafts(chat) == [Draft("new")]


def test_settings_are_the_chats_own(history):
    one, two = history.start("one", "m", SETTINGS), history.start("two", "m")
    history.set_settings(two.id, ChatSettings("Other."))
    assert history.chat(one.id).settings == SETTINGS
    assert history.chat(two.id).settings == ChatSettings("Other.")
