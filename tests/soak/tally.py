"""What became of each request: answered, refused, failed for a reason that was put there, dropped by its client."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from tests.soak.place import DEAD, Place


class End(StrEnum):
    ANSWERED = "answered"
    REFUSED = "refused"
    FAILED = "failed"
    DROPPED = "dropped"
    BROKEN = "broken"


EXCUSES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"switched off|stopped on the server's side|server_closing|request_cancelled", ("toggle", "restart")),
    (DEAD, ("die", "restart")),
    (r"was unloaded|was cancelled|model_unloaded", ("unload",)),
    (r"a fault of the test's|generation_failed|failed while generating|The model failed on", ("raise",)),
)
"""How an error says what ended the request, and what must have been done for that."""
NO_ROOM = re.compile(r"out_of_memory|of the budget of")
"""Pins and little memory leave no room: refused, as it should be."""


@dataclass(frozen=True)
class Answer:
    """How a request ended: `status` 0 where none came; `error` is the code and the sentence, "" for a whole answer.

    `cut` says that the connection ended before the answer did.
    """

    status: int
    error: str = ""
    cut: bool = False


class Tally:
    """Counts, by kind of request. Safe for threads."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = threading.Lock()
        self.ends: Counter[tuple[str, End]] = Counter()
        self.errors: Counter[str] = Counter()

    def totals(self) -> Counter[End]:
        """How many of each end."""
        with self._lock:
            found: Counter[End] = Counter()
            for (_, end), count in self.ends.items():
                found[end] += count
            return found

    def add(self, kind: str, began: float, answer: Answer) -> End:
        """Judge an answer to a request that was sent at `began`."""
        end = self._judge(began, answer)
        with self._lock:
            self.ends[kind, end] += 1
            if answer.error or answer.cut:
                self.errors[f"{answer.status} {answer.error[:70] or 'cut'}"] += 1
        if end is End.BROKEN:
            said = answer.error[:300] or ("the connection was cut" if answer.cut else "nothing")
            self._place.broken.append(f"{kind}: {answer.status} after {time.monotonic() - began:.1f} s: {said}")
        return end

    def drop(self, kind: str) -> None:
        """A client left."""
        with self._lock:
            self.ends[kind, End.DROPPED] += 1

    def _judge(self, began: float, answer: Answer) -> End:
        if answer.cut:
            # Before an answer begins that is what a server that ends looks like; after that it is an answer cut short.
            there = answer.status or not self._place.away(began, time.monotonic())
            return End.BROKEN if there else End.FAILED
        if not answer.error:
            return End.ANSWERED
        if answer.status in range(400, 499) or answer.status == 529 or NO_ROOM.search(answer.error):
            return End.REFUSED
        for said, causes in EXCUSES:
            if re.search(said, answer.error):
                there = any(self._place.happened(cause, began) for cause in causes)
                return End.FAILED if there else End.BROKEN
        return End.BROKEN
