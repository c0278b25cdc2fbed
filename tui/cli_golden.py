"""`assay golden`: run a suite of golden prompts, look for faults in it, or list it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from tui.following import follow_if_launched

if TYPE_CHECKING:
    from rich.console import Console

    from core.engine import Engine
    from core.golden.models import Chooser
    from core.golden.plan import Plan
    from core.golden.progress import RunEvent
    from core.golden.results import RunFolder
    from core.golden.suite import Suite

app = typer.Typer(
    name="golden",
    help="Run prompts whose answers are known, on a quick and a full model side by side.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

READY_S = 120.0
"""Importing MLX takes seconds at most; after this the engine says for itself what is wrong."""


class RouteName(StrEnum):
    """What --route takes."""

    IN_PROCESS = "in-process"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    ALL = "all"


SuiteFolder = Annotated[
    Path | None, typer.Argument(metavar="[SUITE]", help="A folder of prompts; the built-in suite when left out.")
]
SuiteOption = Annotated[Path | None, typer.Option("--suite", metavar="FOLDER", help="The same as SUITE.")]


@app.command()
def run(
    context: typer.Context,
    suite: SuiteFolder = None,
    suite_option: SuiteOption = None,
    quick: Annotated[str | None, typer.Option(metavar="ID", help="The quick tier's model.")] = None,
    full: Annotated[str | None, typer.Option(metavar="ID", help="The full tier's model.")] = None,
    route: Annotated[
        list[RouteName] | None, typer.Option(help="How the models are asked; may be repeated. [default: in-process]")
    ] = None,
    case: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only cases whose id matches; may be repeated.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the whole run as JSON; - is standard output.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Count skips and unexpected passes as failures.")] = False,
    controls: Annotated[
        bool,
        typer.Option("--controls", help="Also show vision cases another image, and none: they must fail."),
    ] = False,
    repeats: Annotated[int | None, typer.Option(min=1, max=1000, help="Ask each case this often.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The first repeat's seed; each next one adds 1.")] = None,
    in_flight: Annotated[int, typer.Option(min=1, max=64, help="Cases of one model under way together.")] = 4,
    url: Annotated[str | None, typer.Option(help="Ask this server; without it, one is started for the run.")] = None,
    key: Annotated[str, typer.Option(envvar="ASSAY_GOLDEN_KEY", show_envvar=True, help="The key to --url.")] = "",
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Take up a run that was stopped: its name, or last.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show answers in full.")] = False,
) -> None:
    """Run a suite on both tiers and compare each answer with what is expected of it.

    Exit codes: 0 all hold, 1 a golden failed, 2 the suite or the command line is wrong, 3 only the routes disagree,
    4 something else went wrong, 130 stopped.
    """
    suite = _one_of(suite, suite_option)
    asked = {
        "suite": str(suite.resolve()) if suite else None,
        "quick": quick,
        "full": full,
        "route": [name.value for name in route or [RouteName.IN_PROCESS]],
        "case": case or [],
        "controls": controls,
        "repeats": repeats,
        "seed": seed,
        "in_flight": in_flight,
        "url": url,
    }
    with _sentences():
        follow_if_launched()
        if resume is not None:
            _refuse_beside_resume(context)
        if json_file is not None and str(json_file) != "-" and not json_file.resolve().parent.is_dir():
            _fail(f"{json_file} cannot be written: the folder {json_file.resolve().parent} does not exist.")
        raise typer.Exit(_run(asked, resume, json_file, key, strict=strict, verbose=verbose))


@app.command()
def lint(suite: SuiteFolder = None, suite_option: SuiteOption = None) -> None:
    """Look for faults in a suite without asking a model. Exit code 2 when it cannot be run as it is."""
    from core.golden.lint import lint_folder
    from core.golden.suite import BUILTIN
    from core.text_safety import clean

    with _sentences():
        found, problems = lint_folder(_one_of(suite, suite_option) or BUILTIN)
        for problem in problems:
            print(clean(f"{'warning' if problem.warning else 'error'}: {problem}"))  # noqa: T201
        errors = sum(not problem.warning for problem in problems)
        cases = len(found.cases) if found else 0
        print(f"{cases} cases, {errors} errors, {len(problems) - errors} warnings.")  # noqa: T201
        raise typer.Exit(2 if errors else 0)


@app.command("list")
def list_cases(suite: SuiteFolder = None, suite_option: SuiteOption = None) -> None:
    """List a suite's cases, what they expect, and the models that would answer."""
    from rich.table import Table
    from rich.text import Text

    from core.catalog import Catalog
    from core.golden.expressions import describe
    from core.golden.models import from_disk
    from core.golden.plan import RunOptions, make_plan
    from core.settings import load_settings
    from core.text_safety import clean
    from core.tiers import Tier

    with _sentences():
        settings = load_settings()
        plan = make_plan(
            _open_suite(_one_of(suite, suite_option)), from_disk(Catalog(settings), settings), RunOptions()
        )
        table = Table(expand=True, show_lines=True)
        for column in ("case", "images", *Tier):
            table.add_column(column, overflow="fold")
        for one in plan.suite.cases:
            images = ", ".join(image.path.name for image in one.images)
            expects = (describe(one.expected(tier)) for tier in Tier)
            table.add_row(*(Text(clean(cell)) for cell in (one.id, images, *expects)))
        console = _console()
        console.print(table)
        _print_models(console, plan)


# -- the run ---------------------------------------------------------------------------------------------------------


def _run(
    asked: dict[str, Any], resume: str | None, json_file: Path | None, key: str, *, strict: bool, verbose: bool
) -> int:
    """Plan, run, show and record; the exit code."""
    from core.golden.outcome import outcome
    from core.golden.parity import compare_routes
    from core.golden.provenance import header
    from core.golden.results import RunFolder, document
    from core.golden.run import GoldenRun
    from core.settings import load_settings
    from tui.golden_table import parity_lines, results_table, summary_line
    from tui.golden_ways import open_ways

    settings = load_settings()
    runs = settings.data_dir / "runs"
    folder = RunFolder.open(runs, resume) if resume else None
    if folder is not None:
        asked = folder.header["asked"]
    suite = _open_suite(Path(asked["suite"]) if asked["suite"] else None)
    console = _console(stderr=str(json_file) == "-")
    with ExitStack() as stack:
        engine, routes, choose = open_ways(stack, asked, key, settings)
        plan = _plan(suite, choose, asked, engine)
        status = engine.status() if engine else None
        if folder is None:
            folder = _create(runs, {**header(plan, status), "asked": asked}, console)
        _print_models(console, plan)
        started = time.monotonic()
        done = folder.attempts() if folder and resume else []
        with _progress(console, plan) as listener:
            result = GoldenRun(plan, routes, engine, listener, folder, done).run()
        elapsed_s = time.monotonic() - started
    parity = compare_routes(result.attempts, suite.gates)
    weighed = outcome(result.attempts, parity, suite.gates, strict=strict, interrupted=result.interrupted)
    console.print(results_table(result.attempts, verbose=verbose))
    for line in (*parity_lines(parity, plan.options.routes), *weighed.reasons):
        console.print(line)
    console.print(summary_line(weighed, elapsed_s))
    if folder is not None:
        _close(folder, weighed.to_json(), console)
    if json_file is not None:
        head = {**(folder.header if folder else header(plan, status)), "outcome": weighed.to_json()}
        _write_json(json_file, document(head, result.attempts, [found.to_json() for found in parity.breaks]))
    return int(weighed.code)


def _plan(suite: Suite, choose: Chooser, asked: dict[str, Any], engine: Engine | None) -> Plan:
    from core.golden.plan import RunOptions, make_plan
    from tui.golden_ways import route_names

    options = RunOptions(
        routes=tuple(route_names(asked["route"])),
        cases=tuple(asked["case"]),
        repeats=asked["repeats"],
        seed=asked["seed"],
        controls=asked["controls"],
        in_flight=asked["in_flight"],
    )
    return make_plan(suite, choose, options, _budget(engine) if engine else 0)


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


def _write_json(file: Path, text: str) -> None:
    if str(file) == "-":
        sys.stdout.write(text)
        return
    draft = file.with_name(file.name + ".new")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, file)
    except OSError as error:
        _fail(f"{file} cannot be written: {error.strerror}.", code=4)


# -- what a person sees ----------------------------------------------------------------------------------------------


def _one_of(argument: Path | None, option: Path | None) -> Path | None:
    """The suite, by whichever of the two ways it was named."""
    if argument is not None and option is not None:
        _fail(f"Two suites are named, {argument} and {option}: name one.")
    return option if argument is None else argument


def _open_suite(folder: Path | None) -> Suite:
    """The suite, linted: warnings are shown, errors end the command."""
    from core.golden.lint import lint_folder
    from core.golden.reading import require_suite
    from core.golden.suite import BUILTIN
    from core.text_safety import clean

    if folder is not None:
        require_suite(folder)
    suite, problems = lint_folder(folder or BUILTIN)
    for problem in problems:
        typer.echo(clean(f"{'warning' if problem.warning else 'error'}: {problem}"), err=True)
    errors = sum(not problem.warning for problem in problems)
    if errors or suite is None:
        _fail(f"The suite cannot be run: {errors} error{'s' * (errors != 1)}.")
    return suite


def _console(stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False)


def _print_models(console: Console, plan: Plan) -> None:
    from tui.golden_table import model_lines

    for line in model_lines(plan):
        console.print(line)


@contextmanager
def _progress(console: Console, plan: Plan) -> Iterator[Any]:
    """A listener that shows how the run goes on: a bar on a terminal, a line for each attempt in a pipe."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    from core.golden.progress import AnswerDelta, AttemptFinished, AttemptStarted, ModelLoading, RunWarning
    from core.text_safety import clean
    from tui.golden_table import progress_line

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
                bar.update(task, description=clean(f"loading {model}"))
            case AttemptStarted(planned):
                said[planned.index] = ""
            case AnswerDelta(planned, text):
                said[planned.index] = (said[planned.index] + clean(text))[-200:]
                label = f"{planned.case.id} {planned.tier}: {' '.join(said[planned.index].split())}"
                bar.update(task, description=label[: max(console.width - 40, 20)])
            case AttemptFinished(_, attempt):
                done += 1
                bar.update(task, completed=done)
                if not live:
                    console.print(progress_line(attempt, done, total), soft_wrap=True)
            case RunWarning(message):
                console.print(clean(message), style="yellow")

    with bar:
        yield listener


# -- errors ----------------------------------------------------------------------------------------------------------


def _fail(sentence: str, code: int = 2) -> NoReturn:
    from core.text_safety import clean

    typer.echo(clean(sentence), err=True)
    raise typer.Exit(code)


@contextmanager
def _sentences() -> Iterator[None]:
    """Turn what goes wrong outside the attempts into a sentence and an exit code."""
    from core.errors import EngineError, ModelBroken, ModelNotFound, SettingsError
    from core.golden.results import NoSuchRun
    from core.golden.suite import SuiteError

    try:
        yield
    except (SuiteError, SettingsError, ModelNotFound, ModelBroken, NoSuchRun) as error:
        _fail(str(error), code=2)
    except EngineError as error:
        _fail(str(error), code=4)
    except KeyboardInterrupt:
        _fail("Stopped.", code=130)


def _refuse_beside_resume(context: typer.Context) -> None:
    """A resumed run is what it was: options that would change it are refused."""
    free = {"resume", "json_file", "strict", "verbose", "key"}
    given = [
        name.removesuffix("_option")
        for name in context.params
        if name not in free and getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]
    if given:
        _fail(f"--resume takes up a run as it was: leave out {', '.join(given)}.")
