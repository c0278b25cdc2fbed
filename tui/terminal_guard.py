"""Keeps what libraries print on the terminal's descriptors off the screen while the workbench draws on it."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import termios
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

LOG_BYTES = 1_000_000


def give_a_size() -> None:
    """Tell a terminal that says it has no columns or rows, as a bare pseudo-terminal does, that it has 80x24."""
    for number in (0, 1, 2):
        if os.isatty(number) and 0 in termios.tcgetwinsize(number):
            termios.tcsetwinsize(number, (24, 80))


def log_file(data_dir: Path) -> Path:
    return data_dir / "assay.log"


@contextlib.contextmanager
def logging_to(file: Path) -> Iterator[None]:
    """Send the root logger to `file` (three files of a megabyte), and to nothing else, within the block."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(file, maxBytes=LOG_BYTES, backupCount=2, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        handler.close()


@contextlib.contextmanager
def guarded_terminal(file: Path) -> Iterator[None]:
    """Point those of descriptors 1 and 2 that are a terminal at `file`, and give Textual the terminal by another one.

    Textual draws on `sys.__stderr__`; native code and libraries write to descriptor 1 or 2, whatever Python's streams
    are. A descriptor that the person has sent elsewhere stays there. Does nothing without a terminal, as in tests.
    """
    guarded = [number for number in (1, 2) if os.isatty(number)]
    if not guarded or sys.__stdout__ is None or sys.__stderr__ is None:
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    _flush()
    kept = {number: os.dup(number) for number in guarded}
    streams = sys.__stdout__, sys.__stderr__
    with (
        open(os.dup(kept[guarded[-1]]), "w", encoding="utf-8", errors="replace", buffering=1) as screen,
        open(file, "ab") as sink,
    ):
        try:
            sys.__stdout__ = sys.__stderr__ = screen  # type: ignore[misc]
            for number in guarded:
                os.dup2(sink.fileno(), number)
            yield
        finally:
            _flush()
            for number in guarded:
                os.dup2(kept[number], number)
                os.close(kept[number])
            sys.__stdout__, sys.__stderr__ = streams  # type: ignore[misc]


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
