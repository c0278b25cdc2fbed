"""`assay golden`: run a suite of golden prompts, look for faults in it, list it, or make one of live traffic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from tui.cli.golden_files import accepted, import_cases, init, lint, list_cases
from tui.cli.golden_kept import accept, check, compare, duel, explain, export_inspect_logs, report, review, runs
from tui.cli.golden_options import CaseGlobs, RouteName, SuiteFolder, SuiteOption, TierName, one_of
from tui.cli.golden_record import record
from tui.cli.golden_run import run_suite
from tui.cli.golden_shadow import shadow
from tui.cli.golden_suite import check_writable, fail, sentences
from tui.cli.rank_follower import follow_if_launched

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
    quick: Annotated[str | None, typer.Option(metavar="ID", help="The quick tier's model.")] = None,
    full: Annotated[str | None, typer.Option(metavar="ID", help="The full tier's model.")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Ask this model every case, by the full tier's measure; may be repeated."),
    ] = None,
    tier: Annotated[
        list[TierName] | None, typer.Option(help="Only this tier; with --model, whose measure holds.")
    ] = None,
    route: Annotated[
        list[RouteName] | None, typer.Option(help="How the models are asked; may be repeated. [default: in-process]")
    ] = None,
    case: CaseGlobs = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only cases that failed in the suite's last run.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the whole run as JSON; - is standard output.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail also for what was skipped, left out, or could show nothing.")
    ] = False,
    controls: Annotated[
        bool,
        typer.Option("--controls/--no-controls", help="Ask the controls that the suite declares: they must fail."),
    ] = True,
    repeats: Annotated[int | None, typer.Option(min=1, max=1000, help="Ask each case this often.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The first repeat's seed; each next one adds 1.")] = None,
    metric: Annotated[
        str | None, typer.Option(metavar="METRIC", help="What repeats come to: rate, pass@K or pass^K.")
    ] = None,
    in_flight: Annotated[int, typer.Option(min=1, max=64, help="Cases of one model under way together.")] = 8,
    isolated: Annotated[
        bool, typer.Option("--isolated-times", help="One attempt at a time, nothing cached: times of a model alone.")
    ] = False,
    url: Annotated[str | None, typer.Option(help="Ask this server; without it, one is started for the run.")] = None,
    key: Annotated[str, typer.Option(envvar="ASSAY_GOLDEN_KEY", show_envvar=True, help="The key to --url.")] = "",
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Take up a run that was stopped: its name, or last.")
    ] = None,
    allow_python: Annotated[
        bool, typer.Option("--allow-python", help="Let the suite's own Python functions run: they can do what you can.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show answers in full.")] = False,
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
        "ids": None,
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
    "export-inspect": export_inspect_logs,
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
