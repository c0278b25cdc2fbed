"""Screens compared with pictures of themselves, at the three widths that the layout knows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from core.calls.events import FinishReason, Prefill, TextDelta, ThinkingDelta
from server.wire import WireState
from tests.tui.conftest import QUICK, until
from tests.tui.scripted import ScriptedEngine, ScriptedServer, answer, finished, golden_answers, red_square
from tui.app import AssayApp

SIZES = [(80, 24), (120, 40), (160, 45)]
NOON = 1_763_640_000.0

Compare = Callable[..., bool]
Act = Callable[[Pilot[None]], Awaitable[None]]

every_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")


@pytest.fixture
def shows(snap_compare: Compare, workbench: AssayApp) -> Callable[[tuple[int, int], Act], bool]:
    """Run the app at a size, act, and compare what is on the screen."""

    def compare(size: tuple[int, int], act: Act) -> bool:
        async def run_before(pilot: Pilot[None]) -> None:
            await until(pilot, lambda: workbench.state.phase == "ready" and workbench.models.table.selected)
            await until(pilot, lambda: workbench.models._on_disk is not None)
            await until(pilot, lambda: workbench.golden.table.selected)
            await until(pilot, lambda: any(cell.model for cell in workbench.golden._board.cells.values()))
            await act(pilot)
            workbench.clear_notifications()
            for screen in workbench.screen_stack:
                for field in screen.query("TextArea, Input"):
                    assert isinstance(field, TextArea | Input)
                    field.cursor_blink = False
                    if isinstance(field, TextArea):  # which keeps lines from when the cursor was dark
                        field._line_cache.clear()
                        field.refresh()
            await pilot.pause()

        return snap_compare(workbench, terminal_size=size, run_before=run_before)

    return compare


def app_of(pilot: Pilot[None]) -> AssayApp:
    app: App[None] = pilot.app
    assert isinstance(app, AssayApp)
    return app


async def ask_about_an_image(pilot: Pilot[None]) -> None:
    app = app_of(pilot)
    await app.chat.input.attachments.add(red_square())
    app.chat.input.composer.insert("what is this?")
    await pilot.press("enter")
    await until(pilot, lambda: len(app.chat.conversation.turns) == 2)
    await until(pilot, lambda: app.query("Transcript HalfcellImage"))


@every_size
def test_models(shows: Callable[..., bool], scripted: ScriptedEngine, size: tuple[int, int]) -> None:
    async def act(pilot: Pilot[None]) -> None:
        scripted.put_in_memory(QUICK, pinned=True)
        await pilot.press("f2", "down")
        await until(pilot, lambda: app_of(pilot).state.loaded(QUICK))

    assert shows(size, act)


@every_size
def test_chat_with_an_image(shows: Callable[..., bool], scripted: ScriptedEngine, size: tuple[int, int]) -> None:
    scripted.script = lambda request: answer(
        "It is a **red square** on white.\n\n- its sides are 32 pixels\n- it stands in the middle\n\n"
        "```python\npen.rectangle((16, 16, 48, 48), fill='red')\n```"
    )
    assert shows(size, ask_about_an_image)


@every_size
def test_golden_run(shows: Callable[..., bool], scripted: ScriptedEngine, size: tuple[int, int]) -> None:
    scripted.script = golden_answers

    async def act(pilot: Pilot[None]) -> None:
        app = app_of(pilot)
        await pilot.press("f4", "R")
        await until(pilot, lambda: all(cell.attempt for cell in app.golden._board.cells.values()))
        await until(pilot, lambda: not app.golden.busy)
        await pilot.press("n")
        await until(pilot, lambda: len(app.golden.query("HalfcellImage")) == 1)

    assert shows(size, act)


@every_size
def test_wire(shows: Callable[..., bool], server: ScriptedServer, size: tuple[int, int]) -> None:
    async def act(pilot: Pilot[None]) -> None:
        app = app_of(pilot)
        await pilot.press("ctrl+t", "f5")
        await until(pilot, lambda: app.state.api == "on")
        for id, client, protocol, path in (
            ("r1", "OpenAI/Python 3.52.0", "openai", "/v1/chat/completions"),
            ("r2", "Anthropic/Python 2.10.0", "anthropic", "/v1/messages"),
        ):
            call = server.record.open(id, client=client, protocol=protocol, method="POST", path=path)
            call.begin(QUICK, True, lambda: None)
            call.event(Prefill(131, 131, 100))
            if id == "r1":
                call.event(finished())
                call.end(WireState.DONE, 200)
        for id, entry in list(server.record._entries.items()):
            server.record._entries[id] = replace(entry, time=NOON, ttft_s=0.21, duration_s=0.47)
        await until(pilot, lambda: app.wire.table.rows.row_count == 2)

    assert shows(size, act)


def test_first_frame(snap_compare: Compare, workbench: AssayApp) -> None:
    workbench._opener = lambda settings: (_ for _ in ()).throw(AssertionError("not reached"))

    async def run_before(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: workbench.furnished)
        workbench.chat.input.composer.cursor_blink = False
        await pilot.pause()

    workbench._open = lambda: None  # type: ignore[method-assign, assignment, return-value]
    assert snap_compare(workbench, terminal_size=(120, 40), run_before=run_before)


def test_thinking_while_it_streams(shows: Callable[..., bool], scripted: ScriptedEngine) -> None:
    scripted.script = lambda request: [
        ThinkingDelta("The person asks for the capital.\nFrance's capital is Paris."),
        TextDelta("Paris."),
        finished(FinishReason.LENGTH),
    ]

    async def act(pilot: Pilot[None]) -> None:
        app = app_of(pilot)
        app.chat.input.composer.insert("capital of France?")
        await pilot.press("enter")
        await until(pilot, lambda: len(app.chat.conversation.turns) == 2)
        await pilot.press("f8")

    assert shows((80, 24), act)


def test_attached_and_completing(shows: Callable[..., bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = tmp_path / "desk"  # without the data folder, which comes when it comes
    (desk / "pictures").mkdir(parents=True)
    monkeypatch.chdir(desk)
    for name in ("cat.png", "camel.jpg"):
        (desk / name).write_bytes(red_square().data)

    async def act(pilot: Pilot[None]) -> None:
        app = app_of(pilot)
        await app.chat.input.attachments.add(red_square())
        await until(pilot, lambda: app.query("Attachment HalfcellImage"))
        await pilot.press(*"what is @")
        await until(pilot, lambda: app.chat.input.composer.completing)

    assert shows((80, 24), act)


def test_an_image_for_a_text_model(shows: Callable[..., bool]) -> None:
    async def act(pilot: Pilot[None]) -> None:
        app = app_of(pilot)
        app.chat.bar.choose("pocket/qwen3")
        await app.chat.input.attachments.add(red_square())
        app.chat.input.composer.insert("what is this?")
        await pilot.press("enter")
        await until(pilot, lambda: app.chat.transcript.turns and app.chat.transcript.turns[-1].refused)
        await until(pilot, lambda: len(app.query("HalfcellImage")) == 2)

    assert shows((80, 24), act)


@pytest.mark.parametrize(
    "key", ["f1", "ctrl+s", "f6", "ctrl+o", "ctrl+l"], ids=["keys", "settings", "api", "jump", "chats"]
)
def test_what_opens_over_the_panes(shows: Callable[..., bool], key: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        app = app_of(pilot)
        if key == "f6":
            await pilot.press("ctrl+t")
            await until(pilot, lambda: app.state.api == "on")
        await pilot.press(key)
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await until(pilot, lambda: key != "ctrl+l" or app.screen.query(".-empty"))

    assert shows((160, 45) if key == "ctrl+o" else (80, 24), act)


def test_the_light_theme(shows: Callable[..., bool], scripted: ScriptedEngine) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await ask_about_an_image(pilot)
        await pilot.press("f9")

    assert shows((160, 45), act)
