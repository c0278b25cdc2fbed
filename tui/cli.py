"""The command line `assay`: without arguments it opens the workbench. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from tui.cli_golden import app as golden_app
from tui.cli_models import app as models_app

if TYPE_CHECKING:
    from core.errors import EngineError
    from core.settings import Settings

LIBRARIES = ("mlx", "mlx-lm", "mlx-vlm", "transformers", "textual")
"""Whose versions decide what the program does."""
WRONG_USAGE, INFRASTRUCTURE = 2, 4
USAGE_CODES = frozenset({"settings_error", "model_not_found", "invalid_request", "unsupported_input", "invalid_image"})
"""Errors of what was asked for; every other error is one of the machine or the program."""

app = typer.Typer(
    name="assay",
    help="A terminal workbench for MLX models: chat, golden prompts, and a local API over the models you loaded.",
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
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


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on. [default: the settings']")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The port; 0 takes any free one.")] = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A model to load at once; may be repeated.")
    ] = None,
    drain: Annotated[float, typer.Option(min=0, help="Seconds that running requests get when it is stopped.")] = 10.0,
) -> None:
    """Serve the OpenAI and the Anthropic protocol without the workbench, until ctrl+c."""
    from core.errors import EngineError
    from tui.cli_serve import serve_until_stopped

    leave_to_rank_0()
    changed: dict[str, object] = {"host": host, "port": port}
    try:
        serve_until_stopped(settings_with(**changed), model or [], drain)
    except EngineError as error:
        fail_with(error)


@app.command()
def chat(
    model: Annotated[str | None, typer.Option(metavar="ID", help="Who answers; the quick tier's text model.")] = None,
    system: Annotated[str, typer.Option(help="A system prompt.")] = "",
    image: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="An image for the first message; may be repeated.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(min=0, max=2, help="0 is greedy.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Where an answer is cut off.")] = 1024,
) -> None:
    """Chat line by line, for pipes and screen readers: a message a line, the answer as plain text."""
    from core.errors import EngineError
    from tui.cli_chat import chat_plainly
    from tui.conversation import ChatSettings

    leave_to_rank_0()
    try:
        chosen = ChatSettings(system=system, temperature=temperature, max_tokens=max_tokens)
        chat_plainly(settings_with(), model, chosen, image or [])
    except EngineError as error:
        fail_with(error)


@app.command()
def key() -> None:
    """Print the key that the API asks for."""
    from core.settings import api_key

    print(api_key(settings_with()))  # noqa: T201


def leave_to_rank_0() -> None:
    """Under mlx.launch, let rank 0 alone have a face. Exits with a sentence if following it fails."""
    from core.errors import EngineError
    from tui.following import follow_if_launched

    try:
        follow_if_launched()
    except EngineError as error:
        fail_with(error)


def settings_with(**changed: object) -> Settings:
    """The settings with what the command line changed; None leaves a value. Exits with a sentence if they are wrong."""
    from core.errors import EngineError
    from core.settings import load_settings

    try:
        return load_settings(**{name: value for name, value in changed.items() if value is not None})
    except EngineError as error:
        fail_with(error)


def fail(sentence: str, code: int) -> NoReturn:
    """Say one sentence on standard error and leave."""
    from core.text_safety import clean

    print(f"assay: {clean(sentence)}", file=sys.stderr)  # noqa: T201
    raise typer.Exit(code)


def fail_with(error: EngineError) -> NoReturn:
    """Leave with an error's own sentence, and the exit code of its kind."""
    fail(error.message, WRONG_USAGE if error.code in USAGE_CODES else INFRASTRUCTURE)


def main() -> None:
    """The entry point of the command: what nothing else has put into a sentence becomes one here."""
    from core.errors import EngineError

    try:
        app(prog_name="assay")
    except EngineError as error:
        _leave(error.message, WRONG_USAGE if error.code in USAGE_CODES else INFRASTRUCTURE)
    except BrokenPipeError:
        sys.exit(1)  # whoever read our output has left
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        _leave(
            f"{named}{error.strerror or error}. ASSAY_DATA_DIR names another folder for what is kept.", INFRASTRUCTURE
        )


def _leave(sentence: str, code: int) -> NoReturn:
    from core.text_safety import clean

    print(f"assay: {clean(sentence)}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
