"""A program in a terminal of its own: keys go in as bytes, what it draws is searched, a socket asks it things."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests import ROOT

CELL = (10, 20)
DEADLINE_S = 120.0
ASKED_WHO_IT_IS, A_PLAIN_TERMINAL = b"\x1b[c", b"\x1b[?62c"


class Terminal:
    """`python -m MODULE ARGUMENTS... FD` in a pseudo-terminal of `columns` x `rows`; FD is its end of the socket.

    Everything raises TimeoutError after DEADLINE_S, with the end of what was drawn.
    """

    def __init__(
        self, module: str, arguments: Sequence[str], environment: Mapping[str, str], columns: int = 120, rows: int = 40
    ) -> None:
        self._master, slave = pty.openpty()
        pixels = struct.pack("HHHH", rows, columns, columns * CELL[0], rows * CELL[1])
        fcntl.ioctl(slave, termios.TIOCSWINSZ, pixels)
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, str(theirs.fileno())],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            pass_fds=[theirs.fileno()],
            env={**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor", "ASSAY_HALF_CELLS": "1"},
            cwd=ROOT,
            start_new_session=True,
        )
        os.close(slave)
        theirs.close()
        ours.settimeout(DEADLINE_S)
        self._lines = ours.makefile("rw", encoding="utf-8")
        self._drawn = bytearray()
        self._new = threading.Condition()
        self.drawn_at = time.perf_counter()
        """When the program last drew something."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(5)
        os.close(self._master)

    def _read(self) -> None:
        over = False
        while True:
            if not select.select([self._master], [], [], 0.2)[0]:
                if over:  # and had nothing more to say
                    return
                over = self.process.poll() is not None
                continue
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return
            if ASKED_WHO_IT_IS in data:
                os.write(self._master, A_PLAIN_TERMINAL)
            with self._new:
                self._drawn += data
                self.drawn_at = time.perf_counter()
                self._new.notify_all()

    def press(self, keys: str) -> None:
        """Send what a terminal sends for these keys."""
        os.write(self._master, keys.encode())

    def mark(self) -> int:
        """Where what is drawn from now on begins."""
        with self._new:
            return len(self._drawn)

    def wait_for(self, text: str, since: int = 0) -> float:
        """The moment, of time.perf_counter(), at which `text` has been drawn in one piece after the mark `since`."""
        wanted, give_up = text.encode(), time.perf_counter() + DEADLINE_S
        with self._new:
            while self._drawn.find(wanted, since) < 0:
                left = give_up - time.perf_counter()
                if left <= 0 or not self._reader.is_alive():
                    end = self._drawn[-2000:].decode(errors="replace")
                    raise TimeoutError(f"{text!r} was not drawn within {DEADLINE_S:.0f} s. The end: {end!r}")
                self._new.wait(min(left, 1.0))
            return self.drawn_at

    def wait_until_quiet(self, for_s: float = 0.25) -> None:
        """Wait until nothing has been drawn for a while."""
        give_up = time.perf_counter() + DEADLINE_S
        began = time.perf_counter()
        while (left := max(self.drawn_at, began) + for_s - time.perf_counter()) > 0:
            if time.perf_counter() > give_up:
                raise TimeoutError(f"It was still drawing after {DEADLINE_S:.0f} s.")
            time.sleep(left)

    def ask(self, command: str) -> Any:
        """A command over the socket, and the answer."""
        self._lines.write(command + "\n")
        self._lines.flush()
        return json.loads(self._lines.readline())


def own_environment(folder: Path) -> dict[str, str]:
    """The environment without anything that would make this user's workbench another than the next one's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ASSAY_", "TEXTUAL", "TMUX"))}
    return kept | {"ASSAY_CONFIG": str(folder / "settings.toml"), "ASSAY_DATA_DIR": str(folder / "data")}
