"""A suite that can be run: the run asked for, carried out off the event loop, kept on disk, and stopped."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from functools import partial

from textual import work
from textual.containers import Vertical
from textual.reactive import reactive

from core.errors import EngineError
from core.golden.graded.grader import is_graded
from core.golden.plan import RunOptions, make_plan
from core.golden.progress import (
    AnswerWaits,
    AttemptFinished,
    AttemptStarted,
    Grading,
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
from tui.hub.progress_text import left as in_words
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
        """The name of the last run that is kept on disk and has an answer: what it did not ask, earlier ones said."""
        self._asked = 0
        """Attempts of the run that models are asked for."""
        self._answered: set[int] = set()
        """Those of them that have their answer, by index."""
        self._grades = False
        """Whether answers of the run are graded before they are judged."""
        self._grading: Grading | None = None
        """How far that is; None before it has begun."""
        self._grading_since = 0.0
        """When it began, by the monotonic clock."""
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
                    self._grades = any(is_graded(one) for one in plan.attempts if one.model is not None)
                    self._answered, self._asking_since, self._grading = set(), None, None
                case AttemptStarted():  # whatever could not be loaded is not waited for any more
                    self._loading.clear()
                    self._asking_since = self._asking_since or time.monotonic()
                case AnswerWaits(planned):
                    self._answered.add(planned.index)
                case Grading():
                    self._grading_since = self._grading_since if self._grading else time.monotonic()
                    self._grading = event
                case AttemptFinished(planned):
                    if planned.model is not None:
                        self._answered.add(planned.index)
                        self.last_run = self._keeps or self.last_run

    @property
    def _left_s(self) -> float | None:
        """Seconds until the run has ended, at the pace that it had so far; None while that is not known."""
        if self._grading is not None:
            done, total, since = self._grading.done, self._grading.total, self._grading_since
        else:
            done, total, since = len(self._answered), self._asked, self._asking_since or 0.0
        if not since or not done or not self.busy:
            return None
        return (time.monotonic() - since) / done * (total - done)

    @property
    def _goes_on(self) -> str:
        """What the run is at, and how long that takes."""
        left = f" · {words} left" if (words := in_words(self._left_s)) else ""
        if load := self._waits_for():
            return load
        if self._grading is not None:
            return f"grading {self._grading.done} of {self._grading.total}{left}"
        done, all_of_them = self._board.ended()
        return f"running {done}/{all_of_them}{left}{', then grading' if self._grades else ''}"

    def _waits_for(self) -> str:
        """The load that the run waits for, in the chat's words: of several the one that is read now."""
        if self._services is None:
            return ""
        status = self._services.engine.status()
        judge = self._grading.model if self._grading is not None else ""
        if judge and any(load.id == judge for load in status.loads):
            return load_ahead(status, judge)
        if not self._loading:
            return ""
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
        """Plan and run. The run is kept on disk; one without a disk goes on all the same."""
        whole = len(case_ids) == len(suite.cases)
        options = RunOptions(ids=None if whole else tuple(case_ids))
        state, engine = self.state, services.engine
        plan = await off_loop(
            lambda: make_plan(suite, services.chooser(state), options, engine.status().memory_budget), "golden-plan"
        )
        folder: RunFolder | None = None
        data_dir = services.settings.data_dir
        try:
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
