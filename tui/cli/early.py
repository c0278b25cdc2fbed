"""Signals that come while the program is still being read: nothing is at work, and it leaves without a word."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from core.launch import launched_rank
from tui.cli.common import INTERRUPTED


@contextmanager
def leaving_quietly(command: str) -> Iterator[None]:
    """Within the block, ctrl+c ends the process at once with INTERRUPTED; after it, it raises KeyboardInterrupt again.

    `serve` ends with 0, by SIGTERM as well, and until it has handlers of its own: what it reads takes seconds.
    """
    serves = command == "serve" and launched_rank() is None  # else the launcher ends the others
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM) if serves else (signal.SIGINT,)
    code = 0 if serves else INTERRUPTED
    before = {number: signal.signal(number, lambda *_: os._exit(code)) for number in numbers}
    yield
    if not serves:
        for number, handler in before.items():
            signal.signal(number, handler)
