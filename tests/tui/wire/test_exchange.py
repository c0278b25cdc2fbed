"""A request as a conversation: on the screen, as a curl command, as a chat."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

from textual.pilot import Pilot

from core.calls.events import (
    FinishReason,
    Loading,
    Prefill,
    PromptTokens,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStart,
)
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.calls.witness import SeenImage, Witness
from server.wire import WireCall, WireEntry, WireState
from tests.pictures import png
from tests.tui.conftest import screen_text, until
from tests.tui.scripted import ScriptedServer, finished
from tests.tui.wire.test_pane import watching
from tui.app import AssayApp
from tui.wire.curl import curl
from tui.wire.entry_text import phases_content, prompt_content

BODY = b'{"model": "pocket/qwen2-vl", "messages": [{"role": "user", "content": "What\'s this?"}], "stream": true}'


def asked(server: ScriptedServer) -> WireCall:
    call = server.record.open("r1", client="codex", protocol="openai", method="POST", path="/v1/chat/completions")
    call.body = BODY
    messages = (
        Message.text(Role.SYSTEM, "Be brief."),
        Message.text(Role.USER, "What's this?"),
        Message.text(Role.ASSISTANT, "A shape."),
        Message.text(Role.USER, "Which one?", png("green")),
    )
    request = GenerationRequest("pocket/qwen2-vl", messages, sampling=Sampling(temperature=0.5, max_tokens=50))
    call.begin("pocket/qwen2-vl", True, lambda: None, request)
    return call


def _written(app: AssayApp) -> set[str]:
    """How long it writes, as the screen has it."""
    return set(re.findall(r"writes ([\d.]+) s", screen_text(app)))


async def opened(pilot: Pilot[None], app: AssayApp, server: ScriptedServer) -> WireCall:
    await watching(pilot, app)
    call = asked(server)
    await until(pilot, lambda: app.wire.table.selected == "r1")
    await pilot.press("enter")
    await until(pilot, lambda: "Which one?" in screen_text(app))
    return call


async def test_the_answer_is_shown_as_it_comes(workbench: AssayApp, server: ScriptedServer) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        call = await opened(pilot, workbench, server)
        for text in ("system", "Be brief.", "client", "A shape.", "qwen2-vl"):
            assert text in screen_text(workbench)
        assert "x Kill" in screen_text(workbench)
        call.event(Prefill(9, 9, 0))
        call.event(TextDelta("A green "))
        await until(pilot, lambda: "A green" in screen_text(workbench))
        call.event(TextDelta("triangle."))
        call.event(finished(prompt=9, tokens=4))
        call.end(WireState.DONE, 200)
        await until(pilot, lambda: "A green triangle." in screen_text(workbench))
        await until(pilot, lambda: "x Kill" not in screen_text(workbench))
        await pilot.press("escape")
        await until(pilot, lambda: "Which one?" not in screen_text(workbench))


async def test_each_state_is_said_as_it_is(workbench: AssayApp, server: ScriptedServer) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        call = await opened(pilot, workbench, server)
        for event, says in (
            (None, "waits for its turn"),
            (Loading("pocket/qwen2-vl"), "its model is being loaded"),
            (Prefill(4, 9, 0), "its prompt is being read"),
        ):
            if event is not None:
                call.event(event)
            await until(pilot, lambda says=says: says in screen_text(workbench))
        call.event(ThinkingDelta("A shape, and a colour"))
        await until(pilot, lambda: "thinking…" in screen_text(workbench))
        assert "thought for" not in screen_text(workbench)
        seen: set[str] = set()
        await until(
            pilot, lambda: seen.update(_written(workbench)) or len(seen) > 1
        )  # the time goes on though nothing comes
        call.end(WireState.CANCELLED)
        await until(pilot, lambda: "its client left before the end" in screen_text(workbench))
        assert "wrote" in screen_text(workbench)
        assert "▌" not in screen_text(workbench)


async def test_calls_are_the_clients_to_make(workbench: AssayApp, server: ScriptedServer) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        call = await opened(pilot, workbench, server)
        call.event(ToolCallStart(0, "c", "look"))
        call.event(ToolCallDelta(0, '{"at": 1}'))
        call.event(finished(FinishReason.TOOL_CALLS))
        call.end(WireState.DONE, 200)
        await until(pilot, lambda: "the calls are the client's to make" in screen_text(workbench))
        assert "waits for the tool's result" not in screen_text(workbench)


async def test_w_shows_what_the_engine_says_that_it_did(workbench: AssayApp, server: ScriptedServer) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        call = await opened(pilot, workbench, server)
        await pilot.press("w")
        await until(pilot, lambda: "There is no witness: the answer has not ended." in screen_text(workbench))
        witness = Witness(
            "a" * 64,
            131,
            ("b" * 64,),
            ("system",),
            images=(SeenImage("c" * 64, 100),),
            sampling={"temperature": 0.7, "seed": 7, "stop": ()},
            model={"chat_template": "d" * 64},
            completion_tokens=24,
            finish="stop",
        )
        call.event(replace(finished(), witness=witness))
        call.end(WireState.DONE, 200)
        await pilot.press("w", "w")
        await until(pilot, lambda: "Request · witness" in screen_text(workbench))
        shown = screen_text(workbench)
        for words in (
            "131 tokens, 0 of them known, aaaaaaaaaaaaaaaa",
            "no text of system stands in the prompt",
            "cccccccccccccccc, 100 tokens",
            "temperature 0.7, seed 7",
            "chat template",
            "24 tokens, ended by stop",
        ):
            assert words in shown
        await pilot.press("w")
        await until(pilot, lambda: "Which one?" in screen_text(workbench))


async def test_it_goes_on_in_the_chat_with_its_settings(workbench: AssayApp, server: ScriptedServer) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        call = await opened(pilot, workbench, server)
        call.event(TextDelta("A triangle."))
        call.event(finished(prompt=9, tokens=3))
        call.end(WireState.DONE, 200)
        await until(pilot, lambda: "A triangle." in screen_text(workbench))
        await pilot.press("r")
        await until(pilot, lambda: workbench.face == "chat" and len(workbench.chat.conversation.turns) == 4)
        chat = workbench.chat
        assert [turn.message.plain_text for turn in chat.conversation.turns][-1] == "A triangle."
        assert (chat.settings.system, chat.settings.temperature, chat.settings.max_tokens) == ("Be brief.", 0.5, 50)
        assert chat.bar.chosen == "pocket/qwen2-vl"
        await until(pilot, lambda: chat.conversation.chat is not None)  # it is saved


async def test_it_becomes_a_golden_prompt(workbench: AssayApp, server: ScriptedServer, tmp_path: Path) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await watching(pilot, workbench)
        call = server.record.open("r1", client="codex", protocol="openai", method="POST", path="/v1/chat/completions")
        question = Message.text(Role.USER, "What is the capital of France?")
        call.begin("pocket/qwen3", True, lambda: None, GenerationRequest("pocket/qwen3", (question,)))
        await until(pilot, lambda: workbench.wire.table.selected == "r1")
        await pilot.press("enter")
        await until(pilot, lambda: "capital of France" in screen_text(workbench))
        await pilot.press("g")  # too early: nothing happens
        call.event(TextDelta("Paris."))
        call.event(finished(prompt=9, tokens=2))
        call.end(WireState.DONE, 200)
        await until(pilot, lambda: "x Kill" not in screen_text(workbench))
        await pilot.press("g")
        name = "wire/what-is-the-capital-of-france"
        await until(pilot, lambda: workbench.face == "golden" and workbench.golden.table.selected == name)
        sidecar = (tmp_path / "data" / "golden" / f"{name}.toml").read_text()
        assert 'expect = "paris"' in sidecar
        assert workbench.golden.suite_folder == str(tmp_path / "data" / "golden")


async def test_it_is_copied_as_curl(workbench: AssayApp, server: ScriptedServer) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await opened(pilot, workbench, server)
        await pilot.press("c")
        await until(pilot, lambda: workbench.clipboard.startswith("curl -N "))
        words = shlex.split(workbench.clipboard.replace("\\\n", " "))
        assert json.loads(words[-1]) == json.loads(BODY)
        assert "Authorization: Bearer $ASSAY_KEY" in words


async def test_what_is_not_kept_is_said_and_o_forgets(workbench: AssayApp, server: ScriptedServer) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await watching(pilot, workbench)
        asked(server)
        await until(pilot, lambda: workbench.wire.table.selected == "r1")
        await pilot.press("o")
        await until(pilot, lambda: not server.record.evidence.on)
        await pilot.press("enter")
        await until(pilot, lambda: "is not kept" in screen_text(workbench))
        assert "c Curl" not in screen_text(workbench)
        await pilot.press("escape", "o")
        await until(pilot, lambda: server.record.evidence.on)


def test_images_stand_in_a_command_as_digests() -> None:
    entry = WireEntry("r", 0, "c", "anthropic", "POST", "/v1/messages")
    body = {"messages": [{"role": "user", "content": [{"source": {"data": "A" * 5000}}, {"text": "b " * 900}]}]}
    command, digests = curl(entry, json.dumps(body).encode(), "http://127.0.0.1:1")
    assert digests
    assert "5,000 characters, SHA-256" in command
    assert "anthropic-version" in command
    assert "b " * 900 in command


def test_where_the_time_went() -> None:
    phases = ((WireState.QUEUED, 0.001), (WireState.LOADING, 1.0), (WireState.PREFILL, 0.5), (WireState.STREAMING, 2.5))
    entry = WireEntry("r", 0, "c", "openai", "POST", "/v1/chat/completions", phases=phases)
    told = phases_content(entry, 100).plain
    assert told == "█" * 10 + "█" * 5 + "█" * 25 + "  loaded 1.00 s · read 0.50 s · wrote 2.50 s"
    assert phases_content(entry, 40).plain == "loaded 1.00 s · read 0.50 s · wrote 2.50 s"


def test_a_prompt_with_its_marks() -> None:
    told = prompt_content(
        PromptTokens((1, 2, 3, 4), (b"<|im_start|>", b"caf", b"\xc3", b"\xa9"), (True, False, False, False), 4096)
    )
    assert told.plain == "4 tokens of 4,096, 1 of them the model's own marks\n\n<|im_start|>café"


def test_a_mark_that_stands_for_an_image_is_written_once() -> None:
    pieces = (b"<start>", b"<image>", b"<image>", b"<image>", b"<image>", b"Hi")
    told = prompt_content(PromptTokens((1, 2, 2, 2, 2, 3), pieces, (True, True, True, True, True, False), 4096))
    assert told.plain.endswith("\n<start><image> × 4 Hi")
