"""Golden prompts: a suite run on the quick and the full model, verdicts and answers as they come."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from textual import events, getters, on, work
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from core.calls.events import GenerationResult
from core.calls.requests import GenerationRequest
from core.errors import EngineError
from core.golden.draft import save_case
from core.golden.plan import answering
from core.golden.suite import BUILTIN
from core.tiers import Tier
from tui.actions import bindings
from tui.background import off_loop
from tui.golden.bar import bar_content
from tui.golden.cells import COLUMNS, cell_content
from tui.golden.detail import GoldenDetail
from tui.golden.opening import OpeningSuite
from tui.golden.tree import failed, folder_of
from tui.screens.jump import Target
from tui.services import Services
from tui.state import WorkbenchState
from tui.widgets.picture import Picture
from tui.widgets.redraw import redraw
from tui.widgets.row_table import Column, RowTable
from tui.widgets.text_fields import LineField

log = logging.getLogger(__name__)

SOMETIMES = frozenset(
    (
        "next_disagreement",
        "previous_disagreement",
        "view_picture",
        "why",
        "open",
        "fold",
        "unfold",
        "run_marked",
        "run_failed",
        "export",
    )
)
"""Actions that are there only where they do something."""
FILTER = "a name, words of the prompt, quick fails, pending, marked, disagreement"
BESIDE, SIDE_BY_SIDE = 150, 190
"""Widths of the pane from which on the answers stand beside the table, and there beside each other."""


class GoldenPane(OpeningSuite):
    """One suite and its last results. A run goes on while the person works in other panes."""

    BINDINGS: ClassVar = bindings("golden")

    class SuiteRead(Message):
        """The suite is there, and so is all that reading it takes."""

    detail = getters.query_one(GoldenDetail)

    def __init__(self, id: str, suite: Path = BUILTIN) -> None:
        super().__init__(id, suite)
        self.border_title = "Golden"
        self._offered: frozenset[str] = frozenset()
        """The actions that would do something, when the keys were drawn last."""

    def compose(self) -> ComposeResult:
        yield Static(id="golden-bar", markup=False)
        yield Static(id="golden-faults", markup=False)
        yield LineField(placeholder=FILTER, id="golden-filter", compact=True)
        with Container(id="golden-body"):
            yield RowTable(COLUMNS, self._cell, empty="Reading the suite…", id="golden-table", snug=True)
            yield GoldenDetail("golden-detail")

    # -- what is shown ------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        self.detail.display = False
        self._read()

    @work(group="add-case")
    async def add_case(self, request: GenerationRequest, result: GenerationResult) -> None:
        """Write a case made of a request into the suite that is open; the built-in one stays as it is."""
        if self._services is None:
            return
        folder = self._services.settings.data_dir / "golden" if self._folder == BUILTIN else self._folder
        try:
            name = await off_loop(lambda: save_case(folder, request, result), "add-case")
        except EngineError as error:
            self.notify(error.message, title="No golden prompt", severity="warning", timeout=10)
            return
        self.notify(f"Saved as {name} in {folder}. Its check is a proposal: read {name}.toml.", timeout=10)
        if not self.busy:
            self.open_suite(folder)
            await self._suite_read.wait()
            self.table.select(name)

    def _was_read(self) -> None:
        self._name_models()
        self.post_message(self.SuiteRead())

    def attach(self, services: Services) -> None:
        """Begin to work with the opened services."""
        self._services = services
        self._name_models()

    def jump_targets(self) -> list[Target]:
        """What the jump overlay has letters for here."""
        return [Target("g", "golden", self.table.rows)]

    def focus_main(self) -> None:
        self.screen.set_focus(self.table.rows)

    def watch_state(self, before: WorkbenchState, now: WorkbenchState) -> None:
        if (before.quick, before.full, before.chosen) != (now.quick, now.full, now.chosen):
            self._name_models()

    @work(exclusive=True, group="golden-models")
    async def _name_models(self) -> None:
        """Say which models would answer what has not been asked."""
        services, suite, state = self._services, self._suite, self.state
        if services is None or suite is None:
            return
        try:
            names = await off_loop(lambda: answering(suite, services.chooser(state)), "golden-models")
        except EngineError as error:  # a run says it aloud
            log.info("Nobody is named for the golden prompts: %s", error)
            return
        if suite is self._suite:
            self._board.name(names)
            self.detail.show(self._board, self._row)

    def _cell(self, key: str, column: Column, cells: int) -> Content:
        return cell_content(self._board, key, column, cells)

    def _redraw(self) -> None:
        """Fold what the run has said since the last time, and show it."""
        self._take_in()
        self._show_rows()
        self.detail.show(self._board, self._row)
        self._redraw_bar()
        self._refresh_keys()

    def _refresh_keys(self) -> None:
        if (offers := frozenset(self._offers())) != self._offered:
            self._offered = offers
            self.refresh_bindings()

    def _offers(self) -> Iterator[str]:
        """The actions of `SOMETIMES` that would do something now."""
        case = self._board.cases.get(self._row or "")
        row = self.table.selected or ""
        if self._board.disagreements():
            yield from ("next_disagreement", "previous_disagreement")
        if case is not None and case.all_images:
            yield "view_picture"
        if case is not None and any(self._board.cells[case.id, tier].attempt for tier in Tier):
            yield "why"
        if case is not None:
            yield "open"
        if folder_of(row) and not self._words:
            yield "fold"
        if row in self._folded:
            yield "unfold"
        if self._board.marked:
            yield "run_marked"
        if failed(self._board):
            yield "run_failed"
        if self.last_run:
            yield "export"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are shown where they do something."""
        return action not in SOMETIMES or action in self._offered

    def _redraw_bar(self) -> None:
        if self._suite is None and not self._faults:
            return
        name = "built-in" if self._folder == BUILTIN else self._folder.resolve().name
        running = self._goes_on if self.busy else None
        bar = self.query_one("#golden-bar", Static)
        redraw(bar, bar_content(self._board, name, running, bar.size.width))

    def on_resize(self, event: events.Resize) -> None:
        width = event.size.width
        self.set_class(width >= BESIDE, "-beside")
        self.set_class(BESIDE <= width < SIDE_BY_SIDE, "-stacked")
        self.call_after_refresh(self._show_again)

    def _show_again(self) -> None:
        """In the words that there is room for now."""
        self._redraw_bar()
        self.detail.show(self._board, self._row)

    @on(RowTable.Moved)
    def _row_moved(self, event: RowTable.Moved) -> None:
        event.stop()
        self.detail.show(self._board, self._row)
        self._refresh_keys()

    # -- moving about -------------------------------------------------------------------------------------------------

    def _step(self, by: int) -> None:
        places = self._board.disagreements()
        if not places:  # the keys were drawn for the run that was shown before
            return
        order = list(self._board.cases)
        here = order.index(self._row) if self._row in order else -1
        ahead = [place for place in (places if by > 0 else reversed(places)) if (order.index(place) - here) * by > 0]
        self._go_to(ahead[0] if ahead else (places[0] if by > 0 else places[-1]))

    def _go_to(self, case_id: str) -> None:
        """Put the cursor on a case, also where its folder is folded or the filter does not find it."""
        if case_id not in self.table.keys:
            self._folded.clear()
            self.clear_filter()
            self._redraw()
        self.table.select(case_id)

    def action_next_disagreement(self) -> None:
        self._step(1)

    def action_previous_disagreement(self) -> None:
        self._step(-1)

    def action_view_picture(self) -> None:
        if self.detail.images:
            self.post_message(Picture.Wanted(self.detail.images[0], self.detail.images))
