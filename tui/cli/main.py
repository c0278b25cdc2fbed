"""The command `assay`. Without arguments it opens the workbench, and reads no more than that takes."""

from __future__ import annotations

import sys

from tui.cli.common import INFRASTRUCTURE, INTERRUPTED, end_at_once_if_busy, exit_code, fail
from tui.cli.early import leaving_quietly
from tui.cli.encoding import OutputFailed, forget_output, guard_streams
from tui.cli.workbench import open_workbench


def main() -> None:
    """The entry point of the command. It ends within seconds, whatever an engine is at."""
    try:
        _run()
    except SystemExit as end:
        end_at_once_if_busy(end.code)
        raise
    end_at_once_if_busy(None)


def _run() -> None:
    """Do what the command line says: what nothing else has put into a sentence becomes one here."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    with leaving_quietly(command):
        from core.errors import EngineError
        from core.log_lines import guard_last_resort

        guard_streams()
        guard_last_resort()
    try:
        if not command:
            open_workbench()
        else:
            with leaving_quietly(command):
                from tui.cli.commands import app
            try:
                app(prog_name="assay")
            finally:
                sys.stdout.flush()  # at the end of the program nobody could say what fails
    except EngineError as error:
        fail(error.message, exit_code(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.exit(1)  # whoever read our output has left
    except OutputFailed as error:
        forget_output()
        fail(f"What is printed cannot be written to {error.filename}: {error.strerror}.", INFRASTRUCTURE)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        fail(f"{named}{error.strerror or error}. ASSAY_DATA_DIR names another folder for what is kept.", INFRASTRUCTURE)
