"""What goes out and comes in: `assay golden report`, `export` and `import`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tui.cli.encoding import shown_line
from tui.cli.golden_suite import check_writable, fail, open_kept, open_suite, write_json

if TYPE_CHECKING:
    from core.golden.compare.sides import Side
    from core.golden.reports.report import Report


def check_reports(files: Sequence[Path]) -> None:
    """End the command before anything is done where a report cannot be written."""
    from core.golden.reports.write import NoSuchReport, writer_for

    for file in files:
        try:
            writer_for(file)
        except NoSuchReport as error:
            fail(error.message)
        check_writable(file)


def write_reports(run: str, base: str | None, files: Sequence[Path]) -> int:
    """Write a kept run into each file, by its ending, beside another one where a `base` is named; returns the exit
    code. Raises EngineError."""
    from core.golden.compare.sides import open_sides
    from core.golden.history.joined import meant
    from core.golden.reports.write import writer_for
    from core.settings import load_settings

    check_reports(files)
    runs = load_settings().data_dir / "runs"
    report = _report(run, open_sides(runs, base, run, meant)[0] if base else None)
    for file in files:
        write_json(file, writer_for(file)(report))
        print(shown_line(f"{file}: {_cases(len(report.cases))} of {report.run}."))  # noqa: T201
    return 0


def _report(run: str, base: Side | None = None) -> Report:
    """The report of a kept run, several as one with what they come to together. Raises NoSuchRun."""
    from core.golden.history.joined import JoinedRun
    from core.golden.reading import read_suite
    from core.golden.reports.report import report_of
    from core.golden.suite import BUILTIN

    kept = open_kept(run)
    if isinstance(kept, JoinedRun) and (suite := read_suite(kept.suite or BUILTIN)[0]) is not None:
        kept.weigh(suite)
    return report_of(kept, base)


def export(to: str, folder: Path, run: str, suite: Path | None) -> int:
    """Write a kept run, or a suite, as `to`, another program, reads it, into a folder; returns the exit code. Raises
    EngineError."""
    if to == "inspect":
        if suite is not None:
            fail("Inspect's logs are of a run: leave out --suite, or export --to promptfoo.")
        return _export_inspect(run, folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        fail(f"{folder} is there already: name a folder that is not, or is empty.")
    return _export_promptfoo(run, suite, folder)


def _export_inspect(run: str, folder: Path) -> int:
    from core.golden.neighbours.inspect_log import inspect_logs

    logs = inspect_logs(_report(run))
    _make(folder)
    for name, text in logs.items():
        write_json(folder / name, text)
        print(shown_line(str(folder / name)))  # noqa: T201
    return 0


def _export_promptfoo(run: str, suite: Path | None, folder: Path) -> int:
    from core.catalog import Catalog
    from core.golden.models import from_disk
    from core.golden.neighbours.promptfoo_project import CONFIG, project_of_run, project_of_suite
    from core.golden.plan import answering
    from core.settings import load_settings

    settings = load_settings()
    url = f"http://{settings.host}:{settings.port}/v1"
    if suite is None:
        project = project_of_run(_report(run), url)
    else:
        opened = open_suite(suite)
        catalog = Catalog(settings)
        here = [info.id for info in catalog.list()]
        project = project_of_suite(opened, answering(opened, from_disk(catalog, settings)), url, here)
    if not project.tests:
        fail("There is no case that promptfoo could test.")
    for name, content in project.files.items():
        _make((folder / name).parent)
        if isinstance(content, str):
            write_json(folder / name, content)
        else:
            _copy(content, folder / name)
    for note in project.notes:
        print(shown_line(f"note: {note}"))  # noqa: T201
    how = "ASSAY_KEY=$(assay key) " if project.asks else ""
    when = ", while assay serve runs" if project.asks else ""
    tests = f"{project.tests} test{'' if project.tests == 1 else 's'}"
    command = f"{how}promptfoo eval --no-cache -c {shlex.quote(str(folder / CONFIG))}"
    print(shown_line(f"{tests}{when}: {command}"))  # noqa: T201
    return 0


def _cases(count: int) -> str:
    return f"{count} case{'' if count == 1 else 's'}"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"{folder} cannot be made: {error.strerror}.", code=4)


def _copy(source: Path, file: Path) -> None:
    import shutil

    try:
        shutil.copyfile(source, file)
    except OSError as error:
        fail(f"{source} cannot be copied to {file}: {error.strerror}.", code=4)


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
