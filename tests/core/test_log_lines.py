"""Log records that quote what clients and files wrote."""

from __future__ import annotations

import io
import logging
import subprocess
import sys

from core.log_lines import FORMAT, LineFormatter

HOSTILE = "\x1b]52;c;aGk=\x07\n2026-11-28 12:00:00,000 ERROR core: forged\ud800"


def logged(log: str) -> str:
    """What a handler writes of a record with HOSTILE in its message and in an exception's."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter(log))
    logger = logging.Logger("tests")
    plain = logging.StreamHandler(io.StringIO())  # formats first, and leaves its traceback in the record
    logger.handlers = [plain, handler]
    try:
        raise LookupError(f"unknown encoding: {HOSTILE}")
    except LookupError:
        logger.exception("a client said %s", HOSTILE)
    return stream.getvalue()


def test_a_record_is_a_line_and_its_traceback_is_set_in() -> None:
    first, *others = logged(FORMAT).splitlines()
    assert first.endswith(r"a client said \x1b]52;c;aGk=\x07\n2026-11-28 12:00:00,000 ERROR core: forged\ud800")
    assert all(line.startswith("    ") for line in others)
    assert others[-1] == r"    2026-11-28 12:00:00,000 ERROR core: forged\ud800"


def test_no_control_character_gets_into_a_log() -> None:
    assert "\x1b" not in logged(FORMAT)
    assert "\x07" not in logged(FORMAT)


def test_where_no_log_is_set_up_records_are_safe_on_standard_error() -> None:
    program = (
        "import logging; from core.log_lines import guard_last_resort; guard_last_resort(); "
        "logging.getLogger('x').warning('a\\x1bb\\nc')"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert run.stderr == "a\\x1bb\\nc\n"
