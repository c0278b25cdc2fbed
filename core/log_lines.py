"""The choke point for log records: whatever text one quotes, its line is a line and no character steers anything."""

from __future__ import annotations

import logging

from core.text_safety import escaped

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class LineFormatter(logging.Formatter):
    """A record on one line, control characters spelled as \\x1b or \\n; a traceback below it, set in.

    Nothing that a client or a file wrote can look like a record of its own.
    """

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # another formatter's, which logging would take over
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        return escaped(super().formatMessage(record), newlines=True)

    def formatException(self, ei: object) -> str:
        return _set_in(super().formatException(ei))  # type: ignore[arg-type]

    def formatStack(self, stack_info: str) -> str:
        return _set_in(super().formatStack(stack_info))


def _set_in(text: str) -> str:
    return "\n".join(f"    {line}" for line in escaped(text).split("\n"))


def guard_last_resort() -> None:
    """What is logged where no log is set up, as on the command line, goes to standard error by the same rules."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(LineFormatter("%(message)s"))
