"""Which report a file's ending asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.errors import EngineError
from core.golden.reports.junit import junit
from core.golden.reports.page import page
from core.golden.reports.report import Report
from core.golden.reports.text import markdown, table

WRITERS: dict[str, Callable[[Report], str]] = {
    ".md": markdown,
    ".csv": table,
    ".xml": junit,
    ".html": page,
    ".htm": page,
}


class NoSuchReport(EngineError):
    """No report has that ending."""

    code = "no_such_report"


def writer_for(file: Path) -> Callable[[Report], str]:
    """What writes a file of this name. Raises NoSuchReport."""
    found = WRITERS.get(file.suffix.lower())
    if found is None:
        raise NoSuchReport(
            f"{file} has no ending that names a report: .md is Markdown, .csv a table, .xml JUnit, .html a page."
        )
    return found
