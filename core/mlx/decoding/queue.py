"""Requests that wait for a place in the batch: first in, first out, and told how far they are."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from core.calls.clock import Clock
from core.calls.events import Queued
from core.calls.generation import Generation
from core.errors import EngineError
from core.mlx.decoding.admission import make_room
from core.mlx.decoding.prefill_task import PrefillTask
from core.mlx.decoding.reader import RequestReader
from core.mlx.decoding.row import Row
from core.mlx.kv.store import KvStore
from core.mlx.models.loading import LoadedWeights

ASK_AGAIN = 16
"""Steps after which it is looked again whether memory has become free for a prompt, if no row has ended before."""


@dataclass(eq=False)
class Waiting:
    """A request in the queue."""

    generation: Generation
    clock: Clock
    told: int = 0
    """The place in the queue that its reader knows of; 0 means none."""

    def tell(self, place: int) -> None:
        """Pass the place on, in the last ten of the queue every one, further back each that is a tenth nearer.

        A long queue moves with every admission: a thousand requests would be told half a million places.
        """
        if place != self.told and (not self.told or place <= 10 or place <= 0.9 * self.told):
            self.told = place
            self.generation.feed(Queued(place))


class AdmissionQueue:
    """The requests of one model that have no place yet; at most `most_rows` are worked on at once.

    `failure` makes an EngineError of what tokenizers and processors raise: it ends their request alone.
    """

    def __init__(
        self,
        loaded: LoadedWeights,
        reader: RequestReader,
        store: KvStore,
        most_rows: int,
        failure: Callable[[Exception], EngineError],
    ) -> None:
        self._loaded = loaded
        self._reader = reader
        self._store = store
        self._most_rows = most_rows
        self._failure = failure
        self._waiting: deque[Waiting] = deque()
        self._reading: Generator[None, None, PrefillTask] | None = None  # the first of the queue
        self._blocked: PrefillTask | None = None  # the first of the queue, already read, when it was refused for memory
        self._running_then = 0  # requests that were worked on when it was
        self._ask_in = 0  # steps until it is asked again whether there is room, unless a row ends before

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, generation: Generation, clock: Clock, running: int) -> None:
        """Queue a request behind the others, while `running` are worked on."""
        self._waiting.append(Waiting(generation, clock))
        if running >= self._most_rows or len(self._waiting) > 1:
            self._waiting[-1].tell(len(self._waiting))

    def remove(self, generation: Generation) -> Waiting | None:
        """Take a request out; None when it is not here."""
        found = next((waiting for waiting in self._waiting if waiting.generation is generation), None)
        if found is not None:
            if found is self._waiting[0]:
                self._reading = None
            self._waiting.remove(found)
            self._blocked = None
            self._tell_places()
        return found

    def admit(self, rows: Sequence[Row], prefilling: Sequence[PrefillTask]) -> list[PrefillTask]:
        """The requests whose turn it is, read, beside the `rows` of the batch and those on their way into it."""
        tasks: list[PrefillTask] = []
        running, waited = len(rows) + len(prefilling), len(self._waiting)
        if self._blocked is not None and self._ask_in and running == self._running_then:
            self._ask_in -= 1  # asking waits for the device
            return tasks
        while self._waiting and running + len(tasks) < self._most_rows:
            waiting, task = self._waiting[0], None
            if self._reading is None:
                waiting.clock.admitted = time.monotonic()
            try:
                task = self._blocked = self._blocked or self._read(waiting)
                if task is None:
                    break
                if not make_room(task, rows, [*prefilling, *tasks], self._loaded, self._store):
                    self._ask_in, self._running_then = ASK_AGAIN, running + len(tasks)
                    break
                tasks.append(task)
            except Exception as error:
                waiting.generation.fail(error if isinstance(error, EngineError) else self._failure(error))
            self._waiting.popleft()
            self._reading = self._blocked = None
            waiting.generation.admitted = True
            if task is not None and task.inputs.features is not None:
                break  # reading an image takes as long as a step: one at a time
        if len(self._waiting) < waited:
            self._tell_places()
        return tasks

    def fail(self, error: EngineError) -> None:
        """End every request with `error`."""
        for waiting in self._waiting:
            waiting.generation.fail(error)
        self._waiting.clear()
        self._reading = self._blocked = None

    def _read(self, waiting: Waiting) -> PrefillTask | None:
        """Read the first of the queue a piece further; None when it is not through."""
        self._reading = self._reading or self._reader.read(waiting.generation, waiting.clock)
        try:
            next(self._reading)
        except StopIteration as end:
            self._reading = None
            task: PrefillTask = end.value
            return task
        return None

    def _tell_places(self) -> None:
        for place, waiting in enumerate(self._waiting, start=1):
            waiting.tell(place)
