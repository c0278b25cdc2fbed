"""The engine dies under the workbench: it says why, keeps what there is, and starts it anew when it is told to."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.engine import Engine
from core.errors import EngineClosed
from core.settings import Settings
from server.lifecycle import ApiServer
from tests.tui.conftest import FULL, QUICK, Furnished, screen_text, until
from tests.tui.scripted import ScriptedEngine, answer
from tests.tui.test_app import notices
from tests.tui.test_stopping import footer
from tui.app import AssayApp
from tui.services import Services
from tui.state import Phase

WHY = "RuntimeError: the device is lost."


@pytest.mark.parametrize("width", [80, 120, 160])
async def test_it_says_why_and_starts_anew_with_a_key(
    workbench: AssayApp, scripted: ScriptedEngine, width: int
) -> None:
    async with workbench.run_test(size=(width, 24)) as pilot:
        await until(pilot, lambda: workbench.state.phase is Phase.READY)
        assert ("^]", "Start engine") not in footer(workbench)
        scripted.held = True
        scripted.script = lambda request: answer("one two three")
        await pilot.press("f3", *"hi", "enter")
        await until(pilot, lambda: workbench.chat.busy)
        scripted.release(2)
        await pilot.press(*"next")
        scripted.die(WHY)
        await until(pilot, lambda: "!engine stopped ^]" in screen_text(workbench))
        assert f"{WHY} ^] starts it anew. What is written and what came of answers is kept." in notices(workbench)
        await until(pilot, lambda: ("^]", "Start engine") in footer(workbench))
        await until(pilot, lambda: not workbench.chat.busy)
        assert workbench.chat.conversation.turns[-1].message.plain_text == "one"
        await pilot.press("ctrl+right_square_bracket")
        await until(pilot, lambda: "The engine is up again." in notices(workbench))
        assert scripted.starts == 1
        assert "engine stopped" not in screen_text(workbench)
        await until(pilot, lambda: ("^]", "Start engine") not in footer(workbench))
        assert workbench.chat.input.composer.text == "next"
        scripted.held = False
        await pilot.press("enter")
        await until(pilot, lambda: len(workbench.chat.conversation.turns) == 4 and not workbench.chat.busy)


async def test_one_that_did_not_start_is_tried_again(workbench: AssayApp) -> None:
    opens = workbench._opener

    def opener(settings: Settings) -> Services:
        workbench._opener = opens
        raise EngineClosed("MLX cannot be imported.")

    workbench._opener = opener
    async with workbench.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "the engine did not start: ^] tries again" in screen_text(workbench))
        await pilot.press("ctrl+right_square_bracket")
        await until(pilot, lambda: workbench.state.phase is Phase.READY)


async def test_the_real_engine_answers_in_the_same_chat_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = settings.model_copy(update={"data_dir": tmp_path / "data"})
    engine = Engine(own).start()
    app = Furnished(lambda: own, lambda _: Services(own, engine, ApiServer(engine, own), QUICK, FULL))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.state.phase is Phase.READY and app.chat.bar._models)
        from core.mlx.scheduler import Scheduler

        with monkeypatch.context() as patch:
            patch.setattr(Scheduler, "step", lambda scheduler: 1 / 0)
            await pilot.press(*"hello", "enter")
            await until(pilot, lambda: app.state.down and not app.chat.busy, "the engine's end")
        assert "ZeroDivisionError: division by zero. ^] starts it anew." in notices(app)
        await pilot.press("ctrl+right_square_bracket")
        await until(pilot, lambda: app.state.phase is Phase.READY, "the engine's start")
        if not app.chat.input.composer.text:
            await pilot.press(*"hello")
        await pilot.press("enter")
        await until(
            pilot, lambda: not app.chat.busy and app.chat.conversation.turns[-1].message.plain_text, "an answer"
        )
        assert app.chat.conversation.turns[-1].message.role == "assistant"
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app._exit, "the end")
