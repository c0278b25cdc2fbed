"""The workbench over the real engine and the pocket models: load, chat, golden prompts, the API, leave."""

from __future__ import annotations

from pathlib import Path

import httpx

from core.catalog import Catalog
from core.engine import Engine
from core.settings import Settings
from core.tiers import Tier
from server.lifecycle import ApiServer
from tests.tui.conftest import FULL, QUICK, Furnished, screen_text, until
from tests.tui.scripted import red_square
from tui.services import Services


async def test_one_engine_serves_chat_golden_prompts_and_the_api(
    engine: Engine, settings: Settings, catalog: Catalog, tmp_path: Path
) -> None:
    own = settings.model_copy(update={"data_dir": tmp_path / "data"})
    server = ApiServer(engine, own)

    class Borrowed(Services):
        def close(self) -> None:
            self.server.stop()  # the engine is the test run's

    app = Furnished(lambda: own, lambda _: Borrowed(own, engine, server, QUICK, FULL))
    async with app.run_test(size=(160, 45)) as pilot:
        await until(pilot, lambda: app.state.phase == "ready" and app.models.table.selected)

        await pilot.press("f2")
        app.models.table.select(QUICK)
        await pilot.press("q")
        await until(pilot, lambda: (loaded := app.state.loaded(QUICK)) and loaded.state == "ready", "the model")
        before = loads(engine)

        await pilot.press("f3")
        await app.chat.input.attachments.add(red_square())
        app.chat.input.composer.insert("What shape is this and what color is it?")
        await pilot.press("enter")
        await until(pilot, lambda: len(app.chat.conversation.turns) == 2, "the answer")
        answer = app.chat.conversation.turns[1]
        assert "red" in answer.message.plain_text.lower()
        assert answer.finished is not None
        assert answer.finished.usage.image_tokens > 0
        await until(pilot, lambda: "TTFT" in screen_text(app) or "first token after" in screen_text(app))

        await pilot.press("f4")
        app.golden.table.select("vision/describe_image#red")
        await pilot.press("r")
        cells = app.golden._board.cells
        await until(pilot, lambda: all(cells["vision/describe_image#red", tier].held for tier in Tier), "two verdicts")

        await pilot.press("ctrl+t")
        await until(pilot, lambda: app.state.api == "on", "the API")
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {server.key}"}) as client:
            body = {"model": QUICK, "max_tokens": 32, "messages": [{"role": "user", "content": "Hello!"}]}
            reply = await client.post(f"{app.state.api_url}/v1/chat/completions", json=body, timeout=60)
        assert reply.status_code == 200
        assert loads(engine) == before, "the client must find the model that the chat uses"
        await pilot.press("f5")
        await until(pilot, lambda: "1 in all" in screen_text(app) and "done" in screen_text(app), "the wire's row")

        await pilot.press("ctrl+q")
        await until(pilot, lambda: app._exit, "the end")
    assert not server.running


def loads(engine: Engine) -> int:
    """How often the quick model has been loaded in this process."""
    return next(model.loads for model in engine.status().models if model.id == QUICK)
