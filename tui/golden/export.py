"""The run that a pane shows, written into a file for people without Assay; without widgets."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from core.errors import EngineError
from core.golden.suite import Suite
from tui.figures import size
from tui.golden.kept import as_shown

FORMATS = {
    ".html": "one page: images, word diffs, filters",
    ".md": "Markdown: a table, and what failed",
    ".csv": "a row for each attempt",
    ".xml": "JUnit: a test for each case",
}
"""By a file's ending, what is written."""


class NotWritten(EngineError):
    """The file could not be written."""

    code = "not_written"


def proposed(folder: Path, suite: str, run: str) -> str:
    """A name that no file in the folder has: `golden-mine-20261129-093000.html`."""
    safe = re.sub(r"[^\w-]+", "-", suite).strip("-")
    stem = "-".join(filter(None, ("golden", safe, *run.split("-")[:2])))
    names = (f"{stem}{f'-{count}' if count else ''}" for count in range(1_000))
    return next(
        (name for name in names if not any((folder / f"{name}{ending}").exists() for ending in FORMATS)), stem
    ) + (next(iter(FORMATS)))


def target(folder: Path, name: str) -> Path:
    """The file that is meant by what was typed, in the folder where it is a name alone."""
    path = Path(name.strip())
    try:
        path = path.expanduser()
    except RuntimeError:  # there is no such user
        pass
    return folder / path


def check_target(file: Path) -> bool:
    """Whether there is such a file already. Raises NoSuchReport for an ending of no report, and NotWritten."""
    from core.golden.reports.write import writer_for

    try:
        if file.is_dir():
            raise NotWritten(f"{file} is a folder: name a file in it.")
        writer_for(file)
        if not file.parent.is_dir():
            raise NotWritten(f"There is no folder {file.parent}: make it, or name another.")
        return file.exists()
    except (OSError, ValueError) as error:
        raise NotWritten(f"{file} cannot be written: {getattr(error, 'strerror', None) or error}.") from error


def write_report(runs: Path, run: str, suite: Suite, file: Path) -> str:
    """Write a kept run as the pane shows it; returns a sentence that says where it is. Raises NoSuchRun, NoSuchReport
    and NotWritten."""
    from core.atomic import write_atomically
    from core.golden.reports.report import report_of
    from core.golden.reports.write import writer_for

    report = report_of(as_shown(runs, run, suite))
    data = writer_for(file)(report).encode("utf-8", "replace")
    try:
        write_atomically(file, data)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = f"{size(len(data))} are needed: make room, or name another folder" if full else "name another folder"
        raise NotWritten(f"{file} cannot be written ({error.strerror or error}): {advice}.") from error
    count = len(report.cases)
    return f"Wrote {count} case{'s' * (count != 1)} of the run {run} to {file} ({size(len(data))})."
