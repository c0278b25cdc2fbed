"""What opens over the panes has a last line and a list of keys of its own, and lets nothing happen behind it."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.tui.conftest import screen_text, until
from tests.tui.scripted import ScriptedEngine, red_square
from tests.tui.test_stopping import footer
from tui.actions import PLACES
from tui.app import AssayApp
from tui.screens.confirm import Confirm
from tui.screens.keys import KeysScreen
from tui.screens.picture_view import PictureView
from tui.screens.unsaved import Unsaved


async def asked(pilot: Pilot[None], app: AssayApp) -> None:
    await until(pilot, lambda: app.state.phase == "ready" and app.chat.bar._models and app.golden.table.selected)
    await pilot.press(*"hi", "enter")
    await until(pilot, lambda: len(app.chat.conversation.turns) == 2 and not app.chat.busy)


@pytest.mark.parametrize("opens", ["alt+e", "ctrl+s", "ctrl+l", "f1"])
async def test_the_panes_behind_a_dialogue_stay(workbench: AssayApp, opens: str) -> None:
    async with workbench.run_test(size=(80, 24)) as pilot:
        await asked(pilot, workbench)
        await pilot.press(opens)
        await until(pilot, lambda: len(workbench.screen_stack) == 2)
        for key in ("f2", "f4", "f5", "f3", "ctrl+o", "ctrl+p"):
            await pilot.press(key)
            await pilot.pause()
            assert workbench.face == "chat"
            assert len(workbench.screen_stack) == 2
        await pilot.press("escape")
        await until(pilot, lambda: len(workbench.screen_stack) == 1)
        await pilot.press("f4")
        await until(pilot, lambda: workbench.face == "golden")


@pytest.mark.parametrize(
    ("opens", "place", "keys"),
    [
        ("alt+e", "export", [("m", "Markdown"), ("j", "JSON"), ("esc", "Leave")]),
        (Confirm("Delete it?", "Delete"), "question", [("y", "Yes"), ("esc", "No")]),
        (Unsaved(), "unsaved", [("a", "Apply"), ("d", "Discard"), ("esc", "Go on")]),
        (PictureView([red_square(), red_square()]), "pictures", [("→", "Next"), ("←", "Before"), ("esc", "Close")]),
        (PictureView([red_square()]), "pictures", [("esc", "Close")]),
    ],
    ids=["export", "question", "unsaved", "pictures", "picture"],
)
async def test_a_dialogue_tells_its_keys_and_those_alone(
    workbench: AssayApp, opens: str | Confirm | Unsaved | PictureView, place: str, keys: list[tuple[str, str]]
) -> None:
    async with workbench.run_test(size=(80, 24)) as pilot:
        await asked(pilot, workbench)
        if isinstance(opens, str):
            await pilot.press(opens)
        else:
            workbench.push_screen(opens)  # type: ignore[arg-type]
        await until(pilot, lambda: len(workbench.screen_stack) == 2)
        await until(pilot, lambda: footer(workbench) == keys)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(workbench.screen, KeysScreen))
        await until(pilot, lambda: f"{PLACES[place]}  works now" in screen_text(workbench))
        await until(pilot, lambda: footer(workbench) == [("esc", "Close")])
        await pilot.press("escape")
        await until(pilot, lambda: footer(workbench) == keys)


async def test_the_question_before_a_chat_is_deleted_names_its_keys(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(80, 24)) as pilot:
        await asked(pilot, workbench)
        await pilot.press("ctrl+l", "down", "d")
        await until(pilot, lambda: isinstance(workbench.screen, Confirm))
        await until(pilot, lambda: "y yes · n, esc no" in screen_text(workbench))
        await until(pilot, lambda: footer(workbench) == [("y", "Yes"), ("esc", "No")])
        await pilot.press("n")
        await until(pilot, lambda: ("d", "Delete") in footer(workbench))


async def test_an_open_list_names_the_keys_that_choose_and_close(
    workbench: AssayApp, scripted: ScriptedEngine, tmp_path: Path
) -> None:
    (tmp_path / "cat.png").write_bytes(red_square().data)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await asked(pilot, workbench)
        await pilot.press("f7")
        await until(pilot, lambda: {("⏎", "Choose"), ("esc", "Close list")} <= set(footer(workbench)))
        await pilot.press("escape")
        await until(pilot, lambda: ("⏎", "Send") in footer(workbench))
        await pilot.press("@", "c")
        await until(pilot, lambda: {("⏎", "Accept"), ("esc", "Close list")} <= set(footer(workbench)))
        assert ("⏎", "Send") not in footer(workbench)
        await pilot.press("f1")
        await until(pilot, lambda: f"{PLACES['completing']}  works now" in screen_text(workbench))
        await pilot.press("escape")
        await until(pilot, lambda: len(workbench.screen_stack) == 1)
        await pilot.press("enter")
        await until(pilot, lambda: workbench.chat.input.attachments.images)
        await until(pilot, lambda: ("⏎", "Send") in footer(workbench))


async def test_keys_that_would_do_nothing_are_not_offered(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(160, 45)) as pilot:
        await asked(pilot, workbench)
        await pilot.press("f5")
        await until(pilot, lambda: ("x", "Kill") not in footer(workbench))
        assert ("s", "Snippets") not in footer(workbench)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: ("s", "Snippets") in footer(workbench))
        assert ("x", "Kill") not in footer(workbench)
        await pilot.press("f4")
        await until(pilot, lambda: ("r", "Run") in footer(workbench))
        assert not {"Next ≠", "Previous ≠"} & {label for _, label in footer(workbench)}
