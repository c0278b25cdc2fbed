"""The workbench as what `assay` does without a command."""

from __future__ import annotations

import sys
from pathlib import Path

from tui.cli.common import WRONG_USAGE, fail, leave_to_rank_0


def open_workbench(suite: Path | None = None) -> None:
    """Run the workbench until it is left, then end the program. Exits with a sentence where there is no terminal."""
    leave_to_rank_0()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        fail(
            "The workbench needs a terminal. Without one there are: assay serve, assay golden run, assay chat, "
            "assay models list.",
            WRONG_USAGE,
        )
    from tui.run import run_workbench

    sys.exit(run_workbench(suite))
