"""The wire inspector, over the server's own record."""

from __future__ import annotations

from textual.pilot import Pilot

from core.calls.events import Prefill, TextDelta
from core.calls.requests import GenerationRequest, Message, Role
from server.wire import WireCall, WireState
from tests.tui.conftest import screen_text, until
from tests.tui.scripted import ScriptedServer, finished
from tui.app import AssayApp


async def watching(pilot: Pilot[None], app: AssayApp) -> None:
    await until(pilot, lambda: app.state.phase == "ready")
    await pilot.press("ctrl+t", "f5")
    await until(pilot, lambda: app.state.api == "on")


def request(server: ScriptedServer, id: str = "r1", client: str = "OpenAI/Python") -> WireCall:
    call = server.record.open(id, client=client, protocol="openai", method="POST", path="/v1/chat/completions")
    call.begin("pocket/qwen2-vl", True, lambda: None)
    return call


async def test_an_empty_record_says_where_requests_come_from(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase == "ready")
        await pilot.press("f5")
        await until(pilot, lambda: "The API is off. ^t starts it" in screen_text(workbench))
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "No request yet." in screen_text(workbench))


async def test_a_request_is_followed_from_queue_to_end(workbench: AssayApp, server: ScriptedServer) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await watching(pilot, workbench)
        call = request(server)
        await until(pilot, lambda: "queued" in screen_text(workbench))
        call.event(Prefill(131, 131, 100))
        call.event(TextDelta("x"))
        await until(pilot, lambda: "streaming" in screen_text(workbench))
        assert "1 running, 1 in all" in screen_text(workbench)
        call.event(finished(prompt=131, tokens=24))
        call.end(WireState.DONE, 200)
        await until(pilot, lambda: "done" in screen_text(workbench))
        assert "131 prompt tokens" in screen_text(workbench)


async def test_x_cancels_the_rows_request(workbench: AssayApp, server: ScriptedServer) -> None:
    killed: list[str] = []
    async with workbench.run_test(size=(120, 40)) as pilot:
        await watching(pilot, workbench)
        call = request(server)
        call.begin("pocket/qwen2-vl", True, lambda: killed.append("r1"))
        await until(pilot, lambda: workbench.wire.table.selected == "r1")
        await pilot.press("x")
        await until(pilot, lambda: killed == ["r1"])


async def test_the_newest_request_stays_under_the_cursor(workbench: AssayApp, server: ScriptedServer) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await watching(pilot, workbench)
        for id in ("r1", "r2"):
            request(server, id)
            await until(pilot, lambda id=id: workbench.wire.table.selected == id)
        await pilot.press("down")
        request(server, "r3")
        await until(pilot, lambda: workbench.wire.table.rows.row_count == 3)
        assert workbench.wire.table.selected == "r1"


async def test_what_a_client_called_itself_is_no_markup(workbench: AssayApp, server: ScriptedServer) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await watching(pilot, workbench)
        request(server, client="evil[/bold] \x1b[2J")
        await until(pilot, lambda: "evil[/bold]" in screen_text(workbench))


async def test_requests_are_filtered_and_shown_again(workbench: AssayApp, server: ScriptedServer) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await watching(pilot, workbench)
        request(server, "r1", client="codex")
        request(server, "r2", client="curl").end(WireState.FAILED, 404, "There is no model.")
        await until(pilot, lambda: workbench.wire.table.rows.row_count == 2)
        await pilot.press("slash", *"curl 404", "enter")
        await until(pilot, lambda: workbench.wire.table.keys == ["r2"])
        assert "1 of 2 shown" in screen_text(workbench)
        await pilot.press("slash", *"none")
        await until(pilot, lambda: "No request matches 'none'." in screen_text(workbench))
        await pilot.press("escape")
        await until(pilot, lambda: workbench.wire.table.keys == ["r2", "r1"])
        assert not workbench.wire.filter_box.display


async def test_the_filter_finds_what_was_said_until_it_is_forgotten(
    workbench: AssayApp, server: ScriptedServer
) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await watching(pilot, workbench)
        for id, asked, answered in (("r1", "the Eiffel tower", "It stands in Paris."), ("r2", "Nothing", "Much")):
            call = server.record.open(id, client="codex", protocol="openai", method="POST", path="/v1/responses")
            call.begin("m", True, lambda: None, GenerationRequest("m", (Message.text(Role.USER, asked),)))
            call.event(TextDelta(answered))
            if id == "r2":
                call.event(finished())
                call.end(WireState.DONE, 200)
        await until(pilot, lambda: workbench.wire.table.rows.row_count == 2)
        await pilot.press("slash", *"codex eiffel")
        await until(pilot, lambda: workbench.wire.table.keys == ["r1"])
        workbench.wire.filter_box.value = "MUCH done"
        await until(pilot, lambda: workbench.wire.table.keys == ["r2"])
        workbench.wire.filter_box.value = "rome"
        await until(pilot, lambda: workbench.wire.table.keys == [])
        server.record._live["r1"].event(TextDelta(" Not in Rome."))  # what comes meanwhile is found
        await until(pilot, lambda: workbench.wire.table.keys == ["r1"])
        workbench.wire.filter_box.value = "much"
        await until(pilot, lambda: workbench.wire.table.keys == ["r2"])
        server.record.evidence.on = False
        await until(pilot, lambda: workbench.wire.table.keys == [])
