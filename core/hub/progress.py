"""How a download stands, as plain data that any face can draw."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

WINDOW_S = 5.0
"""Over how long the speed is taken."""
LEAST_S = 0.5
"""A speed that was taken for less is none yet."""


class Stage(StrEnum):
    QUEUED = "queued"
    LOOKING = "looking"  # the Hub is asked which files there are
    RUNNING = "running"
    PAUSED = "paused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DONE = "done"

    @property
    def moves(self) -> bool:
        """Whether it goes on without anybody's doing."""
        return self in (Stage.QUEUED, Stage.LOOKING, Stage.RUNNING)


@dataclass(frozen=True)
class FileProgress:
    """One file: bytes that are there, of how many."""

    name: str
    done: int
    size: int


@dataclass(frozen=True)
class Progress:
    """A download. `key` names it in the queue; sizes are bytes, `speed` bytes a second, `left_s` seconds or None."""

    key: str
    id: str
    revision: str | None
    commit: str
    stage: Stage
    files: tuple[FileProgress, ...] = ()
    speed: float = 0.0
    problem: str = ""
    """Why it failed, as a sentence."""
    code: str = ""
    """The kind of that failure, as core.errors has it; "" for one of an earlier day."""
    waiting: str = ""
    """What it waits for, as a clause; "" while bytes come."""

    @property
    def done(self) -> int:
        return sum(file.done for file in self.files)

    @property
    def total(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def left_s(self) -> float | None:
        return (self.total - self.done) / self.speed if self.speed > 0 else None


class Speed:
    """Bytes a second over the last WINDOW_S. One thread at a time."""

    def __init__(self) -> None:
        self._moments: deque[tuple[float, int]] = deque()
        self._sum = 0

    def add(self, count: int) -> None:
        now = time.monotonic()
        self._sum += count
        if self._moments and now - self._moments[-1][0] < WINDOW_S / 50:
            moment, before = self._moments.pop()
            self._moments.append((moment, before + count))
        else:
            self._moments.append((now, count))
        self._forget(now)

    def now(self) -> float:
        now = time.monotonic()
        self._forget(now)
        taken = now - self._moments[0][0] if self._moments else 0.0
        return self._sum / taken if taken >= LEAST_S else 0.0

    def _forget(self, now: float) -> None:
        while self._moments and now - self._moments[0][0] > WINDOW_S:
            self._sum -= self._moments.popleft()[1]
