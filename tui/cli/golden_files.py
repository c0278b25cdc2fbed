"""The golden commands over a suite's files: looked through for faults, listed, begun, brought in from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tui.cli.encoding import shown_line
from tui.cli.golden_options import JsonFile, SuiteFolder, SuiteOption, one_of
from tui.cli.golden_report import import_suite
from tui.cli.golden_review import list_accepted
from tui.cli.golden_suite import (
    check_writable,
    models_on_disk,
    open_suite,
    print_models,
    problem_line,
    sentences,
    write_json,
)

if TYPE_CHECKING:
    from core.golden.plan import Plan


def lint(suite: SuiteFolder = None, suite_option: SuiteOption = None) -> None:
    """Look for faults in a suite without asking a model. Exit code 2 when it cannot be run as it is."""
    from core.golden.lint import lint_folder
    from core.golden.suite import BUILTIN

    with sentences():
        found, problems = lint_folder(one_of(suite, suite_option) or BUILTIN, models_on_disk())
        for problem in problems:
            print(problem_line(problem))  # noqa: T201
        errors = sum(not problem.warning for problem in problems)
        cases = len(found.cases) if found else 0
        print(f"{cases} cases, {errors} errors, {len(problems) - errors} warnings.")  # noqa: T201
        raise typer.Exit(2 if errors else 0)


def accepted(
    suite: SuiteFolder = None,
    suite_option: SuiteOption = None,
    remove_unused: Annotated[
        bool, typer.Option("--remove-unused", help="Delete the answers that no case uses any more.")
    ] = False,
) -> None:
    """List a suite's accepted answers, and those that no case uses any more."""
    with sentences():
        raise typer.Exit(list_accepted(one_of(suite, suite_option), remove_unused=remove_unused))


def import_cases(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="promptfoo's .yaml; Inspect's .jsonl, .json or .eval.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The suite to be made.")],
) -> None:
    """Make a suite of a promptfoo project, or of Inspect's samples or eval logs; what has no counterpart is named."""
    with sentences():
        raise typer.Exit(import_suite(source, folder))


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Of images and questions; it may be new.")],
) -> None:
    """Make a starter suite of a folder's images and .txt questions; nothing that is there is changed."""
    from core.golden.starter import start_suite

    with sentences():
        for name in start_suite(folder):
            print(shown_line(str(folder / name)))  # noqa: T201
        print(shown_line(f"Next: say in the sidecars what is expected, then assay golden run {folder}."))  # noqa: T201


def list_cases(suite: SuiteFolder = None, suite_option: SuiteOption = None, json_file: JsonFile = None) -> None:
    """List a suite's cases, what they expect, and the models that would answer."""
    from core.catalog import Catalog
    from core.golden.listing import listing
    from core.golden.models import from_disk
    from core.golden.plan import RunOptions, make_plan
    from core.settings import load_settings

    with sentences():
        check_writable(json_file)
        settings = load_settings()
        plan = make_plan(open_suite(one_of(suite, suite_option)), from_disk(Catalog(settings), settings), RunOptions())
        if json_file is not None:
            write_json(json_file, json.dumps(listing(plan), indent=2) + "\n")
        else:
            _print_cases(plan)


def _print_cases(plan: Plan) -> None:
    from rich.table import Table
    from rich.text import Text

    from core.golden.expressions import describe
    from core.tiers import Tier
    from tui.cli.console import new_console

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
