"""From the command line to the workbench and back: the log, the terminal's guard, signals, and a way out that ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from core.log_file import log_file
from tui.terminal_guard import end_soon, give_a_size, guarded_terminal

if TYPE_CHECKING:
    from core.settings import Settings
    from tui.app import AssayApp

os.environ.setdefault("TEXTUAL_FPS", "120")
"""Read when Textual is imported: a key waits for the next frame, and the usual 60 of a second are 17 ms apart."""

COLLECT_EVERY = 20_000
"""Objects made and not yet freed after which the youngest are collected."""


async def _run(app: AssayApp) -> None:
    """Run the app; a signal to end closes it as ctrl+q does, so that the terminal is given back in order.

    The handlers are not the loop's: that may be waiting for a terminal that nobody reads.
    """
    loop = asyncio.get_running_loop()

    def leave(number: int, _: object) -> None:
        end_soon(128 + number)
        loop.call_soon_threadsafe(app.call_later, app.leave)

    before = {}
    with contextlib.suppress(ValueError):  # not on the main thread: signals are somebody else's
        before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        await app.run_async()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)  # None: it was set outside of Python


def spare_the_collector() -> None:
    """What the libraries and the lists have built stays for good: a collection need not walk it, and pauses less.

    Drawing makes many objects that live for a moment. Were they collected after every 700, as is usual, an answer that
    streams in would stand still for 50 to 100 ms every two seconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY, 10, 10)


def run_workbench(suite: Path | None = None) -> int:
    """Run the workbench until it is left; returns the process's exit code.

    Raises SettingsError when the settings are wrong and OSError when the data folder cannot be written, the terminal
    given back before.
    """
    give_a_size()
    from tui.app import AssayApp

    with guarded_terminal() as log:

        def read_settings() -> Settings:
            from core.settings import load_settings

            settings = load_settings()
            log.keep_in(log_file(settings.data_dir))
            return settings

        app = AssayApp(read_settings, suite=suite, when_settled=spare_the_collector)
        try:
            asyncio.run(_run(app))
        finally:
            app.close_services()
    if app.failure is not None:
        raise app.failure
    code = app.return_code or 0
    if app.left_behind:
        os._exit(code)  # at the usual end the engine would be waited for, however long it takes
    return code
