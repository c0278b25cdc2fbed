"""What the pane says of the disk, and how models are thrown away from it: over a real cache of small models."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from core.calls.requests import Message, Role, TextPart
from core.catalog import Catalog
from core.catalog.in_use import hold
from core.chats.history import FILE, History
from core.chats.tree import Turn
from core.errors import EngineError
from core.hub.disk import Disk, read_disk
from core.hub.downloads import Downloads
from core.hub.records import alone
from core.settings import Settings
from tests.hub import Fault, File, Hub, Repository, pocket_repository
from tests.tui.conftest import FULL, QUICK, Furnished, screen_text, until
from tests.tui.scripted import ScriptedEngine, ScriptedServer
from tui.app import AssayApp
from tui.figures import size_in_words
from tui.models.delete_screen import DeleteScreen
from tui.models.detail import ModelDetail
from tui.models.on_disk import OnDisk
from tui.models.totals import Sum, totals
from tui.services import Services
from tui.widgets.row_table import RowTable

MODEL, COPY = "mlx-community/qwen3", "me/copy"


class RealCatalogEngine(ScriptedEngine):
    """The scripted engine over the models that are really there."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(catalog=Catalog(settings))  # type: ignore[arg-type]


def download(settings: Settings, *models: str) -> None:
    downloads = Downloads(settings)
    for name in models:
        downloads.wait(downloads.add(name), 30)


@pytest.fixture
def two_revisions(hub: Hub, hub_settings: Settings) -> None:
    download(hub_settings, MODEL)
    files = hub.repositories[MODEL].commits[0]
    other = pocket_repository("gemma3").commits[0]["model.safetensors"]
    hub.repositories[MODEL].commits.append(files | {"model.safetensors": other})
    download(hub_settings, MODEL)


@pytest.fixture
def twice(hub: Hub, hub_settings: Settings) -> None:
    files = hub.repositories[MODEL].commits[0]
    hub.add(Repository(COPY, [files | {"config.json": File(files["config.json"].content + b"\n")}]))
    download(hub_settings, MODEL, COPY)


def start(settings: Settings, quick: str = QUICK) -> Furnished:
    engine = RealCatalogEngine(settings)
    app = Furnished(
        lambda: settings,
        lambda own: Services(own, engine, ScriptedServer(), quick, FULL),  # type: ignore[arg-type]
    )
    app.animation_level = "none"
    return app


def notices(app: AssayApp) -> str:
    return "\n".join(notice.message for notice in app._notifications)


def detail(app: AssayApp) -> str:
    return str(app.models.query_one(ModelDetail).content)


def told(app: AssayApp) -> str:
    return str(app.models.query_one("#model-detail-scroll").border_title).strip()


def free(app: AssayApp) -> bool:
    """Whether the disk has been looked at."""
    return "free" in told(app)


async def opened(pilot: Pilot[None], app: AssayApp, model: str = MODEL) -> None:
    await until(pilot, lambda: app.state.phase == "ready" and app.models.table.selected, "the list")
    await pilot.press("f2")
    await until(pilot, lambda: free(app), "the disk")
    app.models.table.select(model)
    await until(pilot, lambda: app.models.selected is not None and app.models.selected.id == model)


async def asked(pilot: Pilot[None], app: AssayApp) -> DeleteScreen:
    await pilot.press("x")
    await until(pilot, lambda: isinstance(app.screen, DeleteScreen) or notices(app), notices(app))
    assert isinstance(app.screen, DeleteScreen), notices(app)
    return app.screen


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """As if another program had the folder loaded."""
    end = hold(folder)
    try:
        yield
    finally:
        end()


async def test_the_line_below_the_list_adds_up(hub_settings: Settings, two_revisions: None) -> None:
    app = start(hub_settings)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        count = len(app.models._models)
        taken = read_disk(hub_settings).size_bytes
        assert told(app).startswith(f"{count} models, ")
        assert f"the cache takes {taken / 1e6:.0f} MB" in told(app) or f"{taken / 1e6:.1f} MB" in told(app)
        assert "412 GB free" in told(app)
        await pilot.press("slash", *"mlx-community")
        await until(pilot, lambda: told(app).startswith(f"1 of {count} models, "))


def test_what_it_all_adds_up_to_is_said_in_the_room_that_there_is() -> None:
    disk = OnDisk(Disk(Path("/cache"), (), (), 412 * 10**9), {}, {}, {}, {})
    every, some = Sum(2000, 10**12), Sum(1, 5 * 10**9)
    for on_disk in (None, disk):
        lines = [totals(shown, every, on_disk, room) for room in range(18, 120) for shown in (every, some)]
        assert all(len(line) <= max(room, 18) for line, room in zip(lines[::2], range(18, 120), strict=True))
    assert totals(some, every, disk, 80) == "1 of 2,000 models, 5.0 GB of 1.0 TB · 412 GB free"
    assert totals(some, every, disk, 30) == "1 of 2,000 · 5.0G · 412G free"
    assert totals(Sum(1, 5), Sum(1, 5), None, 80) == "1 model, 5 B"


async def test_revisions_and_what_each_frees_stand_at_their_model(
    hub_settings: Settings,
    two_revisions: None,
) -> None:
    app = start(hub_settings)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        assert "qwen3 +1" in screen_text(app)
        for revision in read_disk(hub_settings).models[0].revisions:
            assert revision.commit[:12] in detail(app)
        assert "only there" in detail(app)


async def test_files_that_two_models_hold_stand_at_both(hub_settings: Settings, twice: None) -> None:
    app = start(hub_settings)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        assert f"in 2 files, the same as in {COPY}" in detail(app)
        assert "qwen3 =" in screen_text(app)
        same = sum(duplicate.size_bytes for duplicate in read_disk(hub_settings).duplicates)
        screen = await asked(pilot, app)
        assert f"Elsewhere stay {size_in_words(same)} in 2 files" in screen_text(app)
        assert screen._plan.id == MODEL


async def test_a_chat_tells_when_a_model_was_used(hub_settings: Settings, twice: None) -> None:
    with History(hub_settings.data_dir / FILE) as history:
        chat = history.start("hello", MODEL)
        history.add(chat.id, Turn(Message(Role.ASSISTANT, (TextPart("hi"),)), model=MODEL))
    app = start(hub_settings)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        assert "used     today" in detail(app)
        assert "in a chat" not in detail(app), "figures of benchmarks and of the API count as well"


async def test_x_asks_deletes_and_leaves_the_cursor_beside(hub_settings: Settings, twice: None) -> None:
    app = start(hub_settings)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        before = read_disk(hub_settings).size_bytes
        near = app.models.table.keys[app.models.table.keys.index(MODEL) - 1]
        await asked(pilot, app)
        assert "will be gone from the disk. That frees" in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert read_disk(hub_settings).size_bytes == before
        await asked(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: f"{MODEL} is deleted" in notices(app))
        await until(pilot, lambda: MODEL not in app.models.table.keys)
        assert app.models.table.selected == near, "the last one has gone: the one before it"
        assert read_disk(hub_settings).model(MODEL) is None
        assert read_disk(hub_settings).model(COPY) is not None
        await until(pilot, lambda: "=" not in app.models._marks(COPY), "the disk is looked at again")


async def test_one_revision_can_be_chosen(hub: Hub, hub_settings: Settings, two_revisions: None) -> None:
    app = start(hub_settings)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        screen = await asked(pilot, app)
        assert len(screen.query_one(RowTable).keys) == 3
        await pilot.press("down", "down")
        await until(pilot, lambda: "of it stay: other revisions use them" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: f"Of {MODEL}, revision {hub.repositories[MODEL].sha(0)[:8]}" in notices(app))
        (left,) = read_disk(hub_settings).models[0].revisions
        assert left.commit == hub.repositories[MODEL].sha(1)
        await until(pilot, lambda: app.models._marks(MODEL) == "")
        assert app.models.table.selected == MODEL


async def test_an_unfinished_download_is_listed_marked_and_deleted(hub: Hub, hub_settings: Settings) -> None:
    hub.faults[f"{MODEL}/model.safetensors"] = Fault(pace=(1 << 15, 0.01))
    downloads = Downloads(hub_settings)
    key = downloads.add(MODEL)
    hub.wait_for(MODEL, 300_000)
    downloads.pause(key)
    downloads.wait(key, 30)
    app = start(hub_settings)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await until(pilot, lambda: "it has not ended" in detail(app))
        assert "qwen3 ↓" in screen_text(app)
        assert "unfinished" in screen_text(app)
        with alone(hub_settings, key):  # as another program that goes on with it
            await pilot.press("x")
            await until(pilot, lambda: "is being downloaded" in notices(app))
        app.clear_notifications()
        await asked(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: MODEL not in app.models.table.keys)
        assert read_disk(hub_settings).models == ()


async def test_a_model_in_use_is_refused_with_a_sentence(hub_settings: Settings, twice: None) -> None:
    app = start(hub_settings)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        info = app.models.selected
        assert info is not None
        with held(info.path):
            await pilot.press("x")
            await until(pilot, lambda: "is loaded, here or by another program" in notices(app))
        assert app._services is not None
        app._services.engine.load(MODEL).result()
        await pilot.press("x")
        await until(pilot, lambda: "is in memory here. u unloads it" in notices(app))
        assert len(app.screen_stack) == 1
        app._services.engine.unload(MODEL).result()
        app.clear_notifications()
        await asked(pilot, app)
        app._services.engine.load(MODEL).result()  # while it is asked
        await pilot.press("y")
        await until(pilot, lambda: "is in memory here" in notices(app))
        assert read_disk(hub_settings).model(MODEL) is not None


async def test_what_is_built_in_or_the_persons_own_stays(hub_settings: Settings, tmp_path: Path) -> None:
    shutil.copytree(Catalog(hub_settings).get("pocket/qwen3").path, tmp_path / "own" / "mine")
    settings = hub_settings.model_copy(update={"model_folders": [tmp_path / "own"]})
    app = start(settings)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, "pocket/qwen3")
        await pilot.press("x")
        await until(pilot, lambda: "is built in and stays" in notices(app))
        app.models.table.select("mine")
        await pilot.press("x")
        await until(pilot, lambda: "`assay models delete mine --own-folder` deletes it" in notices(app))
        assert (tmp_path / "own" / "mine").is_dir()


async def test_a_disk_that_refuses_is_a_sentence_and_the_list_is_true(
    hub_settings: Settings,
    twice: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(folder: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    app = start(hub_settings)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await asked(pilot, app)
        monkeypatch.setattr("core.hub.delete.shutil.rmtree", refuse)
        await pilot.press("y")
        await until(pilot, lambda: "cannot be removed: Permission denied" in notices(app))
        assert MODEL in app.models.table.keys


async def test_a_chat_and_tiers_whose_model_was_deleted_go_on(hub_settings: Settings, twice: None) -> None:
    app = start(hub_settings)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await pilot.press("w")
        await until(pilot, lambda: app.state.full == MODEL)
        assert app._services is not None
        app._services.engine.unload(MODEL).result()
        app.chat.bar.choose(MODEL)
        await asked(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: "stands for the full tier now" in notices(app))
        assert app.state.full == FULL
        assert "full" not in app.state.chosen
        assert app.chat.bar.chosen == "quick"
        assert f"{MODEL} is not on this disk any more. The quick tier answers the chat now." in notices(app)
        app.chat.input.composer.insert("hello")
        await pilot.press("f3", "enter")
        await until(pilot, lambda: len(app.chat.conversation.turns) == 2)


async def test_a_tier_for_which_nothing_is_left_says_so(
    hub_settings: Settings,
    twice: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nothing(*_: object, **__: object) -> None:
        raise EngineError("nothing")

    app = start(hub_settings, quick=MODEL)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await asked(pilot, app)
        monkeypatch.setattr("core.tiers.resolve_tier", nothing)
        await pilot.press("y")
        await until(pilot, lambda: "Nothing stands for the quick tier now." in notices(app))
        assert app.state.quick is None
