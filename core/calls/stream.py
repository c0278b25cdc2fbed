"""What the engine's handles have in common: one side feeds events, the other iterates, from any thread or loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from core.calls.events import Finished
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
    def done(self) -> bool: ...

    def feed(self, event: Any) -> None: ...

    def fail(self, error: EngineError) -> None: ...

    def wait(self, timeout: float | None = None) -> bool: ...


Request = TypeVar("Request", bound=Asked)
Item = TypeVar("Item")


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

    def __init__(self, request: Request, on_cancel: Callable[[Any], None]) -> None:
        self.request = request
        self._folded = self.empty()
        self._on_cancel = on_cancel
        self._events: deque[Item] = deque()
        self._condition = threading.Condition()
        self._over = threading.Event()
        self._wakers: list[Callable[[], None]] = []
        self._farewells: list[Callable[[], None]] = []
        self._error: EngineError | None = None
        self._cancelled = False
        self.admitted = False
        """Set by the engine once it has left the queue."""
        self.ignored: tuple[str, ...] = ()
        """Fields of the request that this model has no use for; set before the first output."""

    @property
    def id(self) -> str:
        return str(self.request.id)

    @property
    def done(self) -> bool:
        """True once the engine has finished with it, whether or not the events were read."""
        return self._over.is_set()

    @property
    def cancelled(self) -> bool:
        """True once `cancel` was called."""
        return self._cancelled

    @property
    def error(self) -> EngineError | None:
        """What ended it, if an error did."""
        return self._error

    def cancel(self) -> None:
        """Stop within one step. What was generated stays; `Finished(CANCELLED)` is the last event. Idempotent."""
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
        with self._condition:
            if self.done:
                return
            self._events.append(event)
            if isinstance(event, Finished):
                self._over.set()
            self._wake()

    def fail(self, error: EngineError) -> None:
        """End the stream with an error, after the events that were fed. Ignored after the end."""
        with self._condition:
            if self.done:
                return
            self._error = error.detached()
            self._over.set()
            self._wake()

    def _wake(self) -> None:
        """Wake who waits for an event, and at the end who waits for that: waking a reader costs the engine time."""
        self._condition.notify_all()
        for wakers in (self._wakers, self._farewells) if self.done else (self._wakers,):
            while wakers:
                wakers.pop()()

    # -- the reader's side -------------------------------------------------------------------------------------------

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the engine has finished with it, for at most `timeout` seconds; returns whether it has."""
        return self._over.wait(None if timeout is None else min(timeout, threading.TIMEOUT_MAX))

    async def await_end(self) -> None:
        """As `wait`, for a coroutine; cancelling it cancels the request."""
        await self._told(self._farewells, lambda: self.done)

    def drain(self) -> list[Item]:
        """The events that have come since the last read, without waiting; raises nothing. For a UI's timer."""
        with self._condition:
            events = list(self._events)
            self._events.clear()
            return events

    def result(self) -> Result:
        """Wait for the end and fold what was not read, the same for each caller. Raises the error that ended it."""
        self.wait()
        return self._fold()

    async def aresult(self) -> Result:
        """As `result`, for a coroutine; cancelling it cancels the request."""
        await self.await_end()
        return self._fold()

    def _fold(self) -> Result:
        with self._condition:  # one caller after another, so that events stay in order
            while self._events:
                self._folded.add(self._events.popleft())
            if self._error is not None:
                raise self._error
            return self._folded

    def _next(self) -> Item | None:
        """The next event, or None at the end; call with the condition held and something to read."""
        if self._events:
            return self._events.popleft()
        if self._error is not None:
            raise self._error
        return None

    def __iter__(self) -> Iterator[Item]:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._events or self.done)
                event = self._next()
            if event is None:
                return
            yield event

    async def __aiter__(self) -> AsyncIterator[Item]:
        while True:
            await self._told(self._wakers, lambda: bool(self._events) or self.done)
            with self._condition:
                event = self._next()
            if event is None:
                return
            yield event

    async def _told(self, wakers: list[Callable[[], None]], there: Callable[[], bool]) -> None:
        """Wait until `there`, of which one of `wakers` tells."""
        loop = asyncio.get_running_loop()
        while True:
            with self._condition:
                if there():
                    return
                ready = asyncio.Event()

                def waker(ready: asyncio.Event = ready) -> None:
                    try:
                        loop.call_soon_threadsafe(ready.set)
                    except RuntimeError:
                        pass  # the reader's loop has closed: nobody is left to wake

                wakers.append(waker)
            try:
                await ready.wait()
            except asyncio.CancelledError:
                if not self.done:
                    self.cancel()
                raise
            finally:
                with self._condition:
                    if waker in wakers:
                        wakers.remove(waker)
