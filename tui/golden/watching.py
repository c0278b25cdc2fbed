"""A suite that is read, and read again when its files change on disk; the linter's messages go with it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from textual import work
from textual.content import Content
from textual.widgets import Static

from core.errors import EngineError
from core.golden.reading import load_suite
from core.golden.rejudge import judged_now
from core.golden.suite import BUILTIN, Suite, SuiteError
from core.golden.watching import Stamps, stamps
from tui.background import off_loop
from tui.foreign import one_line, plain
from tui.golden.board import Board
from tui.golden.choosing import ChosenCases
from tui.golden.watched import by_case, faults, line, linted

log = logging.getLogger(__name__)

LOOK_S = 2.0
"""How often it is looked whether a file has changed."""


class WatchedSuite(ChosenCases):
    """What a pane over a suite has of its files."""

    def __init__(self, id: str, suite: Path) -> None:
        super().__init__(id)
        self._folder = suite
        self._suite_read = asyncio.Event()
        self._stamps: Stamps | None = None
        """The files as they were read; None before that."""
        self._looking = False
        self._faults = ""
        """Why the files cannot be run as they are now."""

    def _was_read(self) -> None:
        """The suite is there, perhaps once more."""

    def on_mount(self) -> None:
        self.set_interval(LOOK_S, self._look)

    @property
    def suite_folder(self) -> str:
        """The suite's folder, "" for the built-in one."""
        return "" if self._folder == BUILTIN else str(self._folder.resolve())

    def open_suite(self, folder: Path) -> None:
        """Show another suite."""
        self.last_run = self.last_run if folder == self._folder else ""
        self._folder = folder
        self._suite_read.clear()
        self._read()

    @work(exclusive=True, group="suite")
    async def _read(self) -> None:
        folder = self._folder
        try:
            self._stamps = await off_loop(lambda: stamps(folder), "suite-stamps")
            suite = await off_loop(lambda: load_suite(folder), "suite")
            kept = list(self._board.attempts.values())
            shown, was = await off_loop(lambda: judged_now(suite, kept), "golden-recall")
        except EngineError as error:
            self._say_why_not(folder, error)
            return
        self._faults = ""
        before, self._suite = self._board, suite
        self._board = Board.of(suite.cases)
        if before.cases and self._suite_read.is_set():  # the same suite, once more
            self._board.recall(shown, was | before.judged)
            self._board.marked = before.marked & self._board.cases.keys()
        self._redraw()
        self._suite_read.set()
        self._was_read()
        self._lint(suite)
        self._stand()

    def _say_why_not(self, folder: Path, error: EngineError) -> None:
        """Below the line of the suite where one is shown, which stays; else in place of the rows."""
        told = faults(error) if isinstance(error, SuiteError) else error.message
        self._faults = told.replace(f"{folder.resolve()}{os.sep}", "").replace(f"{folder}{os.sep}", "")
        if self._suite is not None and self._suite.path == folder:
            self._say(plain(f"Not read anew, the rows are as before: {self._faults}", "$error"))
        else:
            self._suite, self._board = None, Board()
            self.table.say(self._faults)
            self._say(Content(""))
            self._redraw()

    def _say(self, content: Content) -> None:
        below = self.query_one("#golden-faults", Static)
        below.display = bool(content.plain)
        below.update(content)

    @work(exclusive=True, group="lint")
    async def _lint(self, suite: Suite) -> None:
        """Tell what is doubtful where it belongs. The built-in suite is the program's own."""
        if suite.path == BUILTIN:
            self._say(Content(""))
            return
        services = self._services

        def models() -> Sequence[str]:
            return [info.id for info in services.engine.catalog.list()] if services else ()

        try:
            problems = await off_loop(lambda: linted(suite.path, models), "lint")
        except (EngineError, OSError) as error:
            log.info("The suite is not linted: %s", error)
            return
        if suite is self._suite:
            self._board.problems = by_case(suite.cases, problems)
            self._say(plain(one_line(line(self._board.problems)), "$warning"))
            self._redraw()

    async def _look(self) -> None:
        """Read the suite again where a file has changed, but not while it is run."""
        if self._looking or self.busy or self._folder == BUILTIN or self._stamps is None:
            return
        self._looking = True
        folder = self._folder
        try:
            now = await off_loop(lambda: stamps(folder), "suite-stamps")
        finally:
            self._looking = False
        if now != self._stamps and folder == self._folder and not self.busy:
            self._read()

    def _start(self, case_ids: Sequence[str]) -> None:
        if self._faults and not self.busy:
            self.notify(self._faults, title="The suite's files have faults", severity="error", timeout=10)
        else:
            super()._start(case_ids)
