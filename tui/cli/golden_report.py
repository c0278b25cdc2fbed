"""What goes out and comes in: `assay golden report`, `export-inspect` and `import`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tui.cli.encoding import shown_line
from tui.cli.golden_suite import check_writable, fail, write_json


def check_reports(files: Sequence[Path]) -> None:
    """End the command before anything is done where a report cannot be written."""
    from core.golden.reports.write import NoSuchReport, writer_for

    for file in files:
        try:
            writer_for(file)
        except NoSuchReport as error:
            fail(error.message)
        check_writable(file)


def write_reports(run: str, files: Sequence[Path]) -> int:
    """Write a kept run into each file, by its ending; returns the exit code. Raises EngineError."""
    from core.golden.reports.report import report_of
    from core.golden.reports.write import writer_for
    from core.golden.results import RunFolder
    from core.settings import load_settings

    check_reports(files)
    report = report_of(RunFolder.open(load_settings().data_dir / "runs", run))
    for file in files:
        write_json(file, writer_for(file)(report))
        print(shown_line(f"{file}: {len(report.cases)} cases of {report.run}."))  # noqa: T201
    return 0


def export_inspect(run: str, folder: Path) -> int:
    """Write a kept run as Inspect's eval logs into a folder; returns the exit code. Raises EngineError."""
    from core.golden.neighbours.inspect_log import inspect_logs
    from core.golden.reports.report import report_of
    from core.golden.results import RunFolder
    from core.settings import load_settings

    logs = inspect_logs(report_of(RunFolder.open(load_settings().data_dir / "runs", run)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"{folder} cannot be made: {error.strerror}.", code=4)
    for name, text in logs.items():
        write_json(folder / name, text)
        print(shown_line(str(folder / name)))  # noqa: T201
    return 0


def import_suite(source: Path, folder: Path) -> int:
    """Make a suite of another program's file, and name what has no counterpart; returns the exit code. Raises
    SuiteError."""
    from core.golden.neighbours.incoming import read_incoming, write_incoming

    found = read_incoming(source)
    write_incoming(found, folder)
    for note in found.notes:
        print(shown_line(f"note: {note}"))  # noqa: T201
    print(shown_line(f"{folder}: {found.cases} prompt{'' if found.cases == 1 else 's'}."))  # noqa: T201
    return 0
