"""A request asked of another model: two answers next to each other, with times and what differs."""

from __future__ import annotations

from dataclasses import replace

from textual.pilot import Pilot

from core.calls.events import Finished, FinishReason, GenerationResult, Prefill, TextDelta, Timing, ToolCall, Usage
from core.calls.requests import GenerationRequest, Message, Role
from core.errors import GenerationFailed
from server.wire import WireCall, WireState
from tests.core.golden.test_draft import answered, asked
from tests.tui.conftest import screen_text, until
from tests.tui.scripted import ScriptedEngine, ScriptedServer, answer, finished
from tests.tui.wire.test_exchange import opened
from tui.app import AssayApp
from tui.wire.beside_screen import BesideScreen
from tui.wire.difference import difference, marked, times


def end(call: WireCall, text: str) -> None:
    call.event(Prefill(9, 9, 0))
    call.event(TextDelta(text))
    call.event(finished(prompt=9, tokens=24))
    call.end(WireState.DONE, 200)


async def beside(pilot: Pilot[None], app: AssayApp, server: ScriptedServer) -> tuple[WireCall, BesideScreen]:
    call = await opened(pilot, app, server)
    await pilot.press("m")
    await until(pilot, lambda: isinstance(app.screen, BesideScreen) and app.screen.chooser.expanded)
    screen = app.screen
    assert isinstance(screen, BesideScreen)
    return call, screen


def other(screen: BesideScreen) -> str:
    return "".join(view.text for view in screen.other.turns)


async def test_two_answers_side_by_side(workbench: AssayApp, server: ScriptedServer, scripted: ScriptedEngine) -> None:
    scripted.held = True
    scripted.script = lambda request: answer("A red triangle.")
    async with workbench.run_test(size=(120, 40)) as pilot:
        call, screen = await beside(pilot, workbench, server)
        end(call, "A green triangle.")
        shown = screen_text(workbench)
        assert "pocket/gemma3" in shown
        assert "pocket/qwen2-vl  as the client" in shown
        assert "pocket/qwen3" not in shown  # it takes no images, and the request has one
        screen.chooser.value = "pocket/gemma3"
        await until(pilot, lambda: scripted.requests)
        (sent,) = scripted.requests
        exchange = server.record.evidence.get("r1")
        assert exchange is not None
        assert replace(sent, model="pocket/qwen2-vl", id=exchange.request.id, source="api") == exchange.request
        await until(pilot, lambda: "x Stop" in screen_text(workbench))
        scripted.release(2)
        await until(pilot, lambda: other(screen) == "A")
        scripted.release_all()
        await until(pilot, lambda: 'gemma3: no word "green"' in screen_text(workbench))
        shown = screen_text(workbench)
        assert "qwen2-vl · the client's answer" in shown
        assert "A green triangle." in shown
        assert "A red triangle." in shown
        assert "first token 0.21 s | 0.21 s" in shown
        assert "x Stop" not in shown
        await pilot.press("d")
        await until(pilot, lambda: screen.query_one("#beside-words").display)
        assert "A green triangle." in screen_text(workbench)
        await pilot.press("d", "a")
        await until(pilot, lambda: len(scripted.requests) == 2)
        await pilot.press("escape")
        await until(pilot, lambda: scripted.generations[-1].cancelled)  # nobody waits for it any more
        await until(pilot, lambda: "Side by side" not in screen_text(workbench))
        assert "Which one?" in screen_text(workbench)


async def test_what_fails_is_said_and_x_stops(
    workbench: AssayApp, server: ScriptedServer, scripted: ScriptedEngine
) -> None:
    scripted.script = lambda request: GenerationFailed("The model has broken.")
    async with workbench.run_test(size=(80, 24)) as pilot:
        call, _ = await beside(pilot, workbench, server)
        end(call, "A green triangle.")
        await pilot.press("enter")  # the first of the list
        await until(pilot, lambda: "The model has broken." in screen_text(workbench))
        scripted.held, scripted.script = True, lambda request: answer("A red triangle.")
        await pilot.press("a")
        await until(pilot, lambda: "x Stop" in screen_text(workbench))
        await pilot.press("x")
        await until(pilot, lambda: "there is no whole answer to compare" in screen_text(workbench))


async def test_an_answer_that_still_comes_is_followed(
    workbench: AssayApp, server: ScriptedServer, scripted: ScriptedEngine
) -> None:
    scripted.script = lambda request: answer("A green triangle.")
    async with workbench.run_test(size=(120, 40)) as pilot:
        call, screen = await beside(pilot, workbench, server)
        screen.chooser.value = "pocket/gemma3"
        await until(pilot, lambda: other(screen) == "A green triangle.")
        call.event(TextDelta("A green"))
        await until(pilot, lambda: screen.theirs.turns[0].text == "A green")
        assert "same text" not in screen_text(workbench)
        end(call, " triangle.")
        await until(pilot, lambda: "same text" in screen_text(workbench))


def test_what_differs_in_words() -> None:
    request, first, second = asked("What do you see?"), answered("A green triangle."), answered("A red triangle!")
    assert difference(request, first, "small", second).plain == 'differs  small: no word "green"'
    assert difference(request, first, "small", first).plain == "same text"
    left, right = marked(first, second)
    assert (left.plain, right.plain) == ("A green triangle.", "A red triangle!")
    assert [left.plain[span.start : span.end] for span in left.spans] == ["green", "."]
    assert [right.plain[span.start : span.end] for span in right.spans] == ["red", "!"]
    call = GenerationResult(tool_calls=[ToolCall("1", "look", '{"at": 1}')])
    assert marked(call, first)[0].plain == "\n⚒ look(at=1)"


def test_times_leave_waiting_and_loading_out() -> None:
    timing = Timing(queued_s=1, load_s=2, ttft_s=3.5, total_s=4.0)
    one = replace(answered("x"), finished=Finished(FinishReason.STOP, Usage(9, 1200), timing))
    assert times(one, one).plain == "first token 0.50 s | 0.50 s   answer 1.00 s | 1.00 s   tokens 1,200 | 1,200"


def test_a_plain_completion_is_compared_too() -> None:
    request = GenerationRequest("m", prompt="Once")
    assert difference(request, answered("upon"), "small", answered("upon")).plain == "same text"
    chat = GenerationRequest("m", (Message.text(Role.USER, "Hi"),))
    assert "cannot be told" in difference(chat, answered("Hi"), "small", answered("hi!")).plain
