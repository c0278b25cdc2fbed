"""A program in a pseudo-terminal of its own, whose other end answers what it is told to answer, or nothing."""

from __future__ import annotations

import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Mapping
from fcntl import ioctl

import psutil

from tests import ROOT

ANSWERS = {
    b"\x1b[?2026$p": b"\x1b[?2026;2$y",
    b"\x1b[16t": b"\x1b[6;16;8t",
    b"\x1b[14t": b"\x1b[4;640;960t",
    b"\x1b[c": b"\x1b[?62c",
}
"""What terminals answer to Textual's questions and ours: synchronised updates, the size of a cell, what they can do."""
FRAME_ENDS = b"\x1b[?2026l"
"""The end of a synchronised update, as Textual draws a frame."""
GIVE_UP_S = 60.0


class PseudoTerminal:
    """Runs Python code in a terminal of `columns` by `rows` cells, or with no size at all; `with` ends it."""

    def __init__(
        self,
        program: str,
        environment: Mapping[str, str],
        answers: Mapping[bytes, bytes] = ANSWERS,
        size: tuple[int, int] | None = (120, 40),
        pixels: tuple[int, int] = (0, 0),
    ) -> None:
        self.seen = b""
        self._answers = answers
        self.began = time.monotonic()
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execve(sys.executable, [sys.executable, "-c", program], {**os.environ, **environment})
        if size is not None:
            columns, rows = size
            ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, *pixels))

    def __enter__(self) -> PseudoTerminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self._terminal >= 0:
            os.close(self._terminal)

    def write(self, data: bytes) -> None:
        os.write(self._terminal, data)

    def _read(self, within_s: float) -> bool:
        """Take in what the program has written; False when it has left the terminal."""
        if not select.select([self._terminal], [], [], within_s)[0]:
            return True
        try:
            more = os.read(self._terminal, 65536)
        except OSError:  # the other end has closed, as Linux tells it
            return False
        self.seen += more
        for question, answer in self._answers.items():
            if question in more:
                self.write(answer)
        return bool(more)

    def wait_for(self, condition: bytes | Callable[[bytes], bool]) -> bytes:
        """Read until a text, or what the condition asks for, has been written. Raises TimeoutError when it never is."""
        give_up = time.monotonic() + GIVE_UP_S
        while not (condition in self.seen if isinstance(condition, bytes) else condition(self.seen)):
            if not self._read(1.0) or time.monotonic() > give_up:
                raise TimeoutError(f"never came: {condition!r}; last {self.seen[-2000:]!r}")
        return self.seen

    def cpu_s(self) -> float:
        """Processor seconds that the program has used."""
        spent = psutil.Process(self.pid).cpu_times()
        return spent.user + spent.system

    def hang_up(self, within_s: float = GIVE_UP_S) -> int:
        """Close the terminal, and tell how the program ended. Raises TimeoutError when it stays."""
        os.close(self._terminal)
        self._terminal = -1
        return self.ended(within_s)

    def ended(self, within_s: float) -> int:
        """How the program ended while nobody reads what it writes. Raises TimeoutError when it stays."""
        give_up = time.monotonic() + within_s
        while time.monotonic() < give_up:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        raise TimeoutError("it did not end")

    def exit_code(self) -> int:
        """Read until the program has left, and tell how. Raises TimeoutError when it stays."""
        give_up = time.monotonic() + GIVE_UP_S
        while time.monotonic() < give_up:
            there = self._read(0.05)
            pid, status = os.waitpid(self.pid, 0 if not there else os.WNOHANG)
            if pid:
                self.pid = 0
                while self._read(0.05) and select.select([self._terminal], [], [], 0.05)[0]:
                    pass
                return os.waitstatus_to_exitcode(status)
        raise TimeoutError(f"it did not leave; last {self.seen[-2000:]!r}")
