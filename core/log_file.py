"""assay.log in the data folder, for every face that runs for long: its owner's alone, turned over, whole lines.

Several processes may write to one: each appends whole records, and of all who see that it is full one turns it over.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import logging
import os
import stat
import sys
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

from core.log_lines import FORMAT, LineFormatter
from core.regular_files import check_regular

LOG_BYTES = 1_000_000
BACKUPS = 2
QUIET = ("server", "uvicorn")
"""Whose records are about requests: on a terminal that serves they would bury what is said there."""


def log_file(data_dir: Path) -> Path:
    return data_dir / "assay.log"


def make_private(file: Path) -> None:
    """Make the folder, and close to others what earlier versions left open there.

    A folder that many use, as /tmp, and one of others, stay. Raises UnfitFile where the file is none, and OSError.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = file.parent.stat()
    if folder.st_uid == os.geteuid() and not folder.st_mode & stat.S_ISVTX and folder.st_mode & 0o077:
        file.parent.chmod(0o700)
    for old in (file, *(Path(f"{file}.{number + 1}") for number in range(BACKUPS))):
        with contextlib.suppress(FileNotFoundError):
            check_regular(old)
            old.chmod(0o600)


def open_private(file: Path | str) -> io.FileIO:
    """The file to append to, unbuffered; one that is made is its owner's. Raises OSError."""

    def opener(path: str, flags: int) -> int:
        return os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)

    return open(file, "ab", buffering=0, opener=opener)


class LogFile(RotatingFileHandler):
    """Three files of a megabyte. A record is one write, so that those of two processes do not mix."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, maxBytes=LOG_BYTES, backupCount=BACKUPS, delay=True)
        self.setFormatter(LineFormatter(FORMAT))
        self._file: io.FileIO | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = f"{self.format(record)}\n".encode("utf-8", "backslashreplace")
            self._with_room(len(line)).write(line)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        super().close()

    def _with_room(self, size: int) -> io.FileIO:
        """The file, turned over where `size` more bytes are too many, by us or by another process."""
        file = self._current()
        while (held := os.fstat(file.fileno()).st_size) > 0 and held + size > self.maxBytes:
            fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
            if self._is_current(file):
                self.doRollover()
            file = self._current()
        return file

    def _current(self) -> io.FileIO:
        """What the name stands for now."""
        if self._file is None or not self._is_current(self._file):
            if self._file is not None:
                self._file.close()
            self._file = open_private(self.baseFilename)
        return self._file

    def _is_current(self, file: io.FileIO) -> bool:
        try:
            return os.path.samestat(os.stat(self.baseFilename), os.fstat(file.fileno()))
        except FileNotFoundError:
            return False


@contextlib.contextmanager
def logged(data_dir: Path) -> Iterator[Path]:
    """What is logged goes to assay.log, which is given; warnings that are not about requests to standard error, too.

    Raises OSError when the folder or the file cannot be used.
    """
    file = log_file(data_dir)
    make_private(file)
    open_private(file).close()
    shown = logging.StreamHandler(sys.stderr)
    shown.setLevel(logging.WARNING)
    shown.setFormatter(LineFormatter("%(message)s"))
    shown.addFilter(lambda record: record.name.partition(".")[0] not in QUIET)
    kept, root = LogFile(file), logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers[:] = [kept, shown]
    root.setLevel(logging.INFO)
    try:
        yield file
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        kept.close()
