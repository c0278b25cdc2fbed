"""Whose turn it is on the event loop: what connections have received is worked through a little at a time."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Protocol

SLICE_S = 0.004
"""Of work on what was received, before everything else on the loop has its turn."""

MOST = 16
"""Connections in a slice: each may begin a request, whose cost is not seen here."""


class Worker(Protocol):
    def take_turn(self) -> None:
        """Work through some of what was received."""

    def hold(self) -> None:
        """Receive nothing more until then."""


class Turns:
    """Turns on one event loop, first in, first out; those who are new and those who have been served take turns, too.

    So neither many that go on and on nor many that come keep the others waiting.
    """

    def __init__(self) -> None:
        self._lanes: tuple[deque[Worker], deque[Worker]] = (deque(), deque())
        self._lane = 0
        self._queued: set[Worker] = set()
        self._left = SLICE_S
        self._ticks = False
        self._runs = False

    def ask(self, worker: Worker, *, is_new: bool) -> None:
        """Give it a turn: at once, if there is time."""
        if self._queued or self._left <= 0 or self._runs:
            worker.hold()
            if worker not in self._queued:
                self._queued.add(worker)
                self._lanes[is_new].append(worker)
        else:
            self._run(worker)
        self._tick_soon()

    def _run(self, worker: Worker) -> None:
        began = time.perf_counter()
        self._runs = True
        try:
            worker.take_turn()
        finally:
            self._runs = False
        self._left -= max(time.perf_counter() - began, SLICE_S / MOST)

    def _tick_soon(self) -> None:
        if not self._ticks:
            self._ticks = True
            asyncio.get_running_loop().call_soon(self._tick)

    def _tick(self) -> None:
        self._ticks = False
        self._left = SLICE_S
        while self._queued and self._left > 0:
            self._lane = 1 - self._lane
            worker = (self._lanes[self._lane] or self._lanes[1 - self._lane]).popleft()
            self._queued.discard(worker)
            self._run(worker)
        if self._queued:
            self._tick_soon()
