"""Keys of a plain terminal, one at a time, without the enter key. What is typed ahead is not lost."""

from __future__ import annotations

import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def single_keys() -> Iterator[Callable[[], str]]:
    """A function that waits for the next key and tells it; "" once the input has ended. ctrl+c interrupts as ever.

    The terminal echoes nothing until the block ends, and is then as it was. Standard input has to be a terminal.
    """
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal, termios.TCSADRAIN)
    try:
        yield lambda: os.read(terminal, 1).decode("ascii", "replace").replace("\x04", "")
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
