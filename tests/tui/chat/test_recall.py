"""The up key brings back what was sent, and loses nothing of what is written."""

from __future__ import annotations

from collections.abc import Callable

from textual.pilot import Pilot

from tests.tui.chat.test_branches import edit, focus, talk, words
from tests.tui.chat.test_drafts import Start, leave, open_chat, start
from tests.tui.chat.test_pane import opened
from tests.tui.conftest import until
from tui.app import AssayApp
from tui.chat.recall import Recall

__all__ = ["start"]  # the fixture


def looked_up(*sent: str, draft: str = "") -> tuple[Recall, Callable[[], list[str]]]:
    recall = Recall()
    for text in sent:
        recall.sent(text)
    return recall, list


def test_what_was_sent_here_comes_after_what_the_chat_holds_and_what_was_sent_elsewhere() -> None:
    recall, _ = looked_up("elsewhere")
    recall.turn_page()
    recall.sent("here ")
    found = [recall.back("", lambda: ["first", "here"])] + [recall.back("", list) for _ in range(3)]
    assert found == ["here", "first", "elsewhere", None]


def test_a_line_that_was_changed_is_so_when_it_is_looked_up_again_until_something_is_sent() -> None:
    recall, none = looked_up("one", "two")
    assert recall.back("draft", none) == "two"
    assert recall.back("two changed", none) == "one"
    assert recall.forth("one") == "two changed"
    assert recall.written("two changed again") == "draft\ntwo changed again"
    assert recall.forth("two changed again") == "draft"
    assert recall.back("draft", none) == "two changed again"
    assert recall.forth("two") == "draft", "changed back"
    assert recall.back("draft", none) == "two"
    recall.forth("two changed")
    recall.sent("three")
    assert [recall.back("", none), recall.back("three", none)] == ["three", "two"]


async def sent_and_drafted(pilot: Pilot[None], app: AssayApp) -> None:
    await opened(pilot, app)
    await talk(pilot, app, "hello")
    app.chat.input.composer.insert("precious six")


async def test_the_draft_is_kept_and_not_the_line_that_is_looked_up(start: Start) -> None:
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await sent_and_drafted(pilot, app)
        await pilot.press("up")
        assert app.chat.input.composer.text == "hello"
        await pilot.press("ctrl+n")
        await until(pilot, lambda: not words(app))
        assert app.chat.input.composer.text == ""
        await open_chat(pilot, app, "hello")
        await until(pilot, lambda: app.chat.input.composer.text == "precious six")
        await pilot.press("up")
        await leave(pilot, app)
    again = start()
    async with again.run_test(size=(120, 40)) as pilot:
        await opened(pilot, again)
        await open_chat(pilot, again, "hello")
        await until(pilot, lambda: again.chat.input.composer.text == "precious six")
        await pilot.press("up")
        assert again.chat.input.composer.text == "hello", "what was asked in the chat, after a restart too"
        await pilot.press("down")
        assert again.chat.input.composer.text == "precious six"


async def test_the_draft_comes_back_when_a_line_that_was_looked_up_is_sent(start: Start) -> None:
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await sent_and_drafted(pilot, app)
        await pilot.press("up", "enter")
        await until(pilot, lambda: len(words(app)) == 4 and not app.chat.busy)
        assert words(app)[2] == "hello"
        assert app.chat.input.composer.text == "precious six"


async def test_in_an_edit_the_up_key_moves_the_cursor(start: Start) -> None:
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await talk(pilot, app, "hello", "world")
        focus(app, 0)
        await pilot.press("e", "up")
        await until(pilot, lambda: app.chat.input.composer.editing)
        assert app.chat.input.composer.text == "hello"
        await edit(pilot, app, 0, "another")
