"""Branches, drafts and settings over the real engine and a pocket model, and over a restart."""

from __future__ import annotations

import json
from pathlib import Path

from core.chats.settings import ChatSettings
from core.engine import Engine
from core.settings import Settings
from server.lifecycle import ApiServer
from tests.tui.conftest import FULL, QUICK, Furnished, until
from tui.services import Services


class Borrowed(Services):
    def close(self) -> None:
        """The engine is the test run's."""


async def test_a_chat_goes_on_after_a_restart_with_its_branches_draft_and_settings(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    own = settings.model_copy(update={"data_dir": tmp_path / "data"})

    def start() -> Furnished:
        return Furnished(lambda: own, lambda _: Borrowed(own, engine, ApiServer(engine, own), QUICK, FULL))

    brief = ChatSettings(temperature=0.0, max_tokens=24, seed=7)
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.state.phase == "ready" and app.chat.bar._models)
        app.chat.set_settings(brief)
        app.chat.bar.choose("pocket/qwen3")
        app.chat.input.composer.insert("What is the capital of France?")
        await pilot.press("enter")
        await until(pilot, lambda: len(app.chat.conversation.turns) == 2 and not app.chat.busy, "the answer")
        first = app.chat.conversation.turns[1].message.plain_text
        app.chat.transcript.focus_turn(app.chat.transcript.turns[0])
        await pilot.press("e")
        await until(pilot, lambda: app.chat.input.composer.editing)
        app.chat.input.composer.text = "What is the capital of Japan?"
        await pilot.press("enter")
        await until(pilot, lambda: len(app.chat.conversation.every) == 4 and not app.chat.busy, "the other answer")
        app.chat.input.composer.insert("and of")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app._exit)
    again = start()
    async with again.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: again.state.phase == "ready" and again.chat.bar._models)
        await pilot.press("ctrl+l")
        await until(pilot, lambda: getattr(again.screen, "_hits", ()))
        await pilot.press("enter")
        await until(pilot, lambda: again.chat.input.composer.text == "and of", "the draft")
        assert "Japan" in again.chat.conversation.turns[0].message.plain_text
        assert again.chat.settings == brief
        again.chat.transcript.focus_turn(again.chat.transcript.turns[0])
        await pilot.press("left")
        await until(pilot, lambda: "France" in again.chat.conversation.turns[0].message.plain_text)
        assert again.chat.conversation.turns[1].message.plain_text == first
        await again.chat.run_action("export")
        await until(pilot, lambda: len(again.screen_stack) == 2)
        await pilot.press("j")
        await until(pilot, lambda: any("Wrote" in notice.message for notice in again._notifications))
    turns = exported(tmp_path)
    assert len(turns) == 4
    assert turns[1]["asked"]["seed"] == 7
    assert turns[1]["finished"]["witness"]["sampling"]["seed"] == 7


def exported(folder: Path) -> list[dict[str, dict[str, dict[str, dict[str, int]]]]]:
    (file,) = folder.glob("assay-chat-*.json")
    return json.loads(file.read_text())["turns"]  # type: ignore[no-any-return]
