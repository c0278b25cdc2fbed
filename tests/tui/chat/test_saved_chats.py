"""The saved chats: all of them are there to be found."""

from __future__ import annotations

from core.calls.requests import Message, Role
from core.chats.history import History
from core.chats.tree import Turn
from tests.tui.chat.test_pane import opened
from tests.tui.conftest import screen_text, until
from tui.app import AssayApp
from tui.chat import saved_chats
from tui.chat.saver import history_file


async def test_all_chats_are_listed_and_a_search_that_is_cut_says_so(workbench: AssayApp) -> None:
    many = saved_chats.MOST_FOUND + 5
    data = workbench._read_settings().data_dir
    data.mkdir()
    with History(history_file(data)) as history, history._db.write() as db:
        for number in range(1, many + 1):
            db.execute("INSERT INTO chats VALUES (?, ?, 'm', 0, ?, NULL, NULL)", (number, f"chat {number}", number))
            db.execute("INSERT INTO drafts (chat, parts) VALUES (?, '[]')", (number,))
    with History(history_file(data)) as history:
        history.add(1, Turn(Message.text(Role.USER, "the only one")))
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await pilot.press("ctrl+l")
        await until(pilot, lambda: len(getattr(workbench.screen, "_hits", ())) == many)
        await pilot.press(*"chat")
        await until(
            pilot, lambda: f"Saved chats · the {saved_chats.MOST_FOUND} that fit best" in screen_text(workbench)
        )
        await pilot.press("ctrl+u", *"only")
        await until(pilot, lambda: len(getattr(workbench.screen, "_hits", ())) == 1)
        assert "fit best" not in screen_text(workbench)
