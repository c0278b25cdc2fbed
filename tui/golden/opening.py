"""A suite's earlier runs shown again, and all that opens over its rows."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

from textual import work

from core.errors import EngineError
from core.golden.suite import Suite
from core.tiers import Tier
from tui.background import off_loop
from tui.golden.board import Board, Progress
from tui.golden.earlier import traces
from tui.golden.export import proposed, write_report
from tui.golden.kept import kept_run
from tui.golden.record import runs_folder
from tui.golden.watching import WatchedSuite
from tui.services import Services

log = logging.getLogger(__name__)

NO_RUN = "There is no run to judge yet: R runs the suite, and its answers are kept."
NOTHING_KEPT = "There is no kept run to export yet: R runs the suite."


class OpeningSuite(WatchedSuite):
    """What a pane over a suite has of its kept runs and of its screens."""

    _earlier = ""
    """The name of the run that the person has chosen to see; "" where that is the last one."""

    def _go_to(self, case_id: str) -> None:
        """Put the cursor on a case."""

    def _name_models(self) -> object:
        """Say which models would answer what has not been asked."""

    @work(exclusive=True, group="recall")
    async def show_run(self, data_dir: Path, name: str) -> None:
        """Show what a run that is kept in the data folder found about this suite, on top of those before it where it
        asked a part; but not where something has run since."""
        self.last_run = name
        await self._suite_read.wait()
        suite = self._suite
        assert suite is not None, "it has been read"
        try:
            kept = await off_loop(lambda: kept_run(runs_folder(data_dir), name, suite), "golden-recall")
        except EngineError as error:
            log.info("The last run is not shown: %s", error)
            self.last_run = self.last_run if self.last_run != name else ""
            return
        if self.last_run == name:
            self.last_run = kept.folder.id
        idle = not any(cell.progress is not Progress.IDLE for cell in self._board.cells.values())
        if suite is self._suite and not self.busy and idle:
            self._board.recall(kept.attempts, kept.was)
            self._redraw()
            self._stand()

    def action_runs(self) -> None:
        if self._services is not None and self._suite is not None:
            self._earlier_runs(self._services, self._suite)

    @work(exclusive=True, group="golden-runs")
    async def _earlier_runs(self, services: Services, suite: Suite) -> None:
        from tui.golden.runs_screen import RunsScreen

        data_dir = services.settings.data_dir
        run = await self.app.push_screen_wait(RunsScreen(runs_folder(data_dir), suite, services.engine))
        if run and self.busy:
            self.notify("The run goes on: earlier answers can be shown when it has ended.")
        elif run and suite is self._suite:
            self._earlier = run
            self._show_anew(data_dir, suite, run)

    def _show_anew(self, data_dir: Path, suite: Suite, run: str) -> None:
        """Show what a run found, and nothing of what is shown now but marks and the linter's messages."""
        before, self._board = self._board, Board.of(suite.cases)
        self._board.marked, self._board.problems = before.marked, before.problems
        self.show_run(data_dir, run)
        self._name_models()

    def _give_up(self) -> None:
        """What ran while an earlier run was shown stands on top of the last whole one, as it does after a restart."""
        super()._give_up()
        if self._earlier and self.last_run != self._earlier and self._services and self._suite:
            self._earlier = ""
            self._show_anew(self._services.settings.data_dir, self._suite, self.last_run)

    @work(exclusive=True, group="golden-matrix")
    async def action_matrix(self) -> None:
        """Show the answers as cases by tiers or models, and go to the case that is chosen there."""
        from tui.golden.matrix_screen import MatrixScreen

        attempts = list(self._board.attempts.values())
        case = await self.app.push_screen_wait(MatrixScreen(attempts, self._board.cases))
        if case is not None:
            self._go_to(case)

    @work(exclusive=True, group="golden-case")
    async def action_open(self) -> None:
        """Show the row's prompt in full, and go to the one that was looked at last."""
        from tui.golden.case_screen import CaseScreen

        if self._row is not None:
            self._go_to(await self.app.push_screen_wait(CaseScreen(self._board, self._shown, self._row, self._explain)))

    def action_why(self) -> None:
        """Explain the row's answers of both tiers."""
        if self._row is not None:
            self._explain(self._row)

    def _explain(self, case: str) -> None:
        from tui.golden.explain_screen import ExplainScreen

        services, suite = self._services, self._suite
        if services is None or suite is None:
            return
        answers = list(self._board.attempts.values())
        quick, full = ([one for one in answers if one.tier == tier] for tier in Tier)
        find = services.engine.catalog.on_disk
        self.app.push_screen(ExplainScreen(services.engine, case, partial(traces, suite, case, quick, full, find)))

    def action_duel(self) -> None:
        if self._services is None or not self.last_run:
            self.notify(NO_RUN)
            return
        from tui.golden.duel_screen import DuelScreen

        self.app.push_screen(DuelScreen(runs_folder(self._services.settings.data_dir), self.last_run))

    def action_export(self) -> None:
        if self.busy:
            self.notify("The run goes on: it can be exported when it has ended.")
        elif self._services is None or self._suite is None or not self.last_run:
            self.notify(NOTHING_KEPT)
        else:
            self._export(self._services, self._suite, self.last_run)

    @work(exclusive=True, group="golden-export")
    async def _export(self, services: Services, suite: Suite, run: str) -> None:
        from tui.golden.export_screen import ReportScreen

        folder = Path.cwd()
        runs = runs_folder(services.settings.data_dir)
        name = await off_loop(lambda: proposed(folder, suite.name, run), "golden-export")
        screen = ReportScreen("Export what the run found", folder, name, partial(write_report, runs, run, suite))
        if said := await self.app.push_screen_wait(screen):
            self.notify(said, timeout=10)
