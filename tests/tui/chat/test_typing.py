"""Typing faster than the workbench draws: nothing typed is lost, and enter waits its turn."""

from __future__ import annotations

from dataclasses import replace

from textual import events
from textual.pilot import Pilot

from core.calls.requests import GenerationRequest
from tests.tui.conftest import QUICK, until
from tests.tui.scripted import ScriptedEngine, red_square
from tui.app import AssayApp

TEXT = "pocket/qwen3"


async def opened(pilot: Pilot[None], app: AssayApp) -> None:
    await until(pilot, lambda: app.state.phase == "ready" and app.chat.bar._models, "an open chat")


def burst(app: AssayApp, text: str) -> None:
    """What a terminal sends when text comes in one piece: a key event for each character, none waited for."""
    for character in text:
        key = "enter" if character == "\r" else "space" if character == " " else character
        app.post_message(events.Key(key, character))


def asked(engine: ScriptedEngine) -> list[GenerationRequest]:
    return engine.requests


async def test_a_burst_with_enter_at_its_end_is_sent_whole(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        burst(workbench, "What is the capital of France\r")
        await until(pilot, lambda: asked(scripted), "the message is sent")
        assert asked(scripted)[0].messages[-1].plain_text == "What is the capital of France"
        assert workbench.chat.input.composer.text == ""


async def test_what_is_typed_after_enter_stays_in_the_box(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        burst(workbench, "first\rsecond")
        await until(pilot, lambda: asked(scripted) and workbench.chat.input.composer.text == "second", "the rest stays")
        assert asked(scripted)[0].messages[-1].plain_text == "first"


async def test_plain_text_goes_to_the_tiers_text_model_and_images_to_its_own(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    opener = workbench._opener
    workbench._opener = lambda settings: replace(opener(settings), text={"quick": TEXT})
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench)
        burst(workbench, "hello\r")
        await until(pilot, lambda: len(asked(scripted)) == 1)
        await until(pilot, lambda: workbench.chat._answering is None)
        await workbench.chat.input.attachments.set([red_square()])
        burst(workbench, "look\r")
        await until(pilot, lambda: len(asked(scripted)) == 2)
        assert [request.model for request in asked(scripted)] == [TEXT, QUICK]
