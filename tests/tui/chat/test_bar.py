"""The line above the chat says nothing that it has to take back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from textual.content import Content
from textual.widgets import Static

from tests.tui.conftest import QUICK, late_workbench, screen_text, until
from tui.app import AssayApp


async def test_what_is_not_known_yet_is_said_in_words(tmp_path: Path) -> None:
    may_read = threading.Event()
    app = late_workbench(tmp_path / "data", may_read)
    async with app.run_test(size=(160, 45)) as pilot:
        await until(pilot, lambda: app.furnished and "quick · looking for models…" in screen_text(app))
        may_read.set()
        await until(pilot, lambda: f"quick · {QUICK}" in screen_text(app))


async def test_settings_are_never_short_for_lack_of_a_size(
    workbench: AssayApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is laid out the bar has no cells at all."""
    told: list[str] = []
    update = Static.update

    def noted(line: Static, content: Content | str = "", *, layout: bool = True) -> None:
        if line.id == "chat-settings-line":
            told.append(str(content))
        update(line, content, layout=layout)

    monkeypatch.setattr(Static, "update", noted)
    async with workbench.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "at most 1,024 tokens" in screen_text(workbench))
    assert set(told) == {"at most 1,024 tokens"}
