"""Keeps what libraries print on the terminal's descriptors off the screen while the workbench draws on it."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import tempfile
import termios
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from core.log_file import LogFile, make_private, open_private
from core.log_lines import FORMAT, LineFormatter

LEAVE_WITHIN_S = 12.0
"""Somewhat more than closing in order may take."""


def end_soon(code: int) -> None:
    """End the process after LEAVE_WITHIN_S if it has not ended by itself: nobody is there to see it hang."""
    timer = threading.Timer(LEAVE_WITHIN_S, os._exit, [code])
    timer.daemon = True
    timer.start()


def give_a_size() -> None:
    """Tell a terminal that says it has no columns or rows, as a bare pseudo-terminal does, that it has 80x24."""
    for number in (0, 1, 2):
        if os.isatty(number) and 0 in termios.tcgetwinsize(number):
            termios.tcsetwinsize(number, (24, 80))


class Log:
    """Takes what the root logger says and what is written to `guarded` descriptors.

    A nameless file holds it until `keep_in` tells where it belongs: the screen is up before the settings are read.
    """

    def __init__(self, guarded: list[int]) -> None:
        self._guarded = guarded
        self._early = tempfile.TemporaryFile("a+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._handler: logging.Handler = logging.StreamHandler(self._early)
        self._take(self._early.fileno(), self._handler)

    def keep_in(self, file: Path) -> None:
        """Go on in `file` (three files of a megabyte), with what has come before.

        It, those of earlier days and their folder are for their owner alone from now on. Raises OSError.
        """
        make_private(file)
        with open_private(file) as sink:
            poured = self._pour(sink, 0)
            self._take(sink.fileno(), LogFile(file))
            self._pour(sink, poured)  # what came in between

    def _pour(self, sink: io.FileIO, start: int) -> int:
        """Copy what has come from the byte `start` on; returns where that ends."""
        data = os.pread(self._early.fileno(), os.fstat(self._early.fileno()).st_size - start, start)
        sink.write(data)
        return start + len(data)

    def _take(self, sink: int, handler: logging.Handler) -> None:
        handler.setFormatter(LineFormatter(FORMAT))
        logging.getLogger().handlers[:] = [handler]
        for number in self._guarded:
            os.dup2(sink, number)
        self._handler = handler

    def close(self) -> None:
        self._handler.close()
        self._early.close()


@contextlib.contextmanager
def guarded_terminal() -> Iterator[Log]:
    """Point those of descriptors 1 and 2 that are a terminal at a log, and give Textual the terminal by another one.

    Textual draws on `sys.__stderr__`; native code and libraries write to descriptor 1 or 2, whatever Python's streams
    are. A descriptor that the person has sent elsewhere stays there. Without a terminal, as in tests, the log takes
    what the root logger says and nothing else.
    """
    guarded = [number for number in (1, 2) if os.isatty(number)]
    if sys.__stdout__ is None or sys.__stderr__ is None:
        guarded = []
    _flush()
    kept = {number: os.dup(number) for number in guarded}
    streams = sys.__stdout__, sys.__stderr__
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.setLevel(logging.INFO)
    with contextlib.ExitStack() as stack:
        if guarded:
            screen = open(os.dup(kept[guarded[-1]]), "w", encoding="utf-8", errors="replace", buffering=1)  # noqa: SIM115
            stack.callback(_close, screen)
            sys.__stdout__ = sys.__stderr__ = screen  # type: ignore[misc]
        log = Log(guarded)
        try:
            yield log
        finally:
            _flush()
            for number in guarded:
                os.dup2(kept[number], number)
                os.close(kept[number])
            sys.__stdout__, sys.__stderr__ = streams  # type: ignore[misc]
            root.handlers[:] = before
            root.setLevel(level)
            log.close()


def _close(screen: IO[str]) -> None:
    with contextlib.suppress(OSError):  # the terminal is gone, and what was not drawn is of no use
        screen.close()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
