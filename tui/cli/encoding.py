"""What is printed gets into any terminal and any pipe, and steers none: the choke point of the command line.

Control characters are taken out, bytes of names that the locale could not read are read as UTF-8, and characters that
the encoding lacks are spelled in ASCII. The streams are replaced once, so that it holds for everything that prints:
print, typer's errors, warnings, log records and tracebacks. `tui.cli.console` draws past it, by the same rule.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator
from typing import TextIO

from core import text_safety

SPELLED = "assay-spelled"
"""The name of the error handler."""
SIGNS = {
    "✓": "+",
    "✗": "x",
    "–": "-",
    "…": "...",
    "→": "->",
    "·": ";",
    "≠": "!=",
    "×": "x",
    "“": '"',
    "”": '"',
}  # fmt: skip
"""Our own, which read better so than by their number; every other character, such as those of a name, keeps its own."""


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(SIGNS.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in lacking), error.end


codecs.register_error(SPELLED, _spell)
_UNREAD = re.compile("[\udc80-\udcff]+")
"""Bytes of names, as Python holds those that the locale's encoding lacks."""


def legible(text: str) -> str:
    """`text` with the bytes that the locale could not read as UTF-8, which they are as a rule; others as \\xff."""
    return _UNREAD.sub(lambda found: found[0].encode(errors="surrogateescape").decode(errors="backslashreplace"), text)


def clean(text: str) -> str:
    """`legible`, and without control characters."""
    return text_safety.clean(legible(text))


class OutputFailed(OSError):
    """What is printed cannot be written; `filename` is the stream's name, "stdout"."""


class _CleanStream(io.TextIOWrapper):
    """A stream in the place of another, from which no control character comes out."""

    def __init__(self, behind: io.TextIOWrapper) -> None:
        self.drawn = behind
        super().__init__(
            behind.buffer,
            encoding=behind.encoding,
            errors=SPELLED,
            line_buffering=behind.line_buffering,
            write_through=True,  # what is held back here would come after what is drawn
        )

    def write(self, text: str, /) -> int:
        with self._told():
            super().write(clean(text))
        return len(text)

    def flush(self) -> None:
        with self._told():
            super().flush()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """A pipe that is closed is its reader's wish; whatever else fails is told with the stream's name."""
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputFailed(error.errno, error.strerror, self.drawn.name.strip("<>")) from error


def guard_streams() -> None:
    """From now on no character that is printed is an error, and none is a command to the terminal."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and not isinstance(stream, _CleanStream):
            stream.reconfigure(errors=SPELLED)
            setattr(sys, name, _CleanStream(stream))


def forget_output() -> None:
    """What could not be printed goes nowhere, so that the end of the program does not try again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def drawn_on(stream: TextIO) -> TextIO:
    """The stream behind a guarded one, for what draws with codes of its own and cleans its text itself."""
    return stream.drawn if isinstance(stream, _CleanStream) else stream


def shown(text: str) -> str:
    """`text` cleaned, and as standard output will show it: for columns that are to stand under each other."""
    safe = clean(text)
    if getattr(sys.stdout, "errors", "") != SPELLED:  # the workbench puts something in its place that has none
        return safe
    return safe.encode(sys.stdout.encoding, SPELLED).decode(sys.stdout.encoding)


def shown_line(text: str) -> str:
    """`shown` on one line, for what stands in a table or a list: a folder may have line breaks in its name."""
    return " ".join(shown(text).split())
