"""An answer that is stopped, left or killed: what had come stays, and says that it is not whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.calls.events import FinishReason, Prefill, TextDelta, ThinkingDelta
from core.calls.requests import ThinkingPart
from core.chats.export import export
from core.chats.history import History
from core.chats.tree import Tree
from tests.tui.chat.test_pane import ask, notices, opened, said
from tests.tui.conftest import screen_text, until
from tests.tui.scripted import ScriptedEngine, answer, finished
from tui.app import AssayApp
from tui.chat.live_answer import final_figures
from tui.chat.saver import history_file

THINKS = [Prefill(9, 9), ThinkingDelta("two "), ThinkingDelta("and two"), TextDelta("4"), finished()]


async def test_an_answer_stopped_while_it_thinks_stays_and_is_asked_again(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    scripted.held, scripted.script = True, lambda request: THINKS
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await ask(pilot, workbench, "2 + 2")
        await until(pilot, lambda: workbench.chat.busy)
        scripted.release(3)
        await until(pilot, lambda: "two and two" in screen_text(workbench))
        await pilot.press("escape")
        await until(pilot, lambda: not workbench.chat.busy)
        assert said(workbench) == [("user", "2 + 2"), ("assistant", "")]
        assert workbench.chat.input.composer.text == ""
        assert "thought for 3 words" in screen_text(workbench)
        assert "stopped" in screen_text(workbench)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: workbench.chat.busy)
        assert [message.plain_text for message in scripted.requests[-1].messages] == ["2 + 2"]
        scripted.release_all()
        await until(pilot, lambda: said(workbench)[1:] == [("assistant", "4")])
        await until(pilot, lambda: "‹ 2/2 ›" in screen_text(workbench))


@pytest.mark.parametrize("key", ["ctrl+n", "ctrl+q"])
async def test_leaving_while_it_thinks_keeps_the_thinking_as_stopped(
    workbench: AssayApp, scripted: ScriptedEngine, tmp_path: Path, key: str
) -> None:
    scripted.held, scripted.script = True, lambda request: THINKS
    scripted._cancelled = lambda generation: None  # type: ignore[method-assign]  # the engine's word comes too late
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await ask(pilot, workbench, "2 + 2")
        await until(pilot, lambda: workbench.chat.busy)
        scripted.release(3)
        await until(pilot, lambda: "two and two" in screen_text(workbench))
        await pilot.press(key)
        await until(pilot, lambda: workbench._exit or said(workbench) == [])
        if key == "ctrl+n":
            assert "The answer was stopped" in notices(workbench)
        workbench.chat.close()
    with History(history_file(workbench.settings.data_dir)) as history:
        tree = history.tree(history.chats()[0].id, Tree())
    assert [turn.message.parts for turn in tree.turns][1] == (ThinkingPart("two and two"),)
    end = tree.turns[1].finished
    assert end is not None
    assert (end.reason, end.usage.prompt_tokens, end.usage.completion_tokens) == (FinishReason.CANCELLED, 9, 2)
    assert "stopped" in final_figures(end)
    for suffix in (".md", ".json"):
        text = export("sum", "m", tree, tmp_path / f"chat{suffix}").read_text()
        assert ("stopped*" if suffix == ".md" else '"reason": "cancelled"') in text


async def test_what_has_come_of_an_answer_is_on_disk_while_it_grows(
    workbench: AssayApp, scripted: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.chat.pane.WRITE_EVERY_S", 0.0)
    scripted.held, scripted.script = True, lambda request: answer("one two three")

    def on_disk() -> list[tuple[str, str]]:
        with History(history_file(workbench.settings.data_dir)) as history:
            turns = [turn for chat in history.chats() for turn in history.turns(chat.id)]
        return [(turn.message.plain_text, final_figures(turn.finished) if turn.finished else "") for turn in turns]

    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await ask(pilot, workbench, "count")
        await until(pilot, lambda: workbench.chat.busy)
        for came in ("one", "one two"):
            scripted.release(2 if came == "one" else 1)
            await until(pilot, lambda came=came: on_disk()[1:] and on_disk()[1][0] == came)
            assert on_disk()[1][1].endswith("broken off")
        scripted.release_all()
        await until(pilot, lambda: len(on_disk()) == 2 and on_disk()[1][0] == "one two three")
        assert "broken off" not in on_disk()[1][1]
        with History(history_file(workbench.settings.data_dir)) as history:
            assert [hit.snippet for hit in history.search("three")] == ["one two three"]
