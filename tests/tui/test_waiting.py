"""A request that waits for a model: what it waits for is on the screen, and escape takes it back at once."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from core.engine import Engine
from core.mlx.runtimes import load_steps
from core.settings import Settings
from core.status import EngineStatus, LoadedModel, ModelState
from server.lifecycle import ApiServer
from tests.tui.conftest import FULL, QUICK, Furnished, screen_text, until
from tests.tui.test_stopping import footer
from tui.services import Services
from tui.waiting import coming, load_ahead


def status(*models: tuple[str, float]) -> EngineStatus:
    coming = [LoadedModel(name, ModelState.LOADING, progress) for name, progress in models]
    return EngineStatus(True, "cpu", (LoadedModel("there", ModelState.READY), *coming))


def test_a_load_is_named_with_its_progress() -> None:
    assert load_ahead(None, "a/x") == load_ahead(status(), "a/x") == ""
    assert load_ahead(status(("a/x", 0.4)), "a/x") == "loading x, 40 %"
    assert load_ahead(status(("a/y", 0.63), ("a/x", 0.0)), "a/x") == "behind the load of y, 63 %"
    assert (
        load_ahead(status(("a/y", 0.63), ("a/z", 0.0), ("a/x", 0.0)), "a/x") == "behind the load of y, 63 %, and 1 more"
    )
    assert load_ahead(status(("a/y", 0.63)), "there") == "behind the load of y, 63 %"


def test_a_load_that_is_given_up_says_so() -> None:
    stops = EngineStatus(
        True, "cpu", (LoadedModel("a/y", ModelState.STOPPING, 0.63), LoadedModel("a/x", ModelState.LOADING, 0.0))
    )
    assert load_ahead(stops, "a/y") == "stopping the load of y"
    assert load_ahead(stops, "a/x") == "behind the load of y, which is stopping"
    assert [coming(stops, name) for name in ("a/y", "a/x", "there")] == ["stopping", "queued", ""]
    assert coming(status(("a/y", 0.63)), "a/y") == "loading"


class Held:
    """A workbench over the real engine, whose thread is inside a piece of a load for as long as the test likes."""

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may_begin, self.reached, self.may_go = threading.Event(), threading.Event(), threading.Event()
        monkeypatch.setattr("core.mlx.loads.load_steps", self.steps)
        self.engine = engine = Engine(settings)
        self.app = Furnished(
            lambda: settings, lambda _: Services(settings, engine.start(), ApiServer(engine, settings), QUICK, FULL)
        )

    def steps(self, *arguments: Any) -> Generator[float, None, Any]:
        assert self.may_begin.wait(60)
        yield 0.63
        self.reached.set()
        assert self.may_go.wait(60)
        return (yield from load_steps(*arguments))


@pytest.fixture
def held(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    bench = Held(settings.model_copy(update={"data_dir": tmp_path / "data"}), monkeypatch)
    try:
        yield bench
    finally:
        bench.may_begin.set()
        bench.may_go.set()
        bench.engine.close()


async def test_a_request_behind_a_slow_load_says_so_and_is_taken_back_at_once(held: Held) -> None:
    app = held.app
    held.may_begin.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.state.phase == "ready" and app.chat.bar._models)
        app.models.load(FULL)
        await until(pilot, held.reached.is_set)
        await pilot.press(*"hello", "enter")
        await until(pilot, lambda: "behind the load of gemma3, 63 %" in screen_text(app), "what it waits for")
        await pilot.press("escape")
        await until(pilot, lambda: not app.chat.busy, "the end, while the load goes on")
        assert not held.may_go.is_set()
        assert app.models.busy
        await until(pilot, lambda: app.chat.input.composer.text == "hello", "the question")
        assert app.chat.conversation.turns == []
        assert app.chat.transcript.turns == []
        assert not app.chat.border_subtitle
        assert "Ask the model something." in screen_text(app)

        await pilot.press("enter")
        await until(pilot, lambda: app.chat.busy)
        await pilot.press(*"next", "escape")
        await until(pilot, lambda: "stopped before its first word" in screen_text(app))
        assert app.chat.input.composer.text == "next"
        held.may_go.set()
        await until(pilot, lambda: not app.models.busy)


async def test_models_on_their_way_are_called_so_and_a_load_that_is_given_up_stops(held: Held) -> None:
    app = held.app

    def row(model: str) -> str:
        return next((line for line in screen_text(app).splitlines() if model in line), "")

    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.state.phase == "ready" and app.chat.bar._models and app.golden.table.selected)
        for model in (FULL, QUICK):
            app.models.load(model)
        await until(pilot, lambda: app.models._coming == [FULL, QUICK])
        held.may_begin.set()
        await until(pilot, held.reached.is_set)
        await pilot.press("f4", "r")
        await until(pilot, lambda: "behind the load of gemma3, 63 %" in screen_text(app), "what the run waits for")
        await pilot.press("f2")
        await until(pilot, lambda: "loading" in row(FULL) and "queued" in row(QUICK))
        assert "loaded" not in row(FULL) + row(QUICK)
        app.models.table.select(FULL)
        await until(pilot, lambda: "loading · 63 %" in screen_text(app))
        assert "on its way into memory" in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: "stopping" in row(FULL), "that it stops, while the thread hears nothing")
        assert any("Stopping the load of pocket/gemma3" in notice.message for notice in app._notifications)
        await pilot.press("f4")
        await until(pilot, lambda: "behind the load of gemma3, which is stopping" in screen_text(app))
        await pilot.press("ctrl+g")
        held.may_go.set()
        await until(pilot, lambda: not app.models.busy)
        assert FULL not in {model.id for model in held.engine.status().models}


async def shown(held: Held, pilot: Pilot[None], *, asked_elsewhere: bool) -> None:
    """A golden run waits for one of its models, the other one is in memory."""
    app = held.app
    await until(pilot, lambda: app.state.phase == "ready" and app.chat.bar._models and app.golden.table.selected)
    held.may_begin.set()
    held.may_go.set()
    app.models.load(QUICK)
    await until(pilot, lambda: (there := app.state.loaded(QUICK)) and there.state is ModelState.READY)
    held.reached.clear()
    held.may_go.clear()
    if asked_elsewhere:
        app.models.load(FULL)
        await until(pilot, held.reached.is_set)
    app.golden.table.select("vision/describe_image#red")
    await pilot.press("f4", "r")
    await until(pilot, lambda: "loading gemma3, 63 %" in screen_text(app), "which load the run waits for")


async def test_a_run_names_its_load_and_gives_it_up_when_it_is_stopped(held: Held) -> None:
    app = held.app
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(held, pilot, asked_elsewhere=False)
        await until(pilot, lambda: ("^\\", "Stop load") in footer(app), "the key that gives the load up")
        await pilot.press("escape")
        await until(pilot, lambda: not app.golden.busy)
        held.may_go.set()
        await until(pilot, lambda: app.state.loaded(FULL) is None, "that nothing is loaded any more")
        await until(pilot, lambda: not any("Stop" in label for _, label in footer(app)))
        assert app.state.loaded(QUICK)


async def test_a_load_that_others_wait_for_outlives_the_run(held: Held) -> None:
    app = held.app
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(held, pilot, asked_elsewhere=True)
        await pilot.press("escape")
        await until(pilot, lambda: not app.golden.busy)
        held.may_go.set()
        await until(pilot, lambda: (there := app.state.loaded(FULL)) and there.state is ModelState.READY)


async def test_the_load_of_a_question_that_was_taken_back_has_a_key(held: Held) -> None:
    app = held.app
    held.may_begin.set()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.state.phase == "ready" and app.chat.bar._models)
        await pilot.press(*"hello", "enter")
        await until(pilot, held.reached.is_set)
        await pilot.press("escape")
        await until(pilot, lambda: not app.chat.busy)
        await until(pilot, lambda: ("^\\", "Stop load") in footer(app))
        await pilot.press("ctrl+backslash")
        held.may_go.set()
        await until(pilot, lambda: not held.engine.status().models)
        await until(pilot, lambda: not any("Stop" in label for _, label in footer(app)))
