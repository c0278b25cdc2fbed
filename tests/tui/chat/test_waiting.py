"""A request that waits for a model: what it waits for is on the screen, and escape takes it back at once."""

from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from core.engine import Engine
from core.mlx.runtimes import load_steps
from core.settings import Settings
from core.status import EngineStatus, LoadedModel, ModelState
from server.lifecycle import ApiServer
from tests.tui.conftest import FULL, QUICK, Furnished, screen_text, until
from tui.chat.waiting import load_ahead
from tui.services import Services


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


async def test_a_request_behind_a_slow_load_says_so_and_is_taken_back_at_once(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real engine, whose thread is inside a piece of a load for as long as the test likes."""
    reached, may_go = threading.Event(), threading.Event()

    def slowly(*arguments: Any) -> Generator[float, None, Any]:
        yield 0.63
        reached.set()
        assert may_go.wait(60)
        return (yield from load_steps(*arguments))

    monkeypatch.setattr("core.mlx.loads.load_steps", slowly)
    own = settings.model_copy(update={"data_dir": tmp_path / "data"})
    engine = Engine(own)
    app = Furnished(lambda: own, lambda _: Services(own, engine.start(), ApiServer(engine, own), QUICK, FULL))
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: app.state.phase == "ready" and app.chat.bar._models)
            app.models.load(FULL)
            await until(pilot, reached.is_set)
            await pilot.press(*"hello", "enter")
            await until(pilot, lambda: "behind the load of gemma3, 63 %" in screen_text(app), "what it waits for")
            await pilot.press("escape")
            await until(pilot, lambda: not app.chat.busy, "the end, while the load goes on")
            assert not may_go.is_set()
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
            may_go.set()
            await until(pilot, lambda: not app.models.busy)
    finally:
        may_go.set()
        engine.close()
