"""What the commands share: settings with what the command line changed, and ways out with a sentence and a code."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from core.errors import EngineError
    from core.settings import Settings

WRONG_USAGE, INFRASTRUCTURE, ENGINE_DIED = 2, 4, 5
INTERRUPTED = 130
"""What a shell says of a program that ctrl+c ended."""
USAGE_CODES = frozenset(
    {
        *("settings_error", "model_not_found", "invalid_request", "unsupported_input", "invalid_image"),
        *("hub_not_found", "hub_refused", "model_in_use"),
    }
)
"""Errors of what was asked for; every other error is one of the machine or the program."""


def leave_to_rank_0() -> None:
    """Under mlx.launch, let rank 0 alone have a face. Exits with a sentence if following it fails."""
    from core.errors import EngineError
    from tui.cli.rank_follower import follow_if_launched

    try:
        follow_if_launched()
    except EngineError as error:
        fail_with(error)


def settings_with(**changed: object) -> Settings:
    """The settings with what the command line changed; None leaves a value. Exits with a sentence if they are wrong."""
    from core.errors import EngineError
    from core.settings import load_settings

    try:
        return load_settings(**{name: value for name, value in changed.items() if value is not None})
    except EngineError as error:
        fail_with(error)


def end_at_once_if_busy(code: object) -> None:
    """End the process with a code of sys.exit where a thread is still at work.

    At the usual end an engine is waited for, and Python breaks threads off that nobody waits for: one that tokenizes
    or downloads is in code of other languages then, which aborts the process. What was opened has been closed before.
    """
    engine = sys.modules.get("core.engine_life")
    closed = engine is None or engine.close_all()
    if closed and not any(thread.daemon for thread in threading.enumerate()):
        return
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def fail(sentence: str, code: int) -> NoReturn:
    """Say one sentence on standard error and leave."""
    say(sentence)
    sys.exit(code)


def say(sentence: str) -> None:
    """One sentence on standard error, under the program's name."""
    print(f"assay: {sentence}", file=sys.stderr)  # noqa: T201


def fail_with(error: EngineError) -> NoReturn:
    """Leave with an error's own sentence, and the exit code of its kind."""
    fail(error.message, exit_code(error))


def exit_code(error: EngineError) -> int:
    """2 for errors of what was asked for, 4 for those of the machine or the program."""
    return exit_code_of(error.code)


def exit_code_of(code: str) -> int:
    """The same of an error's code."""
    return WRONG_USAGE if code in USAGE_CODES else INFRASTRUCTURE
