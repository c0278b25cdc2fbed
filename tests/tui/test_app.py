"""The workbench as a whole: opening, moving about, the API's toggle, and leaving."""

from __future__ import annotations

import threading

import pytest
from textual import events
from textual.widgets import Static

from core.errors import EngineClosed, PortInUse, SettingsError
from core.settings import Settings
from tests.tui.conftest import screen_text, until
from tests.tui.scripted import ScriptedEngine, ScriptedServer
from tui.app import AssayApp
from tui.services import Services
from tui.state import ApiPhase, Phase


def notices(app: AssayApp) -> str:
    return "\n".join(notice.message for notice in app._notifications)


async def test_the_first_frame_is_there_before_the_engine(workbench: AssayApp, scripted: ScriptedEngine) -> None:
    may_open = threading.Event()
    open_at_once = workbench._opener

    def opener(settings: Settings) -> Services:
        assert may_open.wait(20)
        return open_at_once(settings)

    workbench._opener = opener
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "starting engine…" in screen_text(workbench))
        await pilot.press(*"typed before", "enter")
        await until(pilot, lambda: "The engine is still starting." in notices(workbench))
        await pilot.press(*"in lines")
        assert workbench.chat.input.composer.text == "typed before\nin lines"
        may_open.set()
        await until(pilot, lambda: workbench.state.phase is Phase.READY)
        assert "quick ○ qwen2-vl" in screen_text(workbench)


async def test_an_engine_that_cannot_start_is_explained_and_the_app_lives(workbench: AssayApp) -> None:
    def opener(settings: Settings) -> Services:
        raise EngineClosed("MLX cannot be imported [libmlx.so].")

    workbench._opener = opener
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase is Phase.FAILED)
        assert "MLX cannot be imported [libmlx.so]." in notices(workbench)
        await pilot.press("f2")
        assert workbench.face == "models"


async def test_function_keys_go_to_the_panes(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(80, 24)) as pilot:
        for key, face in (("f2", "models"), ("f4", "golden"), ("f5", "wire"), ("f3", "chat")):
            await pilot.press(key)
            await until(pilot, lambda face=face: workbench.face == face)
            shown = [pane.id for pane in workbench.query(".pane") if pane.display]
            assert shown == [face]


@pytest.mark.parametrize(("width", "panes"), [(89, 1), (90, 1), (139, 1), (140, 3), (200, 3)])
async def test_the_width_decides_how_many_panes_show(workbench: AssayApp, width: int, panes: int) -> None:
    async with workbench.run_test(size=(width, 40)) as pilot:
        await pilot.pause()
        assert sum(pane.display for pane in workbench.query(".pane")) == panes
        faces = workbench.query_one("#faces")
        assert faces.display is (width < 140)
        assert (faces.size.height == 1) is (width < 90)


async def test_another_width_rearranges_the_panes(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(160, 45)) as pilot:
        for width, panes in ((120, 1), (150, 3), (80, 1), (160, 3)):
            await pilot.resize_terminal(width, 30)
            await until(pilot, lambda panes=panes: sum(pane.display for pane in workbench.query(".pane")) == panes)
            assert workbench.query_one("#faces").display is (width < 140)


async def test_f_gives_a_pane_the_whole_width_and_takes_it_back(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(160, 45)) as pilot:
        await pilot.press("f2", "f")
        await until(pilot, lambda: workbench.models.size.width > 150)
        await pilot.press("f")
        await until(pilot, lambda: workbench.models.size.width < 80)


async def test_jumping_goes_by_a_letter(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(160, 45)) as pilot:
        await until(pilot, lambda: workbench.state.phase is Phase.READY and workbench.golden.table.selected)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: len(workbench.screen_stack) == 2)
        await pilot.press("g")
        await until(pilot, lambda: workbench.focused is workbench.golden.table.rows)


async def test_f1_shows_the_keys_and_the_log(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 60)) as pilot:
        await pilot.press("f1")
        await until(pilot, lambda: "Start or stop the local API" in screen_text(workbench))
        log = workbench.screen.query("Static").last(Static)
        assert str(log.content).endswith("assay.log")
        await pilot.press("escape")
        await until(pilot, lambda: len(workbench.screen_stack) == 1)


async def test_the_palette_runs_an_action_of_another_pane(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase is Phase.READY and workbench.models.table.selected)
        (rescan,) = [command for command in workbench.get_system_commands(workbench.screen) if "Rescan" in command[0]]
        workbench.call_later(rescan.callback)
        await until(pilot, lambda: "8 models on disk." in notices(workbench))
        assert workbench.face == "models"


async def test_brackets_in_a_notice_are_no_markup(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40), notifications=True) as pilot:
        workbench.chat.notify("bad path [/tmp/x] [bold]")
        await until(pilot, lambda: "bad path [/tmp/x] [bold]" in screen_text(workbench))


async def test_f9_switches_between_dark_and_light(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await pilot.press("f9")
        await until(pilot, lambda: not workbench.current_theme.dark)
        await pilot.press("f9")
        await until(pilot, lambda: workbench.current_theme.dark)


# -- the API ----------------------------------------------------------------------------------------------------------


async def test_ctrl_t_starts_and_stops_the_api(workbench: AssayApp, server: ScriptedServer) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase is Phase.READY)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "API ● 127.0.0.1:8484" in screen_text(workbench))
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "API ○ off" in screen_text(workbench))
        assert server.stopped == 1


async def test_keys_of_the_api_while_it_starts_or_stops_say_so_and_do_nothing(
    workbench: AssayApp, server: ScriptedServer
) -> None:
    server.may_go.clear()
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase is Phase.READY)
        await pilot.press("ctrl+t", "ctrl+t", "f6")
        await until(pilot, lambda: notices(workbench).count("The API is still starting.") == 2)
        server.may_go.set()
        await until(pilot, lambda: workbench.state.api is ApiPhase.ON)
        assert server.started_on == [None]
        server.may_go.clear()
        await pilot.press("ctrl+t", "ctrl+t", "f6")
        await until(pilot, lambda: notices(workbench).count("The API is still stopping") == 2)
        server.may_go.set()
        await until(pilot, lambda: workbench.state.api is ApiPhase.OFF)
        assert (server.started_on, server.stopped) == ([None], 1)


async def test_a_question_about_the_api_is_asked_once(workbench: AssayApp, server: ScriptedServer) -> None:
    server.error = PortInUse("Port 8484 on 127.0.0.1 is in use by another program.", 8484, 8485)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase is Phase.READY)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "Use 8485" in screen_text(workbench))
        await pilot.press("ctrl+t", "ctrl+t", "f6", "ctrl+o")
        await pilot.pause()
        assert len(workbench.screen_stack) == 2
        await pilot.press("f1", "ctrl+t")  # the list of keys tells those of the question
        await until(pilot, lambda: "A question  works now" in screen_text(workbench))
        await pilot.press("escape", "y")
        await until(pilot, lambda: workbench.state.api is ApiPhase.ON)
        assert server.started_on == [None, 8485]


async def test_a_port_in_use_offers_a_free_one(workbench: AssayApp, server: ScriptedServer) -> None:
    server.error = PortInUse("Port 8484 on 127.0.0.1 is in use by another program.", 8484, 8485)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase is Phase.READY)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "Port 8484 on 127.0.0.1 is in use" in screen_text(workbench))
        assert "Use 8485" in screen_text(workbench)
        await pilot.press("y")
        await until(pilot, lambda: "API ● 127.0.0.1:8485" in screen_text(workbench))
        assert server.started_on == [None, 8485]


async def test_an_api_that_cannot_start_is_a_notice(workbench: AssayApp, server: ScriptedServer) -> None:
    server.error = SettingsError("The API cannot listen on '[nowhere]'.")
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase is Phase.READY)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "'[nowhere]'" in notices(workbench))
        assert workbench.state.api is ApiPhase.OFF


async def test_stopping_asks_only_while_requests_run(workbench: AssayApp, server: ScriptedServer) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase is Phase.READY)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: workbench.state.api is ApiPhase.ON)
        server.record.open("r1", client="curl", protocol="openai", method="POST", path="/v1/chat/completions")
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "1 request is being answered" in screen_text(workbench))
        await pilot.press("escape")
        await until(pilot, lambda: len(workbench.screen_stack) == 1)
        assert workbench.state.api is ApiPhase.ON
        await pilot.press("ctrl+t")
        await until(pilot, lambda: len(workbench.screen_stack) == 2)
        await pilot.press("y")
        await until(pilot, lambda: workbench.state.api is ApiPhase.OFF)


async def test_the_panel_shows_key_and_programs_and_copies_them(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase is Phase.READY)
        await pilot.press("f6")
        await until(pilot, lambda: "The API is off" in notices(workbench))
        await pilot.press("ctrl+t")
        await until(pilot, lambda: workbench.state.api is ApiPhase.ON)
        await pilot.press("f6")
        await until(pilot, lambda: "assay-scripted-key" in screen_text(workbench))
        await pilot.press("right", "right", "c")  # openai, responses, anthropic
        await until(pilot, lambda: "from anthropic import Anthropic" in workbench.clipboard)
        await pilot.press("k")
        await until(pilot, lambda: workbench.clipboard == "assay-scripted-key")


async def test_the_key_that_opens_a_screen_closes_it_and_none_opens_over_another(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase is Phase.READY)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: workbench.state.api is ApiPhase.ON)
        for key in ("f1", "f6"):
            await pilot.press(key)
            await until(pilot, lambda: len(workbench.screen_stack) == 2)
            await pilot.press("ctrl+o")
            await pilot.pause()
            assert len(workbench.screen_stack) == 2
            await pilot.press(key)
            await until(pilot, lambda: len(workbench.screen_stack) == 1)


# -- leaving ----------------------------------------------------------------------------------------------------------


async def test_ctrl_q_stops_answers_the_api_and_the_engine(
    workbench: AssayApp, scripted: ScriptedEngine, server: ScriptedServer
) -> None:
    scripted.held = True
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase is Phase.READY and workbench.chat.bar._models)
        await pilot.press(*"hello", "enter")
        await until(pilot, lambda: workbench.chat.busy)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: scripted.closed and workbench._exit)
    assert scripted.generations[0].cancelled
    assert server.stopped == 1


async def test_an_engine_that_does_not_end_is_left_behind(
    workbench: AssayApp, scripted: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.lifecycle.CLOSE_WITHIN_S", 0.05)
    never = threading.Event()
    scripted.close = lambda drain_s=0.0: never.wait(20)  # type: ignore[assignment, method-assign]
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase is Phase.READY)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: workbench._exit)
    assert workbench.left_behind, "the process does not wait for it"
    never.set()


async def test_asked_twice_it_leaves_at_once_when_the_chat_is_on_disk(
    workbench: AssayApp, scripted: ScriptedEngine
) -> None:
    closing, never = threading.Event(), threading.Event()

    def close(drain_s: float = 0.0) -> None:
        closing.set()
        never.wait(20)

    scripted.close = close  # type: ignore[method-assign]
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase is Phase.READY)
        await pilot.press("ctrl+q")
        await until(pilot, closing.is_set)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: workbench._exit)
    assert workbench.left_behind
    never.set()


async def test_keys_typed_ahead_of_the_screen_go_where_they_were_meant(workbench: AssayApp) -> None:
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: workbench.state.phase is Phase.READY and workbench.models.table.selected)
        await pilot.press("f2")
        workbench.post_message(events.Key("f3", None))
        workbench.post_message(events.Key("x", "x"))
        await until(pilot, lambda: workbench.chat.input.composer.text == "x")
