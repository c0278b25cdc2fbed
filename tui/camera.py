"""Takes pictures of the workbench's screen, once in each theme."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from tui.app import AssayApp

DEADLINE_S = 120.0


async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    """Let the workbench work until a condition holds. Raises TimeoutError after DEADLINE_S seconds."""
    give_up = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > give_up:
            raise TimeoutError("A screen that the pictures need has not come.")
        await pilot.pause(0.05)
    await pilot.pause(0.3)


def keep(app: AssayApp, target: Path, name: str) -> None:
    """Write what is on the screen into a folder, as an SVG of that name."""
    app.clear_notifications()
    (target / f"{name}.svg").write_text(app.export_screenshot(title="assay"), encoding="utf-8")
    print(target / f"{name}.svg")  # noqa: T201


@dataclass(frozen=True)
class Camera:
    """Takes the picture of what is on the screen, once in each theme."""

    app: AssayApp
    pilot: Pilot[None]
    target: Path
    themes: Sequence[str]

    async def keep(self, name: str) -> None:
        for theme in self.themes:
            await self._keep_in(theme, name)

    async def keep_opened(self, name: str, key: str, shown: Callable[[], object] = lambda: True) -> None:
        """What a key opens over the panes, and escape closes again."""
        for theme in self.themes:
            self.app.theme = theme
            await self.pilot.press(key)
            await until(self.pilot, lambda: len(self.app.screen_stack) == 2 and shown())
            await self._keep_in(theme, name)
            await self.pilot.press("escape")
            await until(self.pilot, lambda: len(self.app.screen_stack) == 1)

    async def _keep_in(self, theme: str, name: str) -> None:
        self.app.theme = theme
        await self.pilot.pause(0.2)
        width, height = self.app.size
        keep(self.app, self.target, f"{name}-{width}x{height}-{theme.removeprefix('assay-')}")
