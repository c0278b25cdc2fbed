"""A workbench over a scripted engine, beside the Hub of the tests, with a cache of its own."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from core.catalog import Catalog
from core.hub import fetch
from core.settings import Settings
from tests.hub import Fault, Hub
from tests.hub.fixtures import hub, hub_settings
from tests.tui.conftest import FULL, QUICK, Furnished, screen_text, until
from tests.tui.scripted import ScriptedEngine, ScriptedServer
from tui.app import AssayApp
from tui.services import Services

__all__ = ["hub", "hub_settings"]

MODEL = "mlx-community/qwen3"
WEIGHTS = f"{MODEL}/model.safetensors"
SLOW = (1 << 11, 0.1)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "FIRST_PAUSE_S", 0.01)


def new_workbench(engine: ScriptedEngine, server: ScriptedServer, settings: Settings) -> AssayApp:
    """An app over these settings, its catalog that of the disk."""
    engine.catalog = Catalog(settings)  # type: ignore[assignment]

    def opener(settings: Settings) -> Services:
        return Services(settings, engine, server, QUICK, FULL)  # type: ignore[arg-type]

    app = Furnished(lambda: settings, opener)
    app.animation_level = "none"
    return app


@pytest.fixture
def workbench(scripted: ScriptedEngine, server: ScriptedServer, hub_settings: Settings) -> AssayApp:
    """Not yet running."""
    return new_workbench(scripted, server, hub_settings)


def slow(hub: Hub) -> Fault:
    """Weights come slowly from now on; `pace = None` lets the rest through."""
    fault = hub.faults["model.safetensors"] = Fault(pace=SLOW)
    return fault


async def at_the_hub(pilot: Pilot[None], app: AssayApp) -> None:
    """A workbench that is up, its Hub view in front."""
    await until(pilot, lambda: app.state.phase == "ready" and app.models.table.selected)
    await pilot.press("f2", "h")
    await until(pilot, lambda: app.models.hub.table.rows.has_focus)


async def search(pilot: Pilot[None], app: AssayApp, words: str = "") -> None:
    """Search in the Hub view, until all that the Hub has has come."""
    before = app.models.hub._search
    await pilot.press("slash", *words, "enter")
    await until(
        pilot,
        lambda: (now := app.models.hub._search) is not before and now and now.complete and not app.models.hub._has_news,
    )


def known(app: AssayApp, count: int = 1) -> bool:
    """Whether so many models have been looked at, and are shown."""
    search = app.models.hub._search
    return search is not None and len(search.known) >= count and not app.models.hub._has_news


def row_of(app: AssayApp, name: str) -> str:
    """The line of a model in the list."""
    return next(line for line in screen_text(app).splitlines() if name in line)


def notices(app: AssayApp) -> str:
    return "\n".join(notice.message for notice in app._notifications)
