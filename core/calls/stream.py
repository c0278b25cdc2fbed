"""What the engine's handles have in common: a request, the events that are fed, what they add up to, and a way out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from core.calls.events import Finished
from core.calls.mailbox import Bell, Mailbox
from core.errors import EngineError


class Asked(Protocol):
    """What every request has."""

    @property
    def model(self) -> str: ...

    @property
    def id(self) -> str: ...


class Work(Protocol):
    """A request on its way, as the engine and the scheduler see it, whatever is wanted."""

    admitted: bool

    @property
    def request(self) -> Any: ...

    @property
    def models(self) -> tuple[str, ...]: ...

    @property
    def done(self) -> bool: ...

    def feed(self, event: Any) -> None: ...

    def fail(self, error: EngineError) -> None: ...

    def wait(self, timeout: float | None = None) -> bool: ...


Request = TypeVar("Request", bound=Asked)
Item = TypeVar("Item")
T = TypeVar("T")


def settle(future: Future[Any], found: object) -> None:
    """Give a future what was found, an EngineError to be raised, unless nobody waits for it any more."""
    if not waited_for(future):
        return
    if isinstance(found, EngineError):
        future.set_exception(found)
    else:
        future.set_result(found)


def waited_for(future: Future[Any]) -> bool:
    """Whether a future is to be answered: it was neither cancelled nor, at its engine's end, answered in its place."""
    return (not future.done() or future.cancelled()) and future.set_running_or_notify_cancel()


class Folds(Protocol):
    """What adds up events."""

    def add(self, event: Any) -> None: ...


Result = TypeVar("Result", bound=Folds)


class Stream(Generic[Request, Item, Result]):
    """A running request. The engine feeds it; one consumer reads it.

    Events are kept until read, so nothing is lost by reading late. Iteration ends after `Finished`, or raises the
    EngineError that ended the request. Feeding costs the engine a deque append: a slow reader delays nobody.

    A handle that is merely forgotten runs on to its end: `with` or `async with` it, and leaving the block cancels what
    has not ended. A `break` out of a loop cancels nothing, so that `result()` can go on from there. A coroutine that
    is cancelled (by `asyncio.wait_for`, too) while it waits for an event or for `aresult()` cancels the request.
    """

    empty: type[Result]
    """Makes what `result` begins with."""

    def __init__(
        self,
        request: Request,
        on_cancel: Callable[[Any], None],
        on_end: Callable[[Request, Finished], None] | None = None,
    ) -> None:
        self.request = request
        self._on_end = on_end
        self._folded = self.empty()
        self._on_cancel = on_cancel
        self._mailbox: Mailbox[Item] = Mailbox()
        self._cancelled = False
        self.submitted = time.monotonic()
        self.admitted = False
        """Set by the engine once it has left the queue."""
        self.accepted = True
        """False while its prompt is counted, to be refused if it is too long, before its model hears of it."""
        self.ignored: tuple[str, ...] = ()
        """Fields of the request that this model has no use for; set before the first output."""
        self.notes: tuple[str, ...] = ()
        """What is done in another way than it was asked for, in sentences; set before the first output."""

    @property
    def id(self) -> str:
        return str(self.request.id)

    @property
    def models(self) -> tuple[str, ...]:
        """The models that work on it."""
        return (self.request.model,)

    @property
    def done(self) -> bool:
        """True once the engine has finished with it, whether or not the events were read."""
        return self._mailbox.over

    @property
    def cancelled(self) -> bool:
        """True once `cancel` was called."""
        return self._cancelled

    @property
    def error(self) -> EngineError | None:
        """What ended it, if an error did."""
        return self._mailbox.error

    def cancel(self) -> None:
        """Stop within one step, or at once while it waits for its turn or for its model. Idempotent.

        What was generated stays; `Finished(CANCELLED)` is the last event.
        """
        if not self._cancelled:
            self._cancelled = True
            self._on_cancel(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.done:
            self.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    # -- the engine's side -------------------------------------------------------------------------------------------

    def feed(self, event: Item) -> None:
        """Append an event; `Finished` ends the stream. Ignored after the end."""
        if isinstance(event, Finished) and self._on_end is not None and not self.done:
            self._on_end(self.request, event)
        self._mailbox.put(event, last=isinstance(event, Finished))

    def fail(self, error: EngineError) -> None:
        """End the stream with an error, after the events that were fed. Ignored after the end."""
        self._mailbox.fail(error)

    # -- the reader's side -------------------------------------------------------------------------------------------

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the engine has finished with it, for at most `timeout` seconds; returns whether it has."""
        return self._mailbox.wait(timeout)

    async def await_end(self) -> None:
        """As `wait`, for a coroutine; cancelling it cancels the request."""
        await self._or_cancel(self._mailbox.await_end())

    @contextmanager
    def rings(self, bell: Bell) -> Iterator[None]:
        """Have a bell rung for each event, and at the end, to which `drain` and `done` then are the answer."""
        self._mailbox.bells += (bell,)
        try:
            yield
        finally:
            self._mailbox.bells = tuple(other for other in self._mailbox.bells if other is not bell)

    def drain(self) -> list[Item]:
        """The events that have come since the last read, without waiting; raises nothing. For a UI's timer."""
        return self._mailbox.drain()

    def result(self) -> Result:
        """Wait for the end and fold what was not read, the same for each caller. Raises the error that ended it."""
        self.wait()
        self._mailbox.fold(self._folded.add)
        return self._folded

    async def aresult(self) -> Result:
        """As `result`, for a coroutine; cancelling it cancels the request."""
        await self.await_end()
        self._mailbox.fold(self._folded.add)
        return self._folded

    def __iter__(self) -> Iterator[Item]:
        while (event := self._mailbox.take()) is not None:
            yield event

    async def __aiter__(self) -> AsyncIterator[Item]:
        while (event := await self._or_cancel(self._mailbox.atake())) is not None:
            yield event

    async def _or_cancel(self, waiting: Awaitable[T]) -> T:
        """What is waited for; who is cancelled meanwhile takes the request along."""
        try:
            return await waiting
        except asyncio.CancelledError:
            if not self.done:
                self.cancel()
            raise
