"""A suite that can be run: the run asked for, carried out off the event loop, kept on disk, and stopped."""

from __future__ import annotations

import glob
import logging
import time
from collections import deque
from collections.abc import Sequence
from functools import partial

from textual import work
from textual.containers import Vertical
from textual.reactive import reactive

from core.errors import EngineError
from core.golden.plan import RunOptions, make_plan
from core.golden.progress import (
    AttemptFinished,
    AttemptStarted,
    ModelLoading,
    ModelReady,
    RunEvent,
    RunStarted,
    RunWarning,
)
from core.golden.results import RunFolder
from core.golden.run import GoldenRun, RunResult
from core.golden.suite import Suite
from tui.background import off_loop
from tui.foreign import one_line, short_name
from tui.golden.board import Board
from tui.golden.record import close_folder, new_folder
from tui.services import Services
from tui.state import WorkbenchState
from tui.waiting import load_ahead

log = logging.getLogger(__name__)

REDRAWS_PER_S = 15


class RunningSuite(Vertical):
    """What a pane over a suite has of its runs. The pane says in `_redraw` what they come to."""

    state: reactive[WorkbenchState] = reactive(WorkbenchState())

    def __init__(self, id: str) -> None:
        super().__init__(id=id, classes="pane")
        self._services: Services | None = None
        self._suite: Suite | None = None
        self._board = Board()
        self._planning = False
        """Whether a run has been asked for that has not begun."""
        self._run: GoldenRun | None = None
        self._events: deque[RunEvent] = deque()
        self._loading: list[str] = []
        """The models that the run waits for, in the order in which it asked for them."""
        self.last_run = ""
        """The name of the last run that is kept on disk whole; where there is none, of one that has an answer."""
        self._asked = self._answered = 0
        """Attempts of the run that models are asked for, and those that have ended."""
        self._asking_since: float | None = None
        """When the first of them was asked, by the monotonic clock."""
        self._keeps = ""
        """The name of the run that goes on, if it is kept."""

    def _redraw(self) -> None:
        """Show the board as it is now."""

    def _stand(self) -> object:
        """Hold what has been said against the accepted answers."""

    @property
    def busy(self) -> bool:
        return self._planning or self._run is not None

    def _take_in(self) -> None:
        """Fold into the board what the run has said since the last time."""
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
                case RunStarted(plan):
                    self._asked = sum(one.model is not None for one in plan.attempts)
                    self._answered, self._asking_since = 0, None
                case AttemptStarted():  # whatever could not be loaded is not waited for any more
                    self._loading.clear()
                    self._asking_since = self._asking_since or time.monotonic()
                case AttemptFinished(planned):
                    self._answered += planned.model is not None
                    self.last_run = self.last_run or self._keeps

    @property
    def _left_s(self) -> float | None:
        """Seconds until the run has ended, at the pace that it had so far; None while that is not known."""
        if self._asking_since is None or not self._answered or not self.busy:
            return None
        took = time.monotonic() - self._asking_since
        return took / self._answered * (self._asked - self._answered)

    def _waits_for(self) -> str:
        """The load that the run waits for, in the chat's words: of several the one that is read now."""
        if not self._loading or self._services is None:
            return ""
        status = self._services.engine.status()
        first = next((load.id for load in status.loads if load.id in self._loading), self._loading[0])
        return load_ahead(status, first) or f"loading {one_line(short_name(first))}"

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
        self._stand()

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
