"""Answers name who gave them, live and for good; and what a key cannot do, it does not claim to have done."""

from __future__ import annotations

import pytest
from textual.widgets._footer import FooterKey

from core.calls.events import Event, FinishReason, Prefill, ThinkingDelta, ToolCallDelta, ToolCallStart
from core.catalog import ModelKind
from tests.tui.chat.test_branches import focus, talk, words
from tests.tui.chat.test_drafts import Start, leave, open_chat, start  # noqa: F401
from tests.tui.chat.test_pane import notices, opened
from tests.tui.conftest import screen_text, until
from tests.tui.scripted import MB, MODELS, ScriptedCatalog, ScriptedEngine, finished, model
from tui.app import AssayApp

NAMESAKE = "endless/qwen3"


@pytest.fixture
def scripted() -> ScriptedEngine:
    return ScriptedEngine(catalog=ScriptedCatalog([*MODELS, model(NAMESAKE, ModelKind.TEXT, 2 * MB)]))


async def test_who_answered_is_named_the_same_live_and_reopened(
    start: Start,  # noqa: F811
    scripted: ScriptedEngine,
) -> None:
    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await talk(pilot, app, "to the tier")
        for chosen in (NAMESAKE, "pocket/qwen3"):
            app.chat.bar.choose(chosen)
            await talk(pilot, app, f"to {chosen}?")
        heads = ["quick · qwen2-vl", NAMESAKE, "pocket/qwen3"]
        assert [view._label for view in app.chat.transcript.turns[1::2]] == heads  # type: ignore[attr-defined]
        await pilot.press("ctrl+l")
        await until(pilot, lambda: len(app.screen_stack) == 2 and "today" in screen_text(app))
        assert "pocket/qwen3 " in screen_text(app)
        await pilot.press("escape")
        await leave(pilot, app)
    again = start()
    async with again.run_test(size=(120, 40)) as pilot:
        await opened(pilot, again)
        await open_chat(pilot, again, "tier")
        assert [view._label for view in again.chat.transcript.turns[1::2]] == heads  # type: ignore[attr-defined]
        await leave(pilot, again)


def thinking(request: object) -> list[Event]:
    return [Prefill(1, 1), ThinkingDelta("Hm. What now?"), finished(FinishReason.LENGTH)]


def calling(request: object) -> list[Event]:
    call = [ToolCallStart(0, "call_0", "get_weather"), ToolCallDelta(0, '{"place": "Oslo"}')]
    return [Prefill(1, 1), ThinkingDelta("Hm."), *call, finished(FinishReason.TOOL_CALLS)]


@pytest.mark.parametrize(
    ("script", "copied", "said"),
    [
        (thinking, "Hm. What now?", "Copied the thinking: the answer has no text."),
        (calling, "get_weather(place='Oslo')", "Copied the calls of tools: the answer has no text."),
    ],
)
async def test_an_answer_without_text_is_not_said_to_be_copied(
    workbench: AssayApp, scripted: ScriptedEngine, script: object, copied: str, said: str
) -> None:
    scripted.script = script  # type: ignore[assignment]
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        await talk(pilot, workbench, "hello")
        workbench.copy_to_clipboard("from before")
        await pilot.press("alt+c")
        await until(pilot, lambda: "The last answer has no text: nothing is copied." in notices(workbench))
        assert workbench.clipboard == "from before"
        focus(workbench, 1)
        await pilot.press("c")
        await until(pilot, lambda: said in notices(workbench))
        assert workbench.clipboard == copied


async def test_nothing_is_answered_again_in_an_empty_chat(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    def offered() -> bool:
        return any(key.key_display == "^r" for key in workbench.screen.query(FooterKey))

    async with workbench.run_test(size=(160, 40)) as pilot:
        await opened(pilot, workbench)
        await until(pilot, lambda: workbench.screen.query(FooterKey) and not offered())
        await talk(pilot, workbench, "hello")
        await until(pilot, offered)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: not words(workbench) and not offered())
