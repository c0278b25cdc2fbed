"""The list of keys: those that work where the focus is come first, all of them."""

from __future__ import annotations

import pytest
from textual.content import Content
from textual.widgets import Static

from tests.tui.conftest import screen_text, until
from tests.tui.scripted import ScriptedEngine
from tests.tui.test_stopping import footer
from tui.actions import ACTIONS, PLACES
from tui.app import AssayApp
from tui.screens.keys import KeysScreen, keys_content, places_of


async def test_on_a_message_its_keys_come_first(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.chat.bar._models)
        await pilot.press(*"hi", "enter")
        await until(pilot, lambda: len(workbench.chat.conversation.turns) == 2)
        await pilot.press("shift+tab", "f1")
        await until(pilot, lambda: len(workbench.screen_stack) == 2)
        text = screen_text(workbench)
        for said in (
            "Chat, on a message",
            "Change the message, in a new version of it",
            "Copy the message",
            "Fold or unfold",
        ):
            assert said in text
        assert text.index("Copy the message") < text.index("Begin a new chat")


async def test_keys_that_do_nothing_now_are_told_apart(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    scripted.held = True
    async with workbench.run_test(size=(80, 60)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.chat.bar._models)
        await pilot.press("f1")
        await until(pilot, lambda: len(workbench.screen_stack) == 2)
        idle = [line for line in screen_text(workbench).splitlines() if "not now" in line]
        assert any("Give the edit up" in line for line in idle)
        assert any("Stop the answer" in line for line in idle)
        assert not any("Send the message" in line for line in idle)
        await pilot.press("escape", *"hi", "enter")
        await until(pilot, lambda: workbench.chat.busy)
        await pilot.press("f1")
        await until(pilot, lambda: len(workbench.screen_stack) == 2)
        stops = [line for line in screen_text(workbench).splitlines() if "Stop the answer" in line]
        assert stops
        assert not any("not now" in line for line in stops)


@pytest.mark.parametrize(
    ("key", "place", "offers"),
    [
        ("ctrl+s", "settings", {("^s", "Apply"), ("esc", "Leave")}),
        ("ctrl+l", "saved", {("⏎", "Open"), ("↓", "To the list")}),
    ],
)
async def test_dialogues_tell_their_own_keys(
    workbench: AssayApp, key: str, place: str, offers: set[tuple[str, str]]
) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.chat.bar._models)
        await pilot.press(key)
        await until(pilot, lambda: len(workbench.screen_stack) == 2)
        await until(pilot, lambda: offers <= set(footer(workbench)))
        assert ("^j", "Newline") not in footer(workbench)
        await pilot.press("f1")
        await until(pilot, lambda: f"{PLACES[place]}  works now" in screen_text(workbench))


async def test_saved_chats_name_the_keys_of_where_the_focus_is(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.chat.bar._models)
        await pilot.press(*"hi", "enter")
        await until(pilot, lambda: len(workbench.chat.conversation.turns) == 2)
        await pilot.press("ctrl+l")
        await until(pilot, lambda: "↓ to the list" in screen_text(workbench))
        assert "/ searches" not in screen_text(workbench)
        await pilot.press("down")
        await until(pilot, lambda: "d deletes · / searches" in screen_text(workbench))
        await until(pilot, lambda: ("d", "Delete") in footer(workbench))


async def test_what_works_is_told_of_every_pane(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(160, 45)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready" and workbench.golden.table.selected)
        assert places_of(workbench.screen) == ["composer", "chat", "text"]
        for key, place in (("f2", "models"), ("f4", "golden"), ("f5", "wire")):
            await pilot.press(key)
            assert places_of(workbench.screen) == [place]
        await pilot.press("f2", "slash")
        assert places_of(workbench.screen) == ["models", "text"]


def test_every_place_is_listed_once_whatever_comes_first() -> None:
    lines = keys_content(["golden", "text"]).plain.splitlines()
    assert lines[0] == "Golden prompts  works now"
    for place, title in PLACES.items():
        assert sum(line in (title, f"{title}  works now") for line in lines) == 1
        assert all(any(line.endswith(action.help) for line in lines) for action in ACTIONS[place])


async def test_no_line_wraps_on_the_narrowest_screen(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(80, 24)) as pilot:
        workbench.push_screen(KeysScreen(None, [place for place in PLACES if place != "app"], working=()))
        await until(pilot, lambda: isinstance(workbench.screen, KeysScreen))
        listed = workbench.screen.query_one(Static)
        await until(pilot, lambda: listed.size.width)
        assert isinstance(listed.content, Content)
        assert [line.plain for line in listed.content.split("\n") if line.cell_length > listed.size.width] == []
