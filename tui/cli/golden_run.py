"""`assay golden run` at work: planned, shown as it goes on, weighed and recorded."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tui.cli.golden_suite import fail, open_suite, print_models, write_json

if TYPE_CHECKING:
    from rich.console import Console

    from core.catalog import ModelInfo
    from core.engine import Engine
    from core.golden.models import Chooser
    from core.golden.plan import Plan
    from core.golden.progress import RunEvent
    from core.golden.results import RunFolder
    from core.golden.suite import Case, Suite

LATER = {"python": False, "model": [], "tier": [], "failed": False, "ids": None}
"""What is said of a run since later than its record's version: as it was before."""
READY_S = 120.0
"""Importing MLX takes seconds at most; after this the engine says for itself what is wrong."""


def run_suite(
    asked: dict[str, Any],
    resume: str | None,
    json_file: Path | None,
    key: str,
    *,
    strict: bool,
    verbose: bool,
    images: bool | None,
) -> int:
    """Plan, run, show and record; returns the exit code.

    `asked` is what the command line said, and `key` the key to its url. `images` None shows them where the terminal has
    graphics.
    """
    from core.golden.baselines.standing import against_baseline
    from core.golden.graded.program import may_run
    from core.golden.outcome import outcome
    from core.golden.parity import compare_routes
    from core.golden.provenance import header, left_out
    from core.golden.reports.cases import case_results
    from core.golden.results import RunFolder, document, several_models
    from core.golden.run import GoldenRun
    from core.settings import load_settings
    from tui.cli.console import new_console
    from tui.cli.golden_matrix import failure_lines, matrix_table
    from tui.cli.golden_routes import open_routes
    from tui.cli.golden_table import print_outcome, results_table
    from tui.cli.inline_images import small_images

    settings = load_settings()
    runs = settings.data_dir / "runs"
    folder = RunFolder.open(runs, resume) if resume else None
    if folder is not None:
        folder.take()
        asked = as_it_was(folder)
    suite = open_suite(Path(asked["suite"]) if asked["suite"] else None)
    if asked["ids"] is not None and folder is None:
        check_ids(asked["ids"], suite)
    if asked["failed"] and folder is None:
        failed = failed_before(runs, suite.path)
        asked |= {"ids": [one for one in failed if asked["ids"] is None or one in asked["ids"]]}
    console = new_console(stderr=str(json_file) == "-")
    with ExitStack() as stack:
        engine, routes, choose, fingerprint_of = open_routes(stack, asked, key, settings)
        plan = plan_run(suite, choose, asked, engine, fingerprint_of)
        status = engine.status() if engine else None
        if folder is None:
            folder = _create(runs, {**header(plan, status), "asked": asked}, console)
        else:
            folder.plan_anew({**header(plan, status), "asked": asked})
        print_models(console, plan)
        small = small_images(console, {one.case.id: _paths(one.case) for one in plan.attempts}, images)
        started = time.monotonic()
        done = folder.attempts() if folder and resume else []
        with show_progress(console, plan) as listener:
            python = asked["python"] or may_run(suite.path, settings)
            result = GoldenRun(plan, routes, engine, listener, folder, done, python).run()
        elapsed_s = time.monotonic() - started
    parity = compare_routes(result.attempts, suite.gates, own=asked["url"] is None)
    weighed = outcome(
        result.attempts,
        parity,
        plan.suite.gates,
        left_out=left_out(plan),
        strict=strict,
        interrupted=result.interrupted,
        baseline=against_baseline(suite, result.attempts),
    )
    if several_models(result.attempts) and not verbose:
        console.print(matrix_table(result.attempts))
        for line in failure_lines(result.attempts):
            console.print(line, soft_wrap=True)
    else:
        console.print(results_table(result.attempts, verbose=verbose, images=small))
    print_outcome(console, weighed, parity, plan.options.routes, elapsed_s)
    if folder is not None:
        _close(folder, weighed.to_json(), console)
    if json_file is not None:
        head = {**(folder.header if folder else header(plan, status)), "outcome": weighed.to_json()}
        breaks = [found.to_json() for found in parity.breaks]
        write_json(json_file, document(head, result.attempts, breaks, case_results(plan.suite, result.attempts)))
    return int(weighed.code)


def _paths(case: Case) -> list[Path]:
    return [image.path for image in case.all_images]


def as_it_was(folder: RunFolder) -> dict[str, Any]:
    """What a run was asked for. Raises NoSuchRun for a record of another version."""
    from core.golden.results import RECORD_VERSION, NoSuchRun

    asked: dict[str, Any] | None = folder.header.get("asked")
    if asked is None or folder.header.get("v") != RECORD_VERSION:
        raise NoSuchRun(
            f"The run {folder.id} was recorded in version {folder.header.get('v')}, and this is version "
            f"{RECORD_VERSION}: it cannot be taken up. Start it anew."
        )
    return LATER | asked


def read_ids(file: Path | None) -> list[str] | None:
    """The ids of cases in a file, one a line; - is standard input. None without a file. Ends the command where it
    cannot be read, or has none."""
    from core.golden.reading import suite_text

    if file is None:
        return None
    try:
        text = sys.stdin.read() if str(file) == "-" else suite_text(file)
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}.")
    found = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not found:
        fail(f"{file} names no case: --ids takes ids, one a line, as assay golden list shows them.")
    return found


def check_ids(ids: list[str], suite: Suite) -> None:
    """Raises SuiteError for an id that no case of the suite has."""
    from core.golden.nearest import did_you_mean
    from core.golden.suite import SuiteError

    known = [case.id for case in suite.cases]
    if unknown := [one for one in ids if one not in known]:
        more = f", nor {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise SuiteError(f"{suite.path} has no case {unknown[0]}{did_you_mean(unknown[0], known)}{more}.")


def failed_before(runs: Path, suite: Path) -> list[str]:
    """The ids of the cases that failed or did not come about when they were last run. Ends the command where there is
    none, and raises NoSuchRun where the suite was not run."""
    from core.golden.history.joined import joined
    from core.golden.results import NoSuchRun, Verdict, latest_of

    last = latest_of(runs, suite.resolve())
    if last is None:
        raise NoSuchRun(f"{suite} has not been run: --failed takes up what failed in its last run.")
    bad = (Verdict.FAIL, Verdict.ERROR)
    found = list(dict.fromkeys(one.case for one in joined(runs, last.id).as_planned() if one.verdict in bad))
    if not found:
        print(f"Nothing failed in {last.id}, the last run of {suite}.")  # noqa: T201
        raise typer.Exit(0)
    return found


def plan_run(
    suite: Suite,
    choose: Chooser,
    asked: dict[str, Any],
    engine: Engine | None,
    fingerprint_of: Callable[[ModelInfo], str],
) -> Plan:
    """The attempts that the command line asked for. Raises SuiteError."""
    from core.golden.plan import RunOptions, make_plan
    from core.tiers import Tier
    from tui.cli.golden_routes import route_names

    options = RunOptions(
        routes=tuple(route_names(asked["route"])),
        cases=tuple(asked["case"]),
        ids=None if asked["ids"] is None else tuple(asked["ids"]),
        models=tuple(asked["model"]),
        tiers=tuple(tier for tier in Tier if tier in _tiers(asked)),
        repeats=asked["repeats"],
        seed=asked["seed"],
        controls=asked["controls"],
        metric=asked["metric"],
        isolated=asked["isolated"],
        in_flight=asked["in_flight"],
    )
    return make_plan(suite, choose, options, _budget(engine) if engine else 0, fingerprint_of)


def _tiers(asked: dict[str, Any]) -> list[str]:
    """The tiers that were asked for: both, or of models that were named the full one."""
    from core.tiers import Tier

    return asked["tier"] or ([Tier.FULL] if asked["model"] else list(Tier))


def _budget(engine: Engine) -> int:
    """Bytes for all models, which the engine knows once MLX is up."""
    give_up = time.monotonic() + READY_S
    while not engine.status().memory_budget and time.monotonic() < give_up:
        time.sleep(0.02)
    return engine.status().memory_budget


def _create(runs: Path, head: dict[str, Any], console: Console) -> RunFolder | None:
    """The run's folder; a run goes on without one, as it would with a full disk."""
    from core.golden.results import RunFolder

    try:
        return RunFolder.create(runs, head)
    except OSError as error:
        console.print(
            f"{runs} cannot be written ({error.strerror}): the run is not kept.", markup=False, style="yellow"
        )
        return None


def _close(folder: RunFolder, weighed: dict[str, Any], console: Console) -> None:
    try:
        folder.finish(weighed)
        console.print(f"kept in {folder.path}", style="dim", soft_wrap=True)
    except OSError as error:
        console.print(f"{folder.path} cannot be written ({error.strerror}).", style="yellow")


def _cut(text: str, cells: int) -> str:
    """`text` as far as so many cells reach. Rich's own raises IndexError for a shorter one with wide characters."""
    from rich.cells import cell_len, split_text

    return text if cell_len(text) <= cells else split_text(text, cells)[0]


@contextmanager
def show_progress(console: Console, plan: Plan) -> Iterator[Any]:
    """A listener that shows how the run goes on: a bar on a terminal, a line for each attempt in a pipe."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    from core.golden.progress import AnswerDelta, AttemptFinished, AttemptStarted, Grading, ModelLoading, RunWarning
    from tui.cli.encoding import shown_line
    from tui.cli.golden_table import progress_line

    total = len(plan.attempts)
    live = console.is_terminal
    bar = Progress(
        SpinnerColumn(),
        BarColumn(20),
        MofNCompleteColumn(),
        TextColumn("{task.description}", markup=False),
        console=console,
        transient=True,
        disable=not live,
    )
    task = bar.add_task("", total=total)
    said: dict[int, str] = {}
    done = 0

    def listener(event: RunEvent) -> None:
        nonlocal done
        match event:
            case ModelLoading(model):
                bar.update(task, description=shown_line(f"loading {model}"))
            case AttemptStarted(planned):
                said[planned.index] = ""
            case AnswerDelta(planned, text):
                said[planned.index] = (said[planned.index] + text)[-200:]
                label = shown_line(f"{planned.case.id} {planned.tier}: {said[planned.index]}")
                bar.update(task, description=_cut(label, max(console.width - 40, 20)))
            case Grading(graded, checks):
                bar.update(task, description=f"grading {graded} of {checks}")
            case AttemptFinished(_, attempt):
                done += 1
                bar.update(task, completed=done)
                if not live:
                    console.print(progress_line(attempt, done, total), soft_wrap=True)
            case RunWarning(message):
                console.print(shown_line(message), style="yellow")

    with bar:
        yield listener
