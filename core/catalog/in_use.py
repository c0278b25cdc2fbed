"""Model folders that some program has loaded: each holds a shared lock on its folder, which the system ends with it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path


def hold(folder: Path) -> Callable[[], None]:
    """Mark a folder as in use; returns what ends that, once. On file systems without locks nothing is marked."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return _nothing
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return _nothing
    return partial(os.close, descriptor)


def _nothing() -> None:
    """There is nothing to end."""


def is_held(folder: Path) -> bool:
    """Whether a program, this one too, has marked the folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
