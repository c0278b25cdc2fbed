"""The jump overlay: a letter goes there, any other key goes back."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.widgets import Input, Label

from tests.tui.conftest import until
from tui.screens.jump import JumpOverlay, Target


class Bench(App[None]):
    """A field and a label to jump to."""

    def __init__(self) -> None:
        super().__init__()
        self.went: list[str] = []
        self.answer: str | None = None

    def compose(self) -> ComposeResult:
        yield Input(id="one")
        yield Label("two", id="two")

    def targets(self) -> list[Target]:
        two = Target("t", "two", self.query_one("#two"), lambda: self.went.append("two"))
        return [Target("o", "one", self.query_one("#one")), two]


@pytest.mark.parametrize(("key", "answer"), [("o", "o"), ("t", "t"), ("x", ""), ("escape", "")])
async def test_it_is_dismissed_with_the_letter(key: str, answer: str) -> None:
    app = Bench()
    async with app.run_test() as pilot:
        app.push_screen(JumpOverlay(app.targets()), lambda letter: setattr(app, "answer", letter))
        await until(pilot, lambda: isinstance(app.screen, JumpOverlay))
        assert len(app.screen.query(".jump-label")) == 2
        await pilot.press(key)
        await until(pilot, lambda: app.answer is not None)
        assert app.answer == answer


async def test_a_target_is_focused_or_knows_better() -> None:
    app = Bench()
    async with app.run_test() as pilot:
        one, two = app.targets()
        two.go()
        assert app.went == ["two"]
        one.go()
        await until(pilot, lambda: app.focused is one.widget)
