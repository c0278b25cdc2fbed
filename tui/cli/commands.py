"""The commands of `assay` and its options. Nothing heavy is imported before it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tui.cli.bench import bench
from tui.cli.chat import chat
from tui.cli.common import WRONG_USAGE, fail
from tui.cli.golden import app as golden_app
from tui.cli.key import app as key_app
from tui.cli.models import app as models_app
from tui.cli.models_disk import delete, show
from tui.cli.models_download import download
from tui.cli.models_search import search
from tui.cli.serve import serve
from tui.cli.workbench import open_workbench

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
app.command()(bench)
app.add_typer(golden_app, name="golden")
for command in (search, download, show, delete):
    models_app.command()(command)
app.add_typer(models_app, name="models")
app.add_typer(key_app, name="key")


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
        Path | None,
        typer.Option(metavar="FOLDER", help="The golden suite to open, or built-in; else the last one."),
    ] = None,
) -> None:
    """Open the workbench, unless a command is named."""
    if version:
        _print_version(verbose)
    if verbose:
        fail("--verbose goes with --version.", WRONG_USAGE)
    if context.invoked_subcommand is None:
        open_workbench(_checked(suite) if suite is not None else None)
    elif suite is not None:
        fail(f"--suite before {context.invoked_subcommand} has no effect: it is for the workbench alone.", WRONG_USAGE)


def _checked(suite: Path) -> Path:
    """The folder that is meant; "built-in" is the one that ships. Exits with a sentence where there is no suite."""
    from core.errors import EngineError
    from core.golden.reading import require_suite
    from core.golden.suite import BUILTIN

    if str(suite) == "built-in" and not suite.exists():
        return BUILTIN
    try:
        require_suite(suite)
    except EngineError as error:
        fail(error.message, WRONG_USAGE)
    return suite
