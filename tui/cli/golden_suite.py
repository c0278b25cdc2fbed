"""What the golden commands share: a suite opened and linted, the models that answer, errors as sentences."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from tui.cli.encoding import OutputFailed, clean, forget_output, shown_line

if TYPE_CHECKING:
    from rich.console import Console

    from core.golden.plan import Plan
    from core.golden.results import RunFolder
    from core.golden.suite import Problem, Suite


def open_suite(folder: Path | None) -> Suite:
    """The suite, linted: warnings are shown, errors end the command."""
    from core.golden.lint import lint_folder
    from core.golden.reading import require_suite
    from core.golden.suite import BUILTIN

    if folder is not None:
        require_suite(folder)
    suite, problems = lint_folder(folder or BUILTIN, models_on_disk())
    for problem in problems:
        print(problem_line(problem), file=sys.stderr)  # noqa: T201
    errors = sum(not problem.warning for problem in problems)
    if errors or suite is None:
        fail(f"The suite cannot be run: {errors} error{'s' * (errors != 1)}.")
    return suite


def open_kept(run: str) -> RunFolder:
    """A kept run by its name, or for "last" what was said last of every case, with a line on standard error where
    that is of several runs. Raises NoSuchRun."""
    from core.golden.history.joined import JoinedRun, meant
    from core.settings import load_settings

    kept = meant(load_settings().data_dir / "runs", run)
    if isinstance(kept, JoinedRun):
        last = kept.folders[-1]
        what = "asked a part of the suite" if last.left_out else "was stopped"
        line = f"note: {last.id} {what} and lies on top of {kept.folders[0].id}; by its name it stands alone."
        print(shown_line(line), file=sys.stderr)  # noqa: T201
    return kept


def problem_line(problem: Problem) -> str:
    """A fault of a suite on one line, whatever its files are called."""
    return shown_line(f"{'warning' if problem.warning else 'error'}: {problem}")


def models_on_disk() -> list[str]:
    """The ids of the models that are here."""
    from core.catalog import Catalog
    from core.settings import load_settings

    return [info.id for info in Catalog(load_settings()).list()]


def print_models(console: Console, plan: Plan) -> None:
    """Which model answers for each tier, and how it is asked."""
    from tui.cli.golden_table import model_lines

    for line in model_lines(plan):
        console.print(line)


def fail(sentence: str, code: int = 2) -> NoReturn:
    """Say one sentence on standard error and leave."""

    print(clean(sentence), file=sys.stderr)  # noqa: T201
    raise typer.Exit(code)


def check_writable(json_file: Path | None) -> None:
    """End the command before anything is done where the folder of --json is not there."""
    if json_file is not None and str(json_file) != "-" and not json_file.resolve().parent.is_dir():
        fail(f"{json_file} cannot be written: the folder {json_file.resolve().parent} does not exist.")


def write_json(file: Path, text: str) -> None:
    """Write what --json asked for; - is standard output."""
    if str(file) == "-":
        sys.stdout.write(text)
        return
    from core.atomic import write_atomically

    try:
        write_atomically(file, text.encode("utf-8", "replace"))
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}.", code=4)


@contextmanager
def sentences() -> Iterator[None]:
    """Turn what goes wrong outside the attempts into a sentence and an exit code."""
    from core.errors import EngineError, ModelBroken, ModelNotFound, SettingsError
    from core.golden.explain.asking import CannotExplain
    from core.golden.results import NoSuchRun, RunBusy
    from core.golden.suite import SuiteError

    try:
        yield
    except (SuiteError, SettingsError, ModelNotFound, ModelBroken, NoSuchRun, RunBusy, CannotExplain) as error:
        fail(str(error), code=2)
    except EngineError as error:
        fail(str(error), code=4)
    except KeyboardInterrupt:
        fail("Stopped.", code=130)
    except BrokenPipeError:  # whoever read our output has left; 1 would say that a golden failed
        forget_output()
        raise typer.Exit(4) from None
    except (OutputFailed, typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except Exception as error:  # a fault of ours must not look like a golden that failed
        traceback.print_exc()
        fail(f"This is a fault of assay: {type(error).__name__}: {error}. Nothing was judged.", code=4)
