"""Pictures for the documentation: `python -m tui.pictures docs/images` runs the workbench over the pocket models.

Nothing in them is made up: the engine is real, and so are the answers, the verdicts and the requests over the API.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

os.environ["ASSAY_HALF_CELLS"] = "1"  # an SVG has no Kitty graphics; set before anything imports textual-image

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from tui.app import AssayApp

WIDE, MIDDLE, NARROW = (160, 45), (120, 36), (80, 24)
DEADLINE_S = 120.0


async def _until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    give_up = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > give_up:
            raise TimeoutError("A screen that the pictures need has not come.")
        await pilot.pause(0.05)
    await pilot.pause(0.3)


def _draw(file: Path) -> None:
    """A picture that no model was trained on: a green triangle, off the middle."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(picture).polygon([(60, 210), (130, 70), (200, 210)], fill=(0, 150, 60))
    picture.save(file)


def _new_app(folder: Path) -> AssayApp:
    from core.settings import load_settings
    from tui.app import AssayApp

    cache = folder / "cache"
    cache.mkdir(exist_ok=True)
    return AssayApp(lambda: load_settings(data_dir=folder / "data", hf_cache=cache, port=0))


def _keep(app: AssayApp, target: Path, name: str) -> None:
    app.clear_notifications()
    (target / f"{name}.svg").write_text(app.export_screenshot(title="assay"), encoding="utf-8")
    print(target / f"{name}.svg")  # noqa: T201


async def _chat_about(pilot: Pilot[None], app: AssayApp, image: Path) -> None:
    await pilot.press("f3")
    app.chat.input.attach_files([image])
    await _until(pilot, lambda: app.chat.input.attachments.images)
    app.chat.input.composer.insert("What shape do you see and what color is it?")
    await pilot.press("enter")
    await _until(pilot, lambda: len(app.chat.conversation.turns) == 2)


async def _ask_over_the_api(app: AssayApp) -> None:
    """One request by each protocol."""
    import httpx

    key = app._services.server.key if app._services else ""
    headers = {"Authorization": f"Bearer {key}"}
    body = {"model": "pocket/qwen3", "max_tokens": 64, "messages": [{"role": "user", "content": "Hello!"}]}
    async with httpx.AsyncClient(base_url=app.state.api_url, headers=headers, timeout=60) as client:
        for path in ("/v1/chat/completions", "/v1/messages"):
            (await client.post(path, json=body)).raise_for_status()


async def take(target: Path) -> None:
    """Take all pictures into `target`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = folder / "triangle.png"
        await asyncio.to_thread(_draw, image)
        app = _new_app(folder)
        async with app.run_test(size=WIDE) as pilot:
            await _until(pilot, lambda: app.state.phase == "ready" and app.models.table.selected)
            await _chat_about(pilot, app, image)
            await pilot.press("f4", "R")
            await _until(pilot, lambda: all(cell.attempt for cell in app.golden._board.cells.values()))
            app.golden.table.select("vision/compare_images")
            await _until(pilot, lambda: len(app.golden.query("HalfcellImage")) == 2)
            await pilot.press("f3", "ctrl+t")
            await _until(pilot, lambda: app.state.api == "on")
            _keep(app, target, "workbench")
            await pilot.resize_terminal(*MIDDLE)
            await _until(pilot, lambda: app.chat.region.width > 90)
            _keep(app, target, "chat")
            await pilot.press("f4")
            await _until(pilot, lambda: app.face == "golden")
            _keep(app, target, "golden")
            await _ask_over_the_api(app)
            await pilot.press("f5")
            await _until(pilot, lambda: app.wire.table.rows.row_count == 2)
            _keep(app, target, "wire")
            await pilot.resize_terminal(*NARROW)
            await pilot.press("f2")
            await _until(pilot, lambda: app.models.region.width == NARROW[0])
            _keep(app, target, "models")
            await pilot.press("ctrl+q")
            await _until(pilot, lambda: app._exit)


def main() -> None:
    """Take the pictures into the folder that is named on the command line."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images")
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(target))


if __name__ == "__main__":
    main()
