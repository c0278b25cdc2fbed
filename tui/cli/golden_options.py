"""Options and arguments that several golden commands take."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tui.cli.golden_suite import fail


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


class Program(StrEnum):
    """What --to takes."""

    INSPECT = "inspect"
    PROMPTFOO = "promptfoo"


SuiteFolder = Annotated[
    Path | None, typer.Argument(metavar="[SUITE]", help="A folder of prompts; the built-in suite when left out.")
]
KeptRun = Annotated[str, typer.Argument(metavar="[RUN]", help="The name of a kept run.")]
LastOrNamed = Annotated[
    str, typer.Argument(metavar="[RUN]", help="The name of a kept run; last is what was said last of each case.")
]
OtherSuite = Annotated[
    Path | None, typer.Option("--suite", metavar="FOLDER", help="Another suite than the one it was made with.")
]
CaseGlobs = Annotated[
    list[str] | None,
    typer.Option("--case", "--only", metavar="GLOB", help="Only cases whose id matches; may be repeated."),
]
OneTier = Annotated[TierName | None, typer.Option(help="Only what this tier answered.")]
SuiteOption = Annotated[Path | None, typer.Option("--suite", metavar="FOLDER", help="The same as SUITE.")]
Quick = Annotated[str | None, typer.Option(metavar="ID", help="The quick tier's model.")]
Full = Annotated[str | None, typer.Option(metavar="ID", help="The full tier's model.")]
Models = Annotated[
    list[str] | None,
    typer.Option(metavar="ID", help="Ask this model every case, by the full tier's measure; may be repeated."),
]
Tiers = Annotated[list[TierName] | None, typer.Option(help="Only this tier; with --model, whose measure holds.")]
Controls = Annotated[
    bool, typer.Option("--controls/--no-controls", help="Ask the controls that the suite declares: they must fail.")
]
AllowPython = Annotated[
    bool, typer.Option("--allow-python", help="Let the suite's own Python functions run: they can do what you can.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show answers in full.")]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write it as JSON; - is standard output.")
]
RunOption = Annotated[
    str,
    typer.Option("--run", metavar="RUN", help="The name of a kept run; last is what was said last of each case."),
]


def one_of(argument: Path | None, option: Path | None) -> Path | None:
    """The suite, by whichever of the two ways it was named."""
    if argument is not None and option is not None:
        fail(f"Two suites are named, {argument} and {option}: name one.")
    return option if argument is None else argument
