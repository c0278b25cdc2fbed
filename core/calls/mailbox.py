"""Items from one thread to a reader on any other thread or event loop, up to an end that may be an error."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from core.errors import EngineError

Item = TypeVar("Item")

_Wakers = list[Callable[[], None]]


class Mailbox(Generic[Item]):
    """Items are kept until they are taken. Putting one costs a deque append, however slow the reader is."""

    def __init__(self) -> None:
        self.error: EngineError | None = None
        """What ended it, if an error did."""
        self._items: deque[Item] = deque()
        self._condition = threading.Condition()
        self._over = threading.Event()
        self._wakers: _Wakers = []  # of coroutines that wait for an item or the end
        self._farewells: _Wakers = []  # of coroutines that wait for the end

    @property
    def over(self) -> bool:
        """True once the last item is in, taken or not."""
        return self._over.is_set()

    # -- the sender's side -------------------------------------------------------------------------------------------

    def put(self, item: Item, last: bool = False) -> None:
        """Append an item; nothing comes after the `last`. Ignored after the end."""
        with self._condition:
            if self.over:
                return
            self._items.append(item)
            if last:
                self._over.set()
            self._wake()

    def fail(self, error: EngineError) -> None:
        """End with an error, behind the items that are in. Ignored after the end."""
        with self._condition:
            if self.over:
                return
            self.error = error.detached()
            self._over.set()
            self._wake()

    def _wake(self) -> None:
        """Wake who waits for an item, and at the end who waits for that: waking a reader costs the sender time."""
        self._condition.notify_all()
        for wakers in (self._wakers, self._farewells) if self.over else (self._wakers,):
            while wakers:
                wakers.pop()()

    # -- the reader's side -------------------------------------------------------------------------------------------

    def take(self) -> Item | None:
        """The next item once there is one; None at the end. Raises the error that ended it, behind the last item."""
        with self._condition:
            self._condition.wait_for(lambda: self._items or self.over)
            return self._taken()

    async def atake(self) -> Item | None:
        """As `take`, for a coroutine."""
        await self._told(self._wakers, lambda: bool(self._items) or self.over)
        with self._condition:
            return self._taken()

    def drain(self) -> list[Item]:
        """The items that are in, without waiting; raises nothing."""
        with self._condition:
            items = list(self._items)
            self._items.clear()
            return items

    def fold(self, add: Callable[[Item], None]) -> None:
        """Pass each item that is in to `add`, one caller after another, so that they stay in order.

        Raises the error that ended it, behind the last item.
        """
        with self._condition:
            while self._items:
                add(self._items.popleft())
            if self.error is not None:
                raise self.error

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end, for at most `timeout` seconds; returns whether it has come."""
        return self._over.wait(None if timeout is None else min(timeout, threading.TIMEOUT_MAX))

    async def await_end(self) -> None:
        """As `wait`, for a coroutine."""
        await self._told(self._farewells, lambda: self.over)

    def _taken(self) -> Item | None:
        if self._items:
            return self._items.popleft()
        if self.error is not None:
            raise self.error
        return None

    async def _told(self, wakers: _Wakers, there: Callable[[], bool]) -> None:
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
            finally:
                with self._condition:
                    if waker in wakers:
                        wakers.remove(waker)
