"""The golden commands over kept runs: judged anew, reviewed, compared, explained, written for others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tui.cli.golden_check import check_run
from tui.cli.golden_compare import compare_runs
from tui.cli.golden_duel import duel_run, print_results
from tui.cli.golden_explain import explain_case
from tui.cli.golden_options import CaseGlobs, JsonFile, KeptRun, LastOrNamed, OneTier, OtherSuite, Program, RunOption
from tui.cli.golden_report import export as export_for
from tui.cli.golden_report import write_reports
from tui.cli.golden_review import accept_answers, review_answers
from tui.cli.golden_runs import list_runs
from tui.cli.golden_suite import check_writable, sentences


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


def accept(
    run: LastOrNamed = "last",
    suite_option: OtherSuite = None,
    case: CaseGlobs = None,
    tier: OneTier = None,
) -> None:
    """Accept what a run says otherwise than before, but for what fails: as files in the suite's folder accepted/."""
    with sentences():
        raise typer.Exit(accept_answers(run, suite_option, case or [], tier.value if tier else None))


def review(
    run: LastOrNamed = "last",
    suite_option: OtherSuite = None,
    case: CaseGlobs = None,
    tier: OneTier = None,
) -> None:
    """Look at what a run says otherwise than before, one answer at a time: a accept, r reject, s skip, q quit.

    Shows the image, the words that went and came, and whether the answer holds. A run itself never accepts anything.
    """
    with sentences():
        raise typer.Exit(review_answers(run, suite_option, case or [], tier.value if tier else None))


def duel(
    run: LastOrNamed = "last",
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


def compare(
    base: Annotated[str, typer.Argument(metavar="[BASE]", help="The earlier run; that before RUN when left out.")] = "",
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="The later run.")] = "last",
    json_file: JsonFile = None,
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


def runs(
    suite: Annotated[
        Path | None, typer.Argument(metavar="[SUITE]", help="Only runs of this folder; of all when left out.")
    ] = None,
    case: Annotated[
        list[str] | None,
        typer.Option("--case", "--only", metavar="GLOB", help="How these cases went, a sign for each run."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The latest N runs.")] = 20,
    json_file: JsonFile = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make the index of the runs anew.")] = False,
) -> None:
    """List the kept runs, the latest first; with --case, how cases went from run to run, the oldest first."""
    with sentences():
        check_writable(json_file)
        raise typer.Exit(list_runs(suite, case or [], limit, json_file, rebuild=rebuild))


def report(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="By its ending: .html, .md, .csv, or .xml for JUnit.")
    ],
    run: RunOption = "last",
    base: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Show what changed since this run, as compare names it: previous, :quick, …"),
    ] = None,
) -> None:
    """Write a kept run as one HTML page, Markdown, CSV or JUnit XML, beside the answers that its suite keeps.

    With --base, it stands beside another run in place of those: what regressed, improved, or has another answer.
    """
    with sentences():
        raise typer.Exit(write_reports(run, base, files))


def export(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where it goes; made where it is not there.")],
    to: Annotated[Program, typer.Option("--to", help="Which program is to read it.")],
    run: RunOption = "last",
    suite: Annotated[
        Path | None, typer.Option("--suite", metavar="FOLDER", help="A suite in place of a run; for promptfoo.")
    ] = None,
) -> None:
    """Write a kept run for another program that evaluates: eval logs of Inspect, or a project of promptfoo.

    Inspect gets a log for each tier and model: inspect view --log-dir FOLDER. promptfoo gets a test for each case with
    its images, whose answers are those of the run; with --suite, it asks the models itself, by way of assay serve. What
    has no counterpart there is named.
    """
    with sentences():
        raise typer.Exit(export_for(to.value, folder, run, suite))


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
    suite_option: OtherSuite = None,
    json_file: JsonFile = None,
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
