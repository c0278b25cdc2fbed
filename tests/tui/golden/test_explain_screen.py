"""Why two answers differ, in the pane, over the real engine and pocket models."""

from __future__ import annotations

from pathlib import Path

from core.engine import Engine
from core.settings import Settings
from server.lifecycle import ApiServer
from tests.tui.conftest import FULL, QUICK, Furnished, screen_text, until
from tests.tui.golden.own_suite import run_all, write_suite
from tui.services import Services


async def test_where_quick_and_full_part(engine: Engine, settings: Settings, tmp_path: Path) -> None:
    own = settings.model_copy(update={"data_dir": tmp_path / "data"})
    server = ApiServer(engine, own)

    class Borrowed(Services):
        def close(self) -> None:
            self.server.stop()  # the engine is the test run's

    folder = write_suite(tmp_path / "mine")
    (folder / "golden.toml").write_text('[tiers]\nquick = "pocket/qwen2-vl"\nfull = "pocket/gemma3"\n')
    (folder / "odd[").mkdir()
    (folder / "odd[" / "i].txt").write_text("What is the capital of France?")  # its name would be markup
    app = Furnished(lambda: own, lambda _: Borrowed(own, engine, server, QUICK, FULL))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.state.phase == "ready" and app.golden.table.selected)
        app.golden.open_suite(folder)
        await until(pilot, lambda: app.golden.table.keys == ["capital", "shape", "odd[/i]"])
        await pilot.press("f4")
        await run_all(pilot, app)
        app.golden.table.select("odd[/i]")
        await pilot.press("d")
        await until(pilot, lambda: "How likely is" in screen_text(app), "the explanation")
        assert "│  odd[/i]" in screen_text(app)
        await pilot.press("escape")
        app.golden.table.select("capital")
        await pilot.press("d")
        await until(pilot, lambda: "How likely is" in screen_text(app), "the explanation")
        assert "bits/byte" in screen_text(app)
        assert "pocket/gemma3" in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        await pilot.press("enter")
        await until(pilot, lambda: len(app.screen_stack) == 2, "the case in full")
        await pilot.press("d")
        await until(pilot, lambda: "How likely is" in screen_text(app), "the explanation over it")
