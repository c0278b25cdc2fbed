"""`assay golden watch`: what changed is run when a file of the suite is saved, with the models kept in memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui.cli.encoding import shown_line
from tui.cli.golden_suite import models_on_disk, problem_line

if TYPE_CHECKING:
    from rich.console import Console

    from core.golden.plan import Plan
    from core.golden.results import Attempt
    from core.golden.suite import Suite
    from core.golden.watching import Stamps

INTERRUPTED = 130
LOOK_S = 0.3
"""How often it is looked whether a file has changed."""
SETTLED_S = 0.1
"""Files that have not changed for so long are not being written."""
NAMED = 5
"""Files and cases that a line names before it says how many more there are."""


def watch_suite(asked: dict[str, Any], *, verbose: bool) -> int:
    """Run what has changed until ctrl+c; returns the exit code. `asked` is what the command line said. Raises
    EngineError."""
    from core.golden.history.joined import joined
    from core.golden.reading import require_suite
    from core.golden.results import latest_of
    from core.settings import load_settings
    from tui.cli.console import new_console
    from tui.cli.golden_routes import open_routes

    settings = load_settings()
    folder = Path(asked["suite"])
    require_suite(folder)
    last = latest_of(settings.data_dir / "runs", folder.resolve())
    with ExitStack() as stack:
        routed = open_routes(stack, asked, "", settings)
        watch = _Watch(folder, asked, routed, new_console(), verbose)
        if last is not None:
            watch.console.print(f"Answers of the run {last.id} are taken over where nothing has changed since.")
            watch.done = {one.key: one for one in joined(settings.data_dir / "runs", last.id).attempts()}
        try:
            while not watch.turn():
                watch.wait()
        except KeyboardInterrupt:
            watch.console.print("Stopped.")
            return 0
    return INTERRUPTED


@dataclass
class _Watch:
    """`done` are the attempts so far by their keys, of which the suite asks some as it is now."""

    folder: Path
    asked: dict[str, Any]
    routed: tuple[Any, ...]
    console: Console
    verbose: bool
    done: dict[str, Attempt] = field(default_factory=dict)
    _stamps: Stamps = field(default_factory=dict)
    _beside: list[Path] = field(default_factory=list)
    """Images outside the folder."""
    _files: list[Path] = field(default_factory=list)
    """What has changed since the last turn."""
    _said: set[str] = field(default_factory=set)
    """What the linter has said, so that it is said once."""

    def turn(self) -> bool:
        """Read the suite, and run what is not as it was; whether it was stopped in that."""
        from core.errors import EngineError
        from core.golden.watching import outside, stale, stamps

        self._stamps = self._stamps or stamps(self.folder)
        suite = self._read()
        if suite is None:
            self._tell("Nothing is run until that is mended.")
            return False
        beside = outside(suite)
        if beside != self._beside:
            self._beside = beside
            self._stamps = {**stamps(self.folder, beside), **self._stamps}
        try:
            plan = self._plan(suite, None)
            cases = stale(plan, self.done, self._files)
            stopped = self._run(suite, cases) if cases else False
        except EngineError as error:
            self._tell(error.message)
            return False
        self._files = []
        if not stopped:
            self._sum_up(plan, cases)
        return stopped

    def wait(self) -> None:
        """Return when a file has changed, and none does any more."""
        from core.golden.watching import changed, stamps

        now = self._stamps
        while now == self._stamps:
            time.sleep(LOOK_S)
            now = stamps(self.folder, self._beside)
        settled = None
        while settled != now:
            settled = now
            time.sleep(SETTLED_S)
            now = stamps(self.folder, self._beside)
        files = changed(self._stamps, now)
        self._stamps = now
        self._files = list(dict.fromkeys([*self._files, *files]))
        names = [
            str(file.relative_to(self.folder)) if file.is_relative_to(self.folder) else file.name for file in files
        ]
        self.console.print(shown_line(f"{_some(names)} changed."), soft_wrap=True, style="bold")

    def _read(self) -> Suite | None:
        """The suite; None where its files have faults, which are told with their places."""
        from core.golden.lint import lint_folder

        suite, problems = lint_folder(self.folder, models_on_disk())
        errors = [problem for problem in problems if not problem.warning]
        for problem in problems:
            line = problem_line(problem)
            if not problem.warning or line not in self._said:
                self.console.print(line, style="red" if problem in errors else "yellow", soft_wrap=True)
        self._said |= {problem_line(problem) for problem in problems}
        return None if errors else suite

    def _plan(self, suite: Suite, ids: Sequence[str] | None) -> Plan:
        from tui.cli.golden_run import plan_run

        engine, _, choose, fingerprint_of = self.routed
        return plan_run(suite, choose, self.asked | {"ids": ids}, engine, fingerprint_of)

    def _run(self, suite: Suite, cases: Sequence[str]) -> bool:
        """Run these cases, ask nothing of them anew that was asked, and show what they come to; whether it was
        stopped."""
        from core.golden.graded.program import may_run
        from core.golden.run import GoldenRun
        from core.golden.watching import without_programs
        from tui.cli.golden_run import show_progress
        from tui.cli.golden_table import results_table

        engine, routes, _, _ = self.routed
        plan = self._plan(suite, cases)
        before = [one for one in self.done.values() if one.case in cases]
        if any(file.suffix == ".py" for file in self._files):
            before = without_programs(before)
        python = self.asked["python"] or may_run(suite.path, engine.settings)
        with show_progress(self.console, plan) as listener:
            result = GoldenRun(plan, routes, engine, listener, None, before, python).run()
        self.done |= {one.key: one for one in result.attempts}
        self.console.print(results_table(result.attempts, verbose=self.verbose))
        return result.interrupted

    def _sum_up(self, plan: Plan, ran: Sequence[str]) -> None:
        """How the suite stands now, as far as it is watched."""
        from core.golden.results import Verdict

        bad = {Verdict.FAIL: "fails", Verdict.ERROR: "did not come about"}
        found: dict[tuple[str, str], list[str]] = {}
        for planned in plan.attempts:
            verdict = self.done[planned.key].verdict if planned.key in self.done else None
            if verdict in bad:
                found.setdefault((planned.case.id, bad[verdict]), []).append(planned.tier)
        named = [f"{case} ({', '.join(dict.fromkeys(tiers))}) {what}" for (case, what), tiers in found.items()]
        cases = len({planned.case.id for planned in plan.attempts})
        ran_of = f"{len(ran)} of {cases} case{'s' * (cases != 1)} run"
        skipped = [f"{one.case.id} ({one.tier}) is skipped, {one.skip}" for one in plan.skipped if not one.control]
        told = [_some(named) if named else "nothing fails", *([_some(skipped)] if skipped else [])]
        self._tell(f"{ran_of}; {'; '.join(told)}.", bad=bool(named))

    def _tell(self, sentence: str, *, bad: bool = False) -> None:
        self.console.print(shown_line(sentence), style="red" if bad else "", soft_wrap=True)
        waits = f"Waiting for a file of {self.folder} to be saved; ctrl+c ends."
        self.console.print(shown_line(waits), style="dim", soft_wrap=True)


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
