"""Waiting for what no event tells of."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_for(true: Callable[[], bool], timeout_s: float = 10) -> None:
    """Poll until `true()`; an AssertionError when it never is."""
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)
