"""The command line `assay`: without arguments it opens the workbench. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tui.cli.chat import chat
from tui.cli.common import INFRASTRUCTURE, WRONG_USAGE, exit_code, fail, fail_with, leave_to_rank_0, say
from tui.cli.golden import app as golden_app
from tui.cli.key import key
from tui.cli.models import app as models_app
from tui.cli.serve import serve

LIBRARIES = ("mlx", "mlx-lm", "mlx-vlm", "transformers", "textual")
"""Whose versions decide what the program does."""
app = typer.Typer(
    name="assay",
    help="A terminal workbench for MLX models: chat, golden prompts, and a local API over the models you loaded.",
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve)
app.command()(chat)
app.command()(key)
app.add_typer(golden_app, name="golden")
app.add_typer(models_app, name="models")


def _print_version(verbose: bool) -> NoReturn:
    from importlib.metadata import version

    lines = [f"assay {version('mlx-assay')}"]
    if verbose:
        import platform

        from core import blas
        from core.errors import EngineError
        from core.settings import load_settings

        lines += [f"{name} {version(name)}" for name in LIBRARIES]
        lines += [f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"]
        try:
            settings = load_settings()
            lines += [f"BLAS: {blas.install(settings.cpu_openblas, settings.cache_dir)}"]
        except EngineError as error:
            lines += [f"BLAS: unknown. {error.message}"]
    print("\n".join(lines))  # noqa: T201
    raise typer.Exit


@app.callback()
def workbench(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="With --version: the libraries', and who multiplies on this machine, too.")
    ] = False,
    suite: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The golden suite to open; the built-in one when left out.")
    ] = None,
) -> None:
    """Open the workbench, unless a command is named."""
    if version:
        _print_version(verbose)
    if verbose:
        fail("--verbose goes with --version.", WRONG_USAGE)
    if context.invoked_subcommand is None:
        leave_to_rank_0()
        open_workbench(suite)
    elif suite is not None:
        fail(f"--suite before {context.invoked_subcommand} has no effect: it is for the workbench alone.", WRONG_USAGE)


def open_workbench(suite: Path | None = None) -> None:
    """Run the workbench until it is left. Exits with a sentence where there is no terminal or no such suite."""
    from core.errors import EngineError

    if suite is not None:
        from core.golden.reading import require_suite

        try:
            require_suite(suite)
        except EngineError as error:
            fail(error.message, WRONG_USAGE)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        fail(
            "The workbench needs a terminal. Without one there are: assay serve, assay golden run, assay chat, "
            "assay models list.",
            WRONG_USAGE,
        )
    from core.settings import load_settings

    try:
        settings = load_settings()
    except EngineError as error:
        fail_with(error)
    from tui.run import run_workbench

    raise typer.Exit(run_workbench(settings, suite))


def main() -> None:
    """The entry point of the command: what nothing else has put into a sentence becomes one here."""
    from core.errors import EngineError

    try:
        app(prog_name="assay")
    except EngineError as error:
        _leave(error.message, exit_code(error))
    except BrokenPipeError:
        sys.exit(1)  # whoever read our output has left
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        _leave(
            f"{named}{error.strerror or error}. ASSAY_DATA_DIR names another folder for what is kept.", INFRASTRUCTURE
        )


def _leave(sentence: str, code: int) -> NoReturn:
    say(sentence)
    sys.exit(code)
