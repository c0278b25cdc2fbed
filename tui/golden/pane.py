"""Golden prompts: a suite run on the quick and the full model, verdicts and answers as they come."""

from __future__ import annotations

import asyncio
import glob
import logging
from collections import deque
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len
from textual import events, getters, on, work
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static

from core.calls.events import GenerationResult
from core.calls.requests import GenerationRequest
from core.errors import EngineError
from core.golden.draft import save_case
from core.golden.plan import RunOptions, answering, make_plan
from core.golden.progress import AttemptFinished, AttemptStarted, ModelLoading, ModelReady, RunEvent, RunWarning
from core.golden.reading import load_suite
from core.golden.results import RunFolder, Verdict
from core.golden.run import GoldenRun, RunResult
from core.golden.suite import BUILTIN, Suite
from core.tiers import Tier
from tui.actions import bindings
from tui.background import off_loop
from tui.foreign import one_line, plain, short_name, shorten
from tui.golden.answer import STYLES
from tui.golden.bar import bar_content
from tui.golden.board import ONE, Board, Cell, Progress
from tui.golden.detail import GoldenDetail
from tui.golden.record import close_folder, new_folder, runs_folder
from tui.golden.verdicts import SIGNS, WORDS
from tui.screens.jump import Target
from tui.services import Services
from tui.state import WorkbenchState
from tui.waiting import load_ahead
from tui.widgets.picture import Picture
from tui.widgets.redraw import redraw
from tui.widgets.row_table import Column, RowTable

log = logging.getLogger(__name__)

REDRAWS_PER_S = 15
ROOMY = 84
"""The width of the table from which on verdicts are words."""
COLUMNS = (
    Column("case", "prompt"),
    Column("quick", "quick", 6, roomy=Column("quick", "quick", 19, ROOMY)),
    Column("full", "full", 6, roomy=Column("full", "full", 19, ROOMY)),
    Column("difference", "better", 9, roomy=Column("difference", "which is better", 15, ROOMY)),
)
DIFFERENCES = {"=": "same", "quick": "quick is better", "full": "full is better", ONE: "one model"}
PROGRESS = {
    Progress.IDLE: ("·", "not run yet", "$dim"),
    Progress.WAITING: ("…", "waiting", "$dim"),
    Progress.RUNNING: ("▸", "running", "$warning"),
}
BESIDE, SIDE_BY_SIDE = 150, 190
"""Widths of the pane from which on the answers stand beside the table, and there beside each other."""


class GoldenPane(Vertical):
    """One suite and its last results. A run goes on while the person works in other panes."""

    BINDINGS: ClassVar = bindings("golden")

    class SuiteRead(Message):
        """The suite is there, and so is all that reading it takes."""

    state: reactive[WorkbenchState] = reactive(WorkbenchState())

    table = getters.query_one("#golden-table", RowTable)
    detail = getters.query_one(GoldenDetail)

    def __init__(self, id: str, suite: Path = BUILTIN) -> None:
        super().__init__(id=id, classes="pane")
        self.border_title = "Golden"
        self._folder = suite
        self._services: Services | None = None
        self._suite: Suite | None = None
        self._board = Board()
        self._planning = False
        """Whether a run has been asked for that has not begun."""
        self._run: GoldenRun | None = None
        self._events: deque[RunEvent] = deque()
        self._loading: list[str] = []
        """The models that the run waits for, in the order in which it asked for them."""
        self._suite_read = asyncio.Event()
        self.last_run = ""
        """The name of the last run that is kept on disk whole; where there is none, of one that has an answer."""
        self._offered = (False, False)
        """Whether there are disagreements to go to, and images of the row to look at."""
        self._keeps = ""
        """The name of the run that goes on, if it is kept."""

    def compose(self) -> ComposeResult:
        yield Static(id="golden-bar", markup=False)
        with Container(id="golden-body"):
            yield RowTable(COLUMNS, self._cell, empty="Reading the suite…", id="golden-table", snug=True)
            yield GoldenDetail("golden-detail")

    # -- what is shown ------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        self.detail.display = False
        self._read()

    @property
    def suite_folder(self) -> str:
        """The suite's folder, "" for the built-in one."""
        return "" if self._folder == BUILTIN else str(self._folder.resolve())

    def open_suite(self, folder: Path) -> None:
        """Show another suite."""
        self._folder = folder
        self._suite_read.clear()
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

    @work(exclusive=True, group="recall")
    async def show_run(self, data_dir: Path, name: str) -> None:
        """Show what a run that is kept in the data folder found about this suite, where nothing has run since."""
        self.last_run = name
        try:
            kept = await off_loop(lambda: RunFolder.open(runs_folder(data_dir), name).attempts(), "golden-recall")
        except EngineError as error:
            log.info("The last run is not shown: %s", error)
            self.last_run = self.last_run if self.last_run != name else ""
            return
        await self._suite_read.wait()
        if not self.busy and not any(cell.progress is not Progress.IDLE for cell in self._board.cells.values()):
            self._board.recall(kept)
            self._redraw()

    @work(exclusive=True, group="suite")
    async def _read(self) -> None:
        try:
            suite = await off_loop(lambda: load_suite(self._folder), "suite")
        except EngineError as error:
            self.table.say(error.message)
            return
        self._suite = suite
        self._board = Board.of(suite.cases)
        self.table.widest = max(map(cell_len, self._board.cases), default=0)
        self.table.show(list(self._board.cases))
        self._redraw()
        self._suite_read.set()
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

    @property
    def busy(self) -> bool:
        return self._planning or self._run is not None

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
            self.detail.show(self._board, self.table.selected)

    def _cell(self, key: str, column: Column, cells: int) -> Content:
        match column.key:
            case "case":
                fits = all(cell_len(case_id) <= cells for case_id in self._board.cases)
                return plain(shorten(key if fits else key.rsplit("/", 1)[-1], cells))
            case "difference":
                difference = self._board.difference(key)
                style = {"quick": "$quick", "full": "$full"}.get(difference, "$dim")
                words = DIFFERENCES.get(difference, "")
                return Content.styled(words if len(words) <= cells else difference, style)
            case tier:
                return verdict_content(self._board.cells[key, Tier(tier)], cells)

    def _redraw(self) -> None:
        """Fold what the run has said since the last time, and show it."""
        while self._events:
            event = self._events.popleft()
            self._board.add(event)
            match event:
                case ModelLoading(model):
                    self._loading.append(model)
                case ModelReady(model):
                    self._loading = [other for other in self._loading if other != model]
                case RunWarning(message):
                    self.notify(message, severity="warning")
                case AttemptStarted():  # whatever could not be loaded is not waited for any more
                    self._loading.clear()
                case AttemptFinished():
                    self.last_run = self.last_run or self._keeps
        self.table.redraw()
        self.detail.show(self._board, self.table.selected)
        self._redraw_bar()
        self._refresh_keys()

    def _refresh_keys(self) -> None:
        case = self._board.cases.get(self.table.selected or "")
        if (offers := (bool(self._board.disagreements()), case is not None and bool(case.all_images))) != self._offered:
            self._offered = offers
            self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are shown where they do something."""
        if action == "view_picture":
            return self._offered[1]
        return action not in ("next_disagreement", "previous_disagreement") or self._offered[0]

    def _redraw_bar(self) -> None:
        if self._suite is None:
            return
        name = "built-in" if self._folder == BUILTIN else self._suite.name
        done, all_of_them = self._board.ended()
        running = (self._waits_for() or f"running {done}/{all_of_them}") if self.busy else None
        bar = self.query_one("#golden-bar", Static)
        redraw(bar, bar_content(self._board, name, running, bar.size.width))

    def _waits_for(self) -> str:
        """The load that the run waits for, in the chat's words: of several the one that is read now."""
        if not self._loading or self._services is None:
            return ""
        status = self._services.engine.status()
        first = next((load.id for load in status.loads if load.id in self._loading), self._loading[0])
        return load_ahead(status, first) or f"loading {one_line(short_name(first))}"

    def on_resize(self, event: events.Resize) -> None:
        width = event.size.width
        self.set_class(width >= BESIDE, "-beside")
        self.set_class(BESIDE <= width < SIDE_BY_SIDE, "-stacked")
        self.call_after_refresh(self._show_again)

    def _show_again(self) -> None:
        """In the words that there is room for now."""
        self._redraw_bar()
        self.detail.show(self._board, self.table.selected)

    @on(RowTable.Moved)
    def _row_moved(self, event: RowTable.Moved) -> None:
        event.stop()
        self.detail.show(self._board, event.key)
        self._refresh_keys()

    # -- running ------------------------------------------------------------------------------------------------------

    def action_run_case(self) -> None:
        if self.table.selected is not None:
            self._start([self.table.selected])

    def action_run_suite(self) -> None:
        self._start(list(self._board.cases))

    def _start(self, case_ids: Sequence[str]) -> None:
        if self.busy:
            self.notify("A run is going on: escape stops it.")
        elif self._services is None:
            self.notify("The engine is still starting.")
        elif self._suite is None:
            self.notify("The suite is being read.")
        elif case_ids:
            self._board.expect(case_ids)
            self._planning = True
            self.refresh_bindings()
            self._work_through(self._services, self._suite, case_ids)

    @work(exclusive=True, group="golden")
    async def _work_through(self, services: Services, suite: Suite, case_ids: Sequence[str]) -> None:
        try:
            result = await self._carry_out(services, suite, case_ids)
        except EngineError as error:
            self.notify(error.message, title="Not run", severity="error")
        except Exception as error:
            log.exception("A golden run broke off.")
            self.notify(f"The run broke off: {error!r}. The log has the details.", severity="error")
        else:
            if result.interrupted:
                self.notify("Stopped; what was done is shown.")
        self._give_up()

    def _give_up(self) -> None:
        """No run goes on: what was expected of it will not come."""
        self._planning = False
        self._loading.clear()
        self._board.give_up()
        self.refresh_bindings()
        self._redraw()

    async def _carry_out(self, services: Services, suite: Suite, case_ids: Sequence[str]) -> RunResult:
        """Plan and run. A run of the whole suite is kept on disk; one without a disk goes on all the same."""
        whole = len(case_ids) == len(suite.cases)
        options = RunOptions(cases=() if whole else tuple(glob.escape(case_id) for case_id in case_ids))
        state, engine = self.state, services.engine
        plan = await off_loop(
            lambda: make_plan(suite, services.chooser(state), options, engine.status().memory_budget), "golden-plan"
        )
        folder: RunFolder | None = None
        data_dir = services.settings.data_dir
        try:
            if whole:
                folder = await off_loop(lambda: new_folder(data_dir, plan, engine.status(), state), "golden-folder")
        except OSError as error:
            self.notify(f"{data_dir} cannot be written ({error.strerror}): the run is not kept.", severity="warning")
        self._keeps = folder.id if folder is not None else ""
        run = GoldenRun(plan, services.golden_routes(), engine, listener=self._events.append, folder=folder)
        self._run, self._planning = run, False
        timer = self.set_interval(1 / REDRAWS_PER_S, self._redraw)
        try:
            result = await off_loop(run.run, "golden")
        finally:
            self._run = None
            self.refresh_bindings()
            timer.stop()
            self._redraw()
        if folder is not None:
            if run.folder is not None and not result.interrupted:  # else it is not there, or not all of it
                self.last_run = folder.id
            try:
                await off_loop(partial(close_folder, folder, plan, result), "golden-folder")
            except OSError as error:
                self.notify(f"{folder.path} cannot be written ({error.strerror}).", severity="warning")
        return result

    def stop(self) -> bool:
        """Stop the run; False if none is going on."""
        if self._run is not None:
            self._run.cancel()
        elif self._planning:
            self.workers.cancel_group(self, "golden")
            self._give_up()
        else:
            return False
        return True

    # -- moving about -------------------------------------------------------------------------------------------------

    def _step(self, by: int) -> None:
        places = self._board.disagreements()
        order = list(self._board.cases)
        here = order.index(self.table.selected) if self.table.selected in order else -1
        ahead = [place for place in (places if by > 0 else reversed(places)) if (order.index(place) - here) * by > 0]
        self.table.select(ahead[0] if ahead else (places[0] if by > 0 else places[-1]))

    def action_next_disagreement(self) -> None:
        self._step(1)

    def action_previous_disagreement(self) -> None:
        self._step(-1)

    def action_view_picture(self) -> None:
        if self.detail.images:
            self.post_message(Picture.Wanted(self.detail.images[0], self.detail.images))


def verdict_content(cell: Cell, cells: int) -> Content:
    """A cell of the table: the verdict and tokens per second, in words where they fit into `cells`."""
    attempt = cell.attempt
    if attempt is None:
        glyph, words, style = PROGRESS.get(cell.progress, ("", "", ""))
        return Content.styled(words if len(words) <= cells else glyph, style)
    if cell.control is not None and cell.held:
        words = "its control fails"
        return Content.assemble(
            (f"{SIGNS[Verdict.PASS]} ", "$success"), (words if len(words) + 2 <= cells else "ctl✗", "$error")
        )
    sign, words = SIGNS[attempt.verdict], WORDS[attempt.verdict]
    told = f"{sign} {words}" if len(words) + 2 <= cells else sign
    rate = f"{cell.rate:>3}" if told == sign else f"{cell.rate} tok/s"
    fits = cell.rate and len(told) + 1 + len(rate) <= cells
    return Content.assemble((told, STYLES[attempt.verdict]), (f" {rate}" if fits else "", "$dim"))
