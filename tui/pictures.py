"""Pictures for the documentation: `python -m tui.pictures docs/images` runs the workbench over the pocket models.

Nothing in them is made up: the engine is real, and so are the answers, the verdicts and the requests over the API.

`python -m tui.pictures FOLDER --faces --size 80x24 --theme assay-light` draws every face of the workbench instead, for
somebody who wants to look at them all, and --golden every state of the golden pane; --size and --theme may be repeated.
One of the chats is written for that, and the Hub is that of the tests, with pocket models (so it needs the repository,
not only the package).
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

os.environ["ASSAY_HALF_CELLS"] = "1"  # an SVG has no Kitty graphics; set before anything imports textual-image

from tui.camera import Camera, keep, until

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from tests.hub import Hub
    from tui.app import AssayApp

WIDE, MIDDLE, NARROW = (160, 45), (120, 36), (80, 24)
EVERY_SIZE = (NARROW, (120, 40), WIDE, (220, 60))

CACHED = "someone/qwen3"
"""A model that the pictures of every face show in the cache."""
QUESTION = "What does this picture show, and how would I draw it?"
ANSWER = """## A picture of one shape

It shows a **green triangle** on *white*; `polygon` draws it, see [Pillow](https://pillow.readthedocs.io).

| corner | x | y |
| --- | ---: | ---: |
| left | 60 | 210 |
| top | 130 | 70 |

1. Make an image.
2. Draw the polygon:

```python
draw = ImageDraw.Draw(picture)  # a pen
draw.polygon([(60, 210), (130, 70), (200, 210)], fill="green")
```

> Its corners are not in the middle.
"""


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
    own = {"data_dir": folder / "data", "cache_dir": folder / "kept", "hf_cache": cache}
    return AssayApp(lambda: load_settings(**own, port=0))


async def _chat_about(pilot: Pilot[None], app: AssayApp, image: Path) -> None:
    await pilot.press("f3")
    app.chat.input.attach_files([image])
    await until(pilot, lambda: app.chat.input.attachments.images)
    app.chat.input.composer.insert("What shape do you see and what color is it?")
    await pilot.press("enter")
    await until(pilot, lambda: len(app.chat.conversation.turns) == 2)


async def _ask_over_the_api(pilot: Pilot[None], app: AssayApp) -> None:
    """One request by each protocol; they are in the wire record when this returns."""
    import httpx

    key = app._services.server.key if app._services else ""
    headers = {"Authorization": f"Bearer {key}"}
    body = {"model": "pocket/qwen3", "max_tokens": 64, "messages": [{"role": "user", "content": "Hello!"}]}
    other = {"model": "pocket/qwen3", "max_output_tokens": 64, "input": "Hello!"}
    async with httpx.AsyncClient(base_url=app.state.api_url, headers=headers, timeout=60) as client:
        requests = (("chat/completions", body), ("responses", other), ("messages", body))
        for path, asked in requests:
            (await client.post(f"/v1/{path}", json=asked)).raise_for_status()
    await until(pilot, lambda: app.wire.table.rows.row_count == len(requests))


async def take(target: Path) -> None:
    """Take all pictures into `target`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = folder / "triangle.png"
        await asyncio.to_thread(_draw, image)
        app = _new_app(folder)
        async with app.run_test(size=WIDE) as pilot:
            await until(pilot, lambda: app.state.phase == "ready" and app.models.table.selected)
            await _chat_about(pilot, app, image)
            await pilot.press("f4", "R")
            await until(pilot, lambda: all(cell.attempt for cell in app.golden._board.cells.values()))
            app.golden.table.select("vision/compare_images")
            await until(pilot, lambda: len(app.golden.query("HalfcellImage")) == 2)
            await pilot.press("f3", "ctrl+t")
            await until(pilot, lambda: app.state.api == "on")
            keep(app, target, "workbench")
            await pilot.resize_terminal(*MIDDLE)
            await until(pilot, lambda: app.chat.region.width > 90)
            keep(app, target, "chat")
            await pilot.press("f4")
            await until(pilot, lambda: app.face == "golden")
            keep(app, target, "golden")
            await pilot.press("f5")
            await _ask_over_the_api(pilot, app)
            keep(app, target, "wire")
            await pilot.resize_terminal(*NARROW)
            await pilot.press("f2")
            await until(pilot, lambda: app.models.region.width == NARROW[0])
            keep(app, target, "models")
            await pilot.press("ctrl+q")
            await until(pilot, lambda: app._exit)


def _save_a_chat(data_dir: Path, image: Path) -> None:
    """A chat that shows all of Markdown, as if it had been said."""
    from core.calls.requests import Message, Role
    from core.chats.history import History
    from core.chats.tree import Turn
    from core.media.images import read_image
    from tui.chat.saver import history_file

    data_dir.mkdir()
    with History(history_file(data_dir)) as history:
        chat = history.start(QUESTION, "pocket/qwen2-vl").id
        history.add(chat, Turn(Message.text(Role.USER, QUESTION, read_image(image))))
        history.add(chat, Turn(Message.text(Role.ASSISTANT, ANSWER), "pocket/qwen2-vl"))


def _put_into_cache(cache: Path) -> None:
    """A pocket model as if it had been downloaded, in two revisions that differ in the model's card."""
    from core.hub.cache import publish, repository_folder
    from core.hub.repository import RemoteFile
    from core.pocket import POCKET_MODELS

    source = next(model.folder for model in POCKET_MODELS if model.id == "pocket/qwen3")
    blobs = repository_folder(cache, CACHED) / "blobs"
    blobs.mkdir(parents=True)
    whole = {file.name: file.read_bytes() for file in source.iterdir() if file.is_file()}
    for revision, card in (("old", b"A card."), ("main", b"A longer card.")):
        files = []
        for name, data in (whole | {"README.md": card}).items():
            digest = hashlib.sha256(data).hexdigest()
            (blobs / digest).write_bytes(data)
            files.append(RemoteFile(name, len(data), digest))
        publish(cache, CACHED, hashlib.sha1(card).hexdigest(), tuple(files), revision)


async def _faces(camera: Camera, image: Path) -> None:
    """Every face of a workbench that has just started, one after the other."""
    from tui.widgets.rows import Rows

    app, pilot = camera.app, camera.pilot
    await camera.keep("chat-empty")
    await camera.keep_opened("saved-chats", "ctrl+l", lambda: app.screen.query_one(Rows).row_count)
    await pilot.press("ctrl+l")
    await until(pilot, lambda: len(app.screen_stack) == 2 and app.screen.query_one(Rows).row_count)
    await pilot.press("enter")
    await until(pilot, lambda: len(app.chat.conversation.turns) == 2)
    await camera.keep("chat")
    app.chat.input.attach_files([image])
    await until(pilot, lambda: app.chat.input.query("HalfcellImage"))
    app.chat.input.composer.insert("What shape do you see and what color is it?")
    await camera.keep("chat-attached")
    await pilot.press("enter")
    await until(pilot, lambda: len(app.chat.conversation.turns) == 4)
    await camera.keep("chat-answered")
    await camera.keep_opened("settings", "ctrl+s")
    await camera.keep_opened("keys", "f1")
    await camera.keep_opened("jump", "ctrl+o")
    await camera.keep_opened("palette", "ctrl+p")
    await pilot.press("f2")
    await camera.keep("models")
    app.models.table.select(CACHED)
    while app.models.order.column != "size":
        await pilot.press("s")
    await camera.keep("models-sorted")
    await camera.keep_opened("models-delete", "x")

    board = app.golden._board
    await pilot.press("f4")
    await camera.keep("golden-before")
    await pilot.press("R")
    await until(pilot, lambda: board.ended()[0] > 3)
    await camera.keep("golden-while")
    await until(pilot, lambda: not app.golden.busy)
    app.golden.table.select("vision/compare_images")
    await until(pilot, lambda: len(app.golden.query("HalfcellImage")) == 2)
    await camera.keep("golden-after")
    await pilot.press("f")
    await camera.keep("golden-maximised")
    await pilot.press("f")
    await camera.keep_opened("picture", "v", lambda: app.screen.query("HalfcellImage"))

    await pilot.press("f5")
    await camera.keep("wire-off")
    await pilot.press("ctrl+t")
    await until(pilot, lambda: app.state.api == "on")
    await _ask_over_the_api(pilot, app)
    await camera.keep("wire")
    await camera.keep_opened("api", "f6")


def _new_hub() -> Hub:
    """A Hub on loopback with pocket models, one of them gated, and one that fits nowhere."""
    import json

    from tests.hub import File, Hub, Repository, pocket_repository

    small = pocket_repository("qwen3", downloads=1_234_567, likes=777, licence="apache-2.0")
    small.commits[0]["README.md"] = File(f"---\nlicense: mit\n---\n{ANSWER}".encode())
    gated = pocket_repository("gemma3", downloads=90_000, likes=70, licence="gemma", gated="manual")
    config = json.loads(small.commits[0]["config.json"].content) | {"num_hidden_layers": 500_000, "head_dim": 512}
    huge = small.commits[0] | {"config.json": File(json.dumps(config).encode())}
    others = [
        Repository(f"mlx-community/Some-Model-{number}B-Instruct-4bit", small.commits, downloads=8_000 - number)
        for number in range(1, 60)
    ]
    return Hub(
        [
            small,
            pocket_repository("qwen2-vl", downloads=45_678, likes=99, licence="mit"),
            gated,
            Repository("mlx-community/Far-Too-Large-8bit", [huge], downloads=9_000),
            *others,
        ]
    )


async def _hub_faces(camera: Camera, hub: Hub) -> None:
    """The Hub view of the Models pane, from before the first search to downloads that are paused and stopped."""
    from tests.hub import Fault
    from tui.hub.card_view import CardView

    app, pilot, view = camera.app, camera.pilot, camera.app.models.hub

    def looked_at() -> bool:
        return view._search is not None and bool(view._search.known) and not view._search.looking

    await pilot.press("h")
    await camera.keep("hub-before")
    await pilot.press("slash", *"nothing like it", "enter")
    await until(pilot, lambda: view._search is not None and view._search.complete)
    await camera.keep("hub-nothing")
    await pilot.press("slash", "ctrl+u", "enter")
    await until(pilot, looked_at)
    await camera.keep("hub-found")
    await camera.keep_opened("hub-card", "enter", lambda: app.screen.query_one(CardView).virtual_size.height > 20)
    view.table.select("mlx-community/Far-Too-Large-8bit")
    await camera.keep("hub-does-not-fit")
    await camera.keep_opened("hub-does-not-fit-asked", "d")
    hub.faults["model.safetensors"] = slow = Fault(pace=(1 << 12, 0.05))
    view.table.select("mlx-community/qwen3")
    await pilot.press("d")
    view.table.select("mlx-community/qwen2-vl")
    await pilot.press("d")
    await until(pilot, lambda: sum(one.done > 200_000 for one in view.downloads.all) == 2)
    await camera.keep("hub-downloads")
    await camera.keep_opened("hub-leaving", "ctrl+q")
    await camera.keep_opened("hub-keys", "f1")
    await pilot.press("p")
    view.table.select("mlx-community/gemma3")
    await pilot.press("d")
    await until(pilot, lambda: {one.stage for one in view.downloads.all} >= {"paused", "failed"})
    await camera.keep("hub-stopped")
    await pilot.press("h")
    await camera.keep("models-with-downloads")
    await pilot.press("h", "t", "t")
    await until(pilot, looked_at)
    await camera.keep("hub-filtered")
    await pilot.press("escape", "h")
    slow.pace = None


async def take_faces(target: Path, size: tuple[int, int], themes: Sequence[str], hub: Hub) -> None:
    """Take a picture of every face at a size, in every theme."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = folder / "triangle.png"
        await asyncio.to_thread(_draw, image)
        await asyncio.to_thread(_save_a_chat, folder / "data", image)
        app = _new_app(folder)
        async with app.run_test(size=size) as pilot:
            camera = Camera(app, pilot, target, themes)
            await until(pilot, lambda: app.state.phase == "ready" and app.models.table.selected)
            await pilot.press("f2")
            await camera.keep("models-first-run")
            await asyncio.to_thread(_put_into_cache, folder / "cache")
            await pilot.press("r")
            await until(pilot, lambda: CACHED in app.models.table.keys)
            await _hub_faces(camera, hub)
            await pilot.press("f3")
            await _faces(camera, image)
            await pilot.press("ctrl+q", "ctrl+q")
            await until(pilot, lambda: app._exit)


def _size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)


def main() -> None:
    """Take the pictures into the folder that is named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tui.pictures", description="Take pictures of the workbench.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs/images"))
    parser.add_argument("--faces", action="store_true", help="every face, instead of the documentation's pictures")
    parser.add_argument("--golden", action="store_true", help="every state of the golden pane instead")
    parser.add_argument("--size", type=_size, action="append", metavar="WxH", help="of these two; may be repeated")
    parser.add_argument("--theme", action="append", metavar="NAME", help="of these two; may be repeated")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    if asked.faces:
        from tui.theme import DARK, LIGHT

        with _new_hub() as hub:
            os.environ["HF_ENDPOINT"] = hub.url  # read when huggingface_hub is imported
            for size in asked.size or EVERY_SIZE:
                asyncio.run(take_faces(asked.folder, size, asked.theme or (DARK.name, LIGHT.name), hub))
    elif asked.golden:
        from tui.pictures_golden import take_golden
        from tui.theme import DARK, LIGHT

        for size in asked.size or EVERY_SIZE:
            asyncio.run(take_golden(asked.folder, size, asked.theme or (DARK.name, LIGHT.name)))
    else:
        asyncio.run(take(asked.folder))


if __name__ == "__main__":
    main()
