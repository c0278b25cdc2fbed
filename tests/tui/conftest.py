"""A workbench over a scripted engine, the same on every machine: fixed pixels, fixed time zone, a folder of its own."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

os.environ["ASSAY_HALF_CELLS"] = "1"  # before anything imports textual-image
os.environ["TZ"] = "UTC"
time.tzset()

import pytest  # noqa: E402
from textual.css.model import RuleSet  # noqa: E402
from textual.css.query import NoMatches  # noqa: E402
from textual.css.stylesheet import Stylesheet  # noqa: E402
from textual.pilot import Pilot  # noqa: E402

from core.settings import Settings  # noqa: E402
from tests.tui.scripted import ScriptedEngine, ScriptedServer  # noqa: E402
from tui.app import AssayApp  # noqa: E402
from tui.services import Services  # noqa: E402

QUICK, FULL = "pocket/qwen2-vl", "pocket/gemma3"
DEADLINE_S = 20.0


Parse = Callable[..., list[RuleSet]]


def parse_once(parse: Parse) -> Parse:
    """Stylesheets that are parsed once for all apps, and once more for each theme: it is a tenth of a start."""
    known: dict[tuple[Any, ...], list[RuleSet]] = {}

    def parsed(self: Stylesheet, *rules: Any, **options: Any) -> list[RuleSet]:
        key = (frozenset(self._variables.items()), rules, *sorted(options.items()))
        if key not in known:
            known[key] = parse(self, *rules, **options)
        return known[key]

    return parsed


Stylesheet._parse_rules = parse_once(Stylesheet._parse_rules)  # type: ignore[method-assign]


class Furnished(AssayApp):
    """A workbench whose tests begin when its panes are there, and which ends as the program does."""

    @asynccontextmanager
    async def run_test(self, **options: Any) -> AsyncIterator[Pilot[None]]:  # type: ignore[override]
        async with super().run_test(**options) as pilot:
            await until(pilot, lambda: self.furnished)
            yield pilot
            self.chat.close()  # a thread of theirs would hold the whole workbench for good
            with suppress(NoMatches):  # who has left has closed it
                self.models.hub.close()


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads the user's settings or writes into the folder it was started in."""
    monkeypatch.setenv("ASSAY_CONFIG", str(tmp_path / "settings.toml"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _own_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A disk with as much room on every machine; the cache is an empty one unless a test names its own."""
    monkeypatch.setattr("core.hub.disk.free_room", lambda folder: 412_000_000_000)
    monkeypatch.setenv("ASSAY_HF_CACHE", str(tmp_path / "no-cache"))


@pytest.fixture
def scripted() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def server() -> ScriptedServer:
    return ScriptedServer()


@pytest.fixture
def workbench(scripted: ScriptedEngine, server: ScriptedServer, tmp_path: Path) -> AssayApp:
    """The app over the scripted engine, not yet running."""
    settings = Settings(data_dir=tmp_path / "data")

    def opener(settings: Settings) -> Services:
        return Services(settings, scripted, server, QUICK, FULL)  # type: ignore[arg-type]

    app = Furnished(lambda: settings, opener)
    app.animation_level = "none"
    return app


def late_workbench(data_dir: Path, may_read: threading.Event) -> AssayApp:
    """The app over a scripted engine, whose settings cannot be read until they may."""

    def late() -> Settings:
        may_read.wait(DEADLINE_S)
        return Settings(data_dir=data_dir)

    return AssayApp(late, lambda settings: Services(settings, ScriptedEngine(), ScriptedServer(), QUICK, FULL))  # type: ignore[arg-type]


async def until(pilot: Pilot[None], condition: Callable[[], object], what: str = "") -> None:
    """Let the app work until `condition` holds; fails after DEADLINE_S."""
    give_up = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < give_up, f"never came: {what or condition}"
        await asyncio.sleep(0.01)  # pilot.pause asks each widget whether it is done, at every look
    await pilot.pause()


def screen_text(app: AssayApp) -> str:
    """What a person reads on the screen now, line by line."""
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())
