"""What the MLX thread can be told, as plain values: under mlx.launch every rank is told the same, in the same order."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from core.calls.stream import Work, waited_for
from core.errors import EngineError
from core.status import LoadedModel

if TYPE_CHECKING:
    from core.mlx.scheduler import Scheduler


class Command(Protocol):
    """`run` is called on the MLX thread; `refuse` answers who waits for it when it cannot be run."""

    def run(self, scheduler: Scheduler) -> None: ...

    def refuse(self, error: EngineError) -> None: ...


@dataclass(frozen=True)
class Submit:
    """Queue a request. `submitted` is in seconds of `time.monotonic()`."""

    work: Work
    submitted: float

    def run(self, scheduler: Scheduler) -> None:
        scheduler.submit(self.work, self.submitted)

    def refuse(self, error: EngineError) -> None:
        self.work.fail(error)


@dataclass(frozen=True)
class Cancel:
    """End a request wherever it is, if it has not ended by itself. `told` means that its handle has ended before."""

    work: Work
    told: bool = False

    def run(self, scheduler: Scheduler) -> None:
        if self.told or not self.work.done:
            scheduler.cancel(self.work)

    def refuse(self, error: EngineError) -> None:
        self.work.fail(error)


@dataclass(frozen=True)
class Load:
    """Load a model. `number` tells this wish from others for the same model, on every rank."""

    model: str
    pin: bool
    future: Future[LoadedModel]
    number: int

    def run(self, scheduler: Scheduler) -> None:
        scheduler.load(self.model, self.pin, self.future, self.number)

    def refuse(self, error: EngineError) -> None:
        _refuse(self.future, error)


@dataclass(frozen=True)
class GiveUpLoad:
    """Take the wish of this number back; the load goes with it, unless someone else waits for the model."""

    number: int

    def run(self, scheduler: Scheduler) -> None:
        scheduler.give_up_load(self.number)

    def refuse(self, error: EngineError) -> None:
        """Nobody waits for it."""


@dataclass(frozen=True)
class Unload:
    """Free a model when its requests have ended, or at once with `cancel`."""

    model: str
    cancel: bool
    future: Future[None]

    def run(self, scheduler: Scheduler) -> None:
        scheduler.unload(self.model, self.cancel, self.future)

    def refuse(self, error: EngineError) -> None:
        _refuse(self.future, error)


@dataclass(frozen=True)
class Unpin:
    """Let a model be evicted again."""

    model: str
    future: Future[None]

    def run(self, scheduler: Scheduler) -> None:
        scheduler.unpin(self.model, self.future)

    def refuse(self, error: EngineError) -> None:
        _refuse(self.future, error)


@dataclass(frozen=True)
class UnloadIdle:
    """Free models that nobody has used for long."""

    models: tuple[str, ...]

    def run(self, scheduler: Scheduler) -> None:
        scheduler.unload_idle(self.models)

    def refuse(self, error: EngineError) -> None:
        """Nobody waits for it."""


@dataclass(frozen=True)
class Save:
    """Write a piece of what is kept for later turns to disk. Never sent to other ranks: with these nothing is."""

    def run(self, scheduler: Scheduler) -> None:
        scheduler.save()

    def refuse(self, error: EngineError) -> None:
        """Nobody waits for it."""


@dataclass(frozen=True)
class Ready:
    """Say that the thread takes commands."""

    future: Future[None]

    def run(self, scheduler: Scheduler) -> None:
        if waited_for(self.future):
            self.future.set_result(None)

    def refuse(self, error: EngineError) -> None:
        _refuse(self.future, error)


@dataclass(frozen=True)
class Close:
    """The last command: the thread ends after it."""

    def run(self, scheduler: Scheduler) -> None:
        """Left to the thread, which closes the scheduler however it ends."""

    def refuse(self, error: EngineError) -> None:
        """Nobody waits for it."""


def _refuse(future: Future[Any], error: EngineError) -> None:
    if waited_for(future):
        future.set_exception(error)
