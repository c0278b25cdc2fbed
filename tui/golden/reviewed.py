"""A suite whose answers are held against the accepted ones: what is pending, and its review."""

from __future__ import annotations

import logging
from pathlib import Path

from textual import work

from core.errors import EngineError
from core.golden.baselines.files import read_accepted, require_own
from core.golden.baselines.review import Review
from core.golden.baselines.standing import Candidate, candidates, pending, rejected
from core.golden.history.joined import joined
from core.golden.reading import NOT_PROMPTS
from core.golden.results import Attempt, NoSuchRun, RunFolder
from core.golden.suite import Suite
from core.tiers import Tier
from tui.background import off_loop
from tui.golden.record import runs_folder
from tui.golden.running import RunningSuite

log = logging.getLogger(__name__)

NOTHING_YET = "Nothing has been run that could be accepted: R runs the suite."
NOTHING_PENDING = "Nothing is pending: what was said last is accepted, or was rejected."


class ReviewedSuite(RunningSuite):
    """What a pane over a suite has of its accepted answers."""

    @work(exclusive=True, group="golden-standing")
    async def _stand(self) -> None:
        """Find out which cases have pending answers. A suite that keeps none is left alone, as in a run."""
        suite, board = self._suite, self._board
        if suite is None:
            return
        runs, name, attempts = self._runs, self.last_run, list(board.attempts.values())
        try:
            waiting = await off_loop(lambda: _standing(suite, attempts, runs, name), "golden-standing")
        except EngineError as error:
            log.info("What is pending is not shown: %s", error)
            return
        if board is self._board:
            board.changes, board.pending = {}, {}
            for one in waiting:  # the worst come first
                board.changes.setdefault(one.case.id, one.change)
                for tier in one.tiers:
                    board.pending.setdefault((one.case.id, Tier(tier)), one)
            self._redraw()

    @property
    def _runs(self) -> Path | None:
        return runs_folder(self._services.settings.data_dir) if self._services else None

    def action_review(self) -> None:
        if self.busy:
            self.notify("The run goes on: what is pending can be reviewed when it has ended.")
        elif self._suite is not None:
            self._review(self._suite)

    @work(exclusive=True, group="golden-review")
    async def _review(self, suite: Suite) -> None:
        from tui.golden.review_screen import ReviewScreen

        attempts, runs, name = list(self._board.attempts.values()), self._runs, self.last_run
        if not attempts:
            self.notify(NOTHING_YET)
            return
        try:
            review = await off_loop(lambda: _prepared(suite, attempts, runs, name), "golden-review")
        except EngineError as error:
            self.notify(error.message, title="No review", severity="warning", timeout=10)
            return
        if not review.waiting:
            self.notify(NOTHING_PENDING)
            return
        here = (place for place, one in enumerate(review.waiting) if one.case.id == self._row)
        review.place = next(here, 0)
        await self.app.push_screen_wait(ReviewScreen(review))
        self._stand()

    @property
    def _row(self) -> str | None:
        """The case that the person is on."""
        return None


def _standing(suite: Suite, attempts: list[Attempt], runs: Path | None, name: str) -> list[Candidate]:
    if not (suite.path / NOT_PROMPTS).is_dir():
        return []
    return _waiting(suite, attempts, _folder(runs, name))


def _prepared(suite: Suite, attempts: list[Attempt], runs: Path | None, name: str) -> Review:
    """Raises SuiteError for the built-in suite."""
    require_own(suite)
    folder = _folder(runs, name)
    return Review(suite, _waiting(suite, attempts, folder), folder)


def _waiting(suite: Suite, attempts: list[Attempt], folder: RunFolder | None) -> list[Candidate]:
    accepted, _ = read_accepted(suite.path)
    return pending(candidates(suite, accepted, attempts), rejected(folder) if folder else ())


def _folder(runs: Path | None, name: str) -> RunFolder | None:
    """The run that keeps what is rejected; None where none is kept."""
    try:
        return joined(runs, name) if runs and name else None
    except NoSuchRun:
        return None
