"""Into which file, and as what, the run that is shown is to be written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual import getters, on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from core.errors import EngineError
from tui.actions import bindings
from tui.background import off_loop
from tui.figures import size
from tui.foreign import one_line, plain
from tui.golden.export import FORMATS, check_target, target
from tui.screens.confirm import Confirm
from tui.widgets.footer import KeyFooter
from tui.widgets.text_fields import LineField


class ReportScreen(ModalScreen[str | None]):
    """Dismissed with a sentence that says what was written and where, or with None. `write` writes a file; it may raise
    EngineError, and is called off the event loop."""

    BINDINGS: ClassVar = bindings("report")

    name_field = getters.query_one("#report-name", Input)

    def __init__(self, title: str, folder: Path, name: str, write: Callable[[Path], str]) -> None:
        super().__init__(classes="dialogue")
        self._title, self._folder, self._name, self._write = title, folder, name, write
        self._fault = ""

    def compose(self) -> ComposeResult:
        with Vertical(classes="box report-box") as box:
            box.border_title = plain(one_line(self._title))
            yield LineField(self._name, id="report-name", compact=True, select_on_focus=False)
            yield Static(id="report-target", markup=False)
            yield Static(id="report-formats", markup=False)
            yield Static(id="report-fault", markup=False)
        yield KeyFooter(show_command_palette=False)

    def on_mount(self) -> None:
        self.name_field.focus()
        self._show()

    @property
    def _target(self) -> Path:
        return target(self._folder, self.name_field.value)

    def _show(self) -> None:
        self.query_one("#report-target", Static).update(plain(f"→ {one_line(str(self._target))}", "$dim"))
        ending = self._target.suffix.lower()
        lines = [
            Content.assemble(
                ("▸ " if one == ending else "  ", "$primary"),
                (f"{one:7}", "bold" if one == ending else ""),
                (what, "$dim"),
            )
            for one, what in FORMATS.items()
        ]
        self.query_one("#report-formats", Static).update(Content("\n").join(lines))
        fault = self.query_one("#report-fault", Static)
        fault.display = bool(self._fault)
        fault.update(plain(self._fault, "$error"))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._fault = ""
        self._show()

    def action_write(self) -> None:
        self._go()

    @work(exclusive=True)
    async def _go(self) -> None:
        file = self._target
        try:
            if await off_loop(lambda: check_target(file), "golden-export"):
                question = f"{file} is there already ({size(file.stat().st_size)}). Overwrite it?"
                if not await self.app.push_screen_wait(Confirm(question, "Overwrite", "Keep it")):
                    return
            said = await off_loop(lambda: self._write(file), "golden-export")
        except EngineError as error:
            self._fault = error.message
            self._show()
        else:
            self.dismiss(said)

    def action_turn(self, by: int) -> None:
        """Another ending, and with it another report."""
        endings = list(FORMATS)
        name = self.name_field.value.rstrip()
        now = self._target.suffix.lower()
        place = endings.index(now) + by if now in endings else 0
        self.name_field.value = (name[: -len(now)] if now in endings else name) + endings[place % len(endings)]
        self.name_field.cursor_position = len(self.name_field.value)

    def action_close(self) -> None:
        self.dismiss(None)
