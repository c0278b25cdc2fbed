"""`assay golden`: run a suite of golden prompts, look for faults in it, list it, or make one of live traffic."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tui.cli.encoding import shown_line
from tui.cli.golden_check import check_run
from tui.cli.golden_compare import compare_runs
from tui.cli.golden_duel import duel_run, print_results
from tui.cli.golden_explain import explain_case
from tui.cli.golden_record import record
from tui.cli.golden_report import export_inspect, import_suite, write_reports
from tui.cli.golden_review import accept_answers, list_accepted, review_answers
from tui.cli.golden_run import run_suite
from tui.cli.golden_runs import list_runs
from tui.cli.golden_shadow import shadow
from tui.cli.golden_suite import check_writable, fail, models_on_disk, open_suite, print_models, problem_line, sentences
from tui.cli.rank_follower import follow_if_launched

app = typer.Typer(
    name="golden",
    help="Run prompts whose answers are known, on a quick and a full model side by side.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class RouteName(StrEnum):
    """What --route takes."""

    IN_PROCESS = "in-process"
    OPENAI = "openai"
    RESPONSES = "responses"
    ANTHROPIC = "anthropic"
    ALL = "all"


class TierName(StrEnum):
    """What --tier takes."""

    QUICK = "quick"
    FULL = "full"


SuiteFolder = Annotated[
    Path | None, typer.Argument(metavar="[SUITE]", help="A folder of prompts; the built-in suite when left out.")
]
KeptRun = Annotated[str, typer.Argument(metavar="[RUN]", help="The name of a kept run.")]
OtherSuite = Annotated[
    Path | None, typer.Option("--suite", metavar="FOLDER", help="Another suite than the one it was made with.")
]
CaseGlobs = Annotated[
    list[str] | None,
    typer.Option("--case", "--only", metavar="GLOB", help="Only cases whose id matches; may be repeated."),
]
OneTier = Annotated[TierName | None, typer.Option(help="Only what this tier answered.")]
SuiteOption = Annotated[Path | None, typer.Option("--suite", metavar="FOLDER", help="The same as SUITE.")]


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
        raise typer.Exit(run_suite(asked, resume, json_file, key, strict=strict, verbose=verbose))


@app.command()
def lint(suite: SuiteFolder = None, suite_option: SuiteOption = None) -> None:
    """Look for faults in a suite without asking a model. Exit code 2 when it cannot be run as it is."""
    from core.golden.lint import lint_folder
    from core.golden.suite import BUILTIN

    with sentences():
        found, problems = lint_folder(_one_of(suite, suite_option) or BUILTIN, models_on_disk())
        for problem in problems:
            print(problem_line(problem))  # noqa: T201
        errors = sum(not problem.warning for problem in problems)
        cases = len(found.cases) if found else 0
        print(f"{cases} cases, {errors} errors, {len(problems) - errors} warnings.")  # noqa: T201
        raise typer.Exit(2 if errors else 0)


@app.command()
def check(
    run: KeptRun = "last",
    suite_option: OtherSuite = None,
    strict: Annotated[bool, typer.Option("--strict", help="As for run.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show all answers with their verdicts.")] = False,
) -> None:
    """Judge the kept answers of a run by what the suite expects now, without asking a model.

    Nothing is written. The exit code is the one that the run would have now.
    """
    with sentences():
        raise typer.Exit(check_run(run, suite_option, strict=strict, verbose=verbose))


@app.command()
def accept(
    run: KeptRun = "last",
    suite_option: OtherSuite = None,
    case: CaseGlobs = None,
    tier: OneTier = None,
) -> None:
    """Accept what a run says otherwise than before, but for what fails: as files in the suite's folder accepted/."""
    with sentences():
        raise typer.Exit(accept_answers(run, suite_option, case or [], tier.value if tier else None))


@app.command()
def review(
    run: KeptRun = "last",
    suite_option: OtherSuite = None,
    case: CaseGlobs = None,
    tier: OneTier = None,
) -> None:
    """Look at what a run says otherwise than before, one answer at a time: a accept, r reject, s skip, q quit.

    Shows the image, the words that went and came, and whether the answer holds. A run itself never accepts anything.
    """
    with sentences():
        raise typer.Exit(review_answers(run, suite_option, case or [], tier.value if tier else None))


@app.command()
def duel(
    run: KeptRun = "last",
    suite_option: OtherSuite = None,
    case: CaseGlobs = None,
    results: Annotated[bool, typer.Option("--results", help="Show what the votes come to, with names.")] = False,
    all_runs: Annotated[
        bool, typer.Option("--all-runs", help="Results of all runs of the suite that RUN was made with.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the results as JSON; - is standard output.")
    ] = None,
) -> None:
    """Judge two models' answers to a case without being told whose they are: 1, 2 or 0 for a tie, u undo.

    Takes the answers of the quick and the full model, or of any two that --model asked; sides and order are random.
    Votes are kept at once, in duels.jsonl beside the run. The names come with the last pair, or with --results: cases
    won, the exact sign test, and a ranking of more than two models.
    """
    with sentences():
        if results or all_runs or json_file is not None:
            check_writable(json_file)
            raise typer.Exit(print_results(run, json_file, every_run=all_runs))
        raise typer.Exit(duel_run(run, suite_option, case or []))


@app.command()
def accepted(
    suite: SuiteFolder = None,
    suite_option: SuiteOption = None,
    remove_unused: Annotated[
        bool, typer.Option("--remove-unused", help="Delete the answers that no case uses any more.")
    ] = False,
) -> None:
    """List a suite's accepted answers, and those that no case uses any more."""
    with sentences():
        raise typer.Exit(list_accepted(_one_of(suite, suite_option), remove_unused=remove_unused))


@app.command()
def compare(
    base: Annotated[str, typer.Argument(metavar="[BASE]", help="The earlier run; that before RUN when left out.")] = "",
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="The later run.")] = "last",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write it as JSON; - is standard output.")
    ] = None,
    max_regressions: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="How many cases of a tier may regress; as the suite says."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="All cases, with their answers in full.")] = False,
) -> None:
    """Compare two runs case by case: what regressed and improved first, with an exact test.

    A name is that of a run, "last", "previous" or, for BASE, "accepted"; behind a colon stands what of it is meant, a
    tier, a route or a model: compare last:quick last:full. Exit codes: 0, 3 when more cases regressed than may, 2 for
    no such run.
    """
    with sentences():
        check_writable(json_file)
        raise typer.Exit(compare_runs(base, run, json_file, max_regressions, verbose=verbose))


@app.command()
def runs(
    suite: Annotated[
        Path | None, typer.Argument(metavar="[SUITE]", help="Only runs of this folder; of all when left out.")
    ] = None,
    case: Annotated[
        list[str] | None,
        typer.Option("--case", "--only", metavar="GLOB", help="How these cases went, a sign for each run."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The latest N runs.")] = 20,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write it as JSON; - is standard output.")
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make the index of the runs anew.")] = False,
) -> None:
    """List the kept runs, the latest first; with --case, how cases went from run to run, the oldest first."""
    with sentences():
        check_writable(json_file)
        raise typer.Exit(list_runs(suite, case or [], limit, json_file, rebuild=rebuild))


@app.command()
def report(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="By its ending: .html, .md, .csv, or .xml for JUnit.")
    ],
    run: Annotated[str, typer.Option("--run", metavar="RUN", help="The name of a kept run.")] = "last",
) -> None:
    """Write a kept run as one HTML page, Markdown, CSV or JUnit XML, beside the answers that its suite keeps."""
    with sentences():
        raise typer.Exit(write_reports(run, files))


@app.command("export-inspect")
def export_inspect_logs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the logs go; made where it is not there.")],
    run: Annotated[str, typer.Option("--run", metavar="RUN", help="The name of a kept run.")] = "last",
) -> None:
    """Write a kept run as eval logs of Inspect, one for each tier and model: inspect view --log-dir FOLDER."""
    with sentences():
        raise typer.Exit(export_inspect(run, folder))


@app.command("import")
def import_cases(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="promptfoo's .yaml, or samples of Inspect as .jsonl.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The suite to be made.")],
) -> None:
    """Make a suite of a promptfoo project or of Inspect's samples; what has no counterpart here is named."""
    with sentences():
        raise typer.Exit(import_suite(source, folder))


@app.command()
def explain(
    case: Annotated[str, typer.Argument(metavar="CASE", help="The case's id.")],
    base: Annotated[
        str, typer.Argument(metavar="[BASE]", help="Where the first answer is; in RUN when left out.")
    ] = "",
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="Where the other answer is.")] = "last",
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Score the first answer under this model, too; may be repeated."),
    ] = None,
    answer: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Score this text in place of the first answer.")
    ] = None,
    suite_option: Annotated[
        Path | None, typer.Option("--suite", metavar="FOLDER", help="Another suite than the one it was made with.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write it as JSON; - is standard output.")
    ] = None,
) -> None:
    """Say why two answers to a case differ, and how likely models find an answer.

    Shows the first token at which the answers part, what both models held for likely there, and whether the margin is
    within the noise floor, which is measured; then the first answer under each model, in bits per byte, and where in it
    models with one vocabulary part.

    Names are those of compare, and "accepted" is the accepted answer: explain capital :quick last:full. Without any,
    two answers of the last run that differ.
    """
    with sentences():
        check_writable(json_file)
        raise typer.Exit(explain_case(case, base, run, model or [], answer, suite_option, json_file))


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Of images and questions; it may be new.")],
) -> None:
    """Make a starter suite of a folder's images and .txt questions; nothing that is there is changed."""
    from core.golden.starter import start_suite

    with sentences():
        for name in start_suite(folder):
            print(shown_line(str(folder / name)))  # noqa: T201
        print(shown_line(f"Next: say in the sidecars what is expected, then assay golden run {folder}."))  # noqa: T201


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
    from core.tiers import Tier
    from tui.cli.console import new_console

    with sentences():
        settings = load_settings()
        plan = make_plan(open_suite(_one_of(suite, suite_option)), from_disk(Catalog(settings), settings), RunOptions())
        table = Table(expand=True, show_lines=True)
        for column in ("case", "images", *Tier):
            table.add_column(column, overflow="fold")
        for one in plan.suite.cases:
            images = ", ".join(image.path.name for image in one.all_images)
            expects = (describe(one.expected(tier)) for tier in Tier)
            table.add_row(*(Text(shown_line(cell)) for cell in (one.id, images, *expects)))
        console = new_console()
        console.print(table)
        print_models(console, plan)


app.command()(record)
app.command()(shadow)


def _one_of(argument: Path | None, option: Path | None) -> Path | None:
    """The suite, by whichever of the two ways it was named."""
    if argument is not None and option is not None:
        fail(f"Two suites are named, {argument} and {option}: name one.")
    return option if argument is None else argument


def _refuse_beside_resume(context: typer.Context) -> None:
    """A resumed run is what it was: options that would change it are refused."""
    free = {"resume", "json_file", "strict", "verbose", "key"}
    given = [
        name.removesuffix("_option")
        for name in context.params
        if name not in free and getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]
    if given:
        fail(f"--resume takes up a run as it was: leave out {', '.join(given)}.")
