"""`assay golden`: run a suite of golden prompts, look for faults in it, list it, or make one of live traffic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from tui.cli.golden_files import accepted, import_cases, init, lint, list_cases
from tui.cli.golden_kept import accept, check, compare, duel, explain, export, report, review, runs
from tui.cli.golden_options import (
    AllowPython,
    CaseGlobs,
    Controls,
    Full,
    Models,
    Quick,
    RouteName,
    SuiteFolder,
    SuiteOption,
    Tiers,
    Verbose,
    one_of,
)
from tui.cli.golden_record import record
from tui.cli.golden_run import read_ids, run_suite
from tui.cli.golden_shadow import shadow
from tui.cli.golden_suite import check_writable, fail, sentences
from tui.cli.golden_watch import watch_suite
from tui.cli.rank_follower import follow_if_launched

IN_FLIGHT = 8
"""As a plan has it, which is imported later."""
app = typer.Typer(
    name="golden",
    help="Run prompts whose answers are known, on a quick and a full model side by side.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def run(
    context: typer.Context,
    suite: SuiteFolder = None,
    suite_option: SuiteOption = None,
    quick: Quick = None,
    full: Full = None,
    model: Models = None,
    tier: Tiers = None,
    route: Annotated[
        list[RouteName] | None, typer.Option(help="How the models are asked; may be repeated. [default: in-process]")
    ] = None,
    case: CaseGlobs = None,
    ids: Annotated[
        Path | None,
        typer.Option("--ids", metavar="FILE", help="Only cases whose ids are in this file, one a line; - is stdin."),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only cases that failed in the suite's last run.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the whole run as JSON; - is standard output.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail also for what was skipped, left out, or could show nothing.")
    ] = False,
    controls: Controls = True,
    repeats: Annotated[int | None, typer.Option(min=1, max=1000, help="Ask each case this often.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The first repeat's seed; each next one adds 1.")] = None,
    metric: Annotated[
        str | None, typer.Option(metavar="METRIC", help="What repeats come to: rate, pass@K or pass^K.")
    ] = None,
    in_flight: Annotated[int, typer.Option(min=1, max=64, help="Cases of one model under way together.")] = IN_FLIGHT,
    isolated: Annotated[
        bool, typer.Option("--isolated-times", help="One attempt at a time, nothing cached: times of a model alone.")
    ] = False,
    url: Annotated[str | None, typer.Option(help="Ask this server; without it, one is started for the run.")] = None,
    key: Annotated[str, typer.Option(envvar="ASSAY_GOLDEN_KEY", show_envvar=True, help="The key to --url.")] = "",
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Take up a run that was stopped: its name, or last.")
    ] = None,
    allow_python: AllowPython = False,
    verbose: Verbose = False,
    images: Annotated[
        bool | None,
        typer.Option(
            "--images/--no-images",
            help="Small images in the table. [default: where the terminal has graphics]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run a suite on both tiers and compare each answer with what is expected of it.

    Exit codes: 0 all hold, 1 a golden failed, 2 the suite or the command line is wrong, 3 only the routes disagree,
    4 something else went wrong, 130 stopped.
    """
    suite = one_of(suite, suite_option)
    asked = {
        "suite": str(suite.resolve()) if suite else None,
        "quick": quick,
        "full": full,
        "model": list(dict.fromkeys(model or [])),
        "tier": [name.value for name in tier or []],
        "route": [name.value for name in route or [RouteName.IN_PROCESS]],
        "case": case or [],
        "failed": failed,
        "ids": None if resume else read_ids(ids),
        "controls": controls,
        "repeats": repeats,
        "seed": seed,
        "metric": metric,
        "isolated": isolated,
        "in_flight": in_flight,
        "url": url,
        "python": allow_python,
    }
    with sentences():
        follow_if_launched()
        if resume is not None:
            _refuse_beside_resume(context)
        check_writable(json_file)
        raise typer.Exit(run_suite(asked, resume, json_file, key, strict=strict, verbose=verbose, images=images))


@app.command()
def watch(
    suite: SuiteFolder = None,
    suite_option: SuiteOption = None,
    quick: Quick = None,
    full: Full = None,
    model: Models = None,
    tier: Tiers = None,
    case: CaseGlobs = None,
    controls: Controls = True,
    allow_python: AllowPython = False,
    verbose: Verbose = False,
) -> None:
    """Run what changes whenever a file of the suite is saved, with the models kept in memory; ctrl+c ends it.

    A case is run when its prompt, sidecar, images or variables have changed, what golden.toml says of it, or a Python
    file that grades it. Where only what is expected has changed, the answer is kept and judged anew. It begins with
    what has changed since the suite's last run, and keeps no run of its own. Exit codes: 0 when it is ended while it
    waits, 130 in the middle of a run, 2 for no such suite or model.
    """
    folder = one_of(suite, suite_option)
    if folder is None:
        fail("watch needs a suite of your own, as a folder: the built-in one does not change.")
    asked = {
        "suite": str(folder),
        "quick": quick,
        "full": full,
        "model": list(dict.fromkeys(model or [])),
        "tier": [name.value for name in tier or []],
        "route": [RouteName.IN_PROCESS.value],
        "case": case or [],
        "controls": controls,
        "repeats": None,
        "seed": None,
        "metric": None,
        "isolated": False,
        "in_flight": IN_FLIGHT,
        "url": None,
        "python": allow_python,
    }
    with sentences():
        raise typer.Exit(watch_suite(asked, verbose=verbose))


OTHERS: dict[str, Callable[..., None]] = {
    "lint": lint,
    "check": check,
    "accept": accept,
    "review": review,
    "duel": duel,
    "accepted": accepted,
    "compare": compare,
    "runs": runs,
    "report": report,
    "export": export,
    "import": import_cases,
    "explain": explain,
    "init": init,
    "list": list_cases,
    "record": record,
    "shadow": shadow,
}
"""The commands beside run, in the order of the help."""
for name, command in OTHERS.items():
    app.command(name)(command)


def _refuse_beside_resume(context: typer.Context) -> None:
    """A resumed run is what it was: options that would change it are refused."""
    free = {"resume", "json_file", "strict", "verbose", "key", "images"}
    given = [
        name.removesuffix("_option")
        for name in context.params
        if name not in free and getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]
    if given:
        fail(f"--resume takes up a run as it was: leave out {', '.join(given)}.")
