"""Items from one thread to a reader on any other thread or event loop, up to an end that may be an error."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary, ref

from core.errors import EngineError

Item = TypeVar("Item")

_Wakers = list[Callable[[], None]]


PACE_S = 1 / 60
"""What flows comes as often as a screen shows anything new: to wake a loop costs the sender and the loop more than an
item does, and to send each token by itself more than half of what a stream costs."""

SLOW_PACE_S = 1 / 15
"""The pace of many streams: no slower than this,"""

SHARE = 0.015
"""and, up to there, slow enough that a loop works for this part of the time: the sender needs the interpreter too."""


class _Courier:
    """Has calls made on an event loop. Those that come before it gets to them wake it once, together.

    A call that flows is one of many: after one that was made, the next wait until PACE_S have passed, or longer, where
    the loop had much to do since the last ones.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = ref(loop)  # by which it is kept
        self._lock = threading.Lock()
        self._calls: list[Callable[[], None]] = []
        self._awake = False
        """Whether the loop has been woken for what is in `_calls`."""
        self._flowing = False
        """Whether one of `_calls` flows."""
        self._resting = False
        self._spent = 0.0
        """Processor seconds of the loop's thread, at the last calls that flowed."""

    def take(self, call: Callable[[], None], flows: bool = False) -> None:
        """Have it made soon. From any thread."""
        with self._lock:
            self._calls.append(call)
            self._flowing = self._flowing or flows
            if self._awake or (flows and self._resting):
                return
            self._awake = True
        loop = self._loop()
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody is left to wake
            if loop is not None:
                loop.call_soon_threadsafe(self._deliver)

    def _deliver(self, rested: bool = False) -> None:
        with self._lock:
            calls, self._calls = self._calls, []
            self._awake = False
            rests = self._flowing and (rested or not self._resting)
            self._resting = rests or (self._resting and not rested)
            self._flowing = False
        if rests:
            asyncio.get_running_loop().call_later(self._pace_s(), self._deliver, True)
        for call in calls:
            call()

    def _pace_s(self) -> float:
        """How long the next that flow wait: in that time the loop does what the last ones brought it."""
        before, self._spent = self._spent, time.thread_time()
        return max(PACE_S, min(SLOW_PACE_S, (self._spent - before) / SHARE))


_couriers: WeakKeyDictionary[asyncio.AbstractEventLoop, _Courier] = WeakKeyDictionary()


def _courier() -> _Courier:
    """That of the running loop, which alone makes it."""
    loop = asyncio.get_running_loop()
    if loop not in _couriers:
        _couriers[loop] = _Courier(loop)
    return _couriers[loop]


class Bell:
    """Tells a coroutine that one of several mailboxes has something new: rung by them, awaited where it was made.

    A mailbox rings it as long as it is in its `bells`. After `patience_s` seconds of silence it tells of that. While
    it `flows`, it is heard at most each PACE_S, but for the end of a mailbox, which is heard at once.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._loop = asyncio.get_running_loop()
        self._courier = _courier()
        self._rung = False
        self._heard = False
        self._waiter: asyncio.Future[bool] | None = None
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.flows = False

    def ring(self, end: bool = False) -> None:
        """From any thread."""
        if end or not self._rung:
            self._rung = True
            self._courier.take(self._hear, flows=self.flows and not end)

    async def rung(self) -> bool:
        """Wait until it is rung, or has been since the last time; False where silence came instead.

        Who has looked into the mailboxes after the last time has missed nothing.
        """
        if not self._heard:
            self._until = self._loop.time() + self._patience_s
            if self._timer is None:  # one goes on from wait to wait: to set one costs as much as all else here
                self._timer = self._loop.call_at(self._until, self._look)
            self._waiter = self._loop.create_future()
            if not await self._waiter:
                return False
        self._rung = self._heard = False
        return True

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _hear(self) -> None:
        self._heard = True
        self._wake(True)

    def _wake(self, rung: bool) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(rung)

    def _look(self) -> None:
        if self._loop.time() < self._until:
            self._timer = self._loop.call_at(self._until, self._look)
        else:
            self._timer = None
            self._wake(False)


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
        self.bells: tuple[Bell, ...] = ()
        """Rung for each item and at the end."""

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
            wakers = self._woken()
        self._call(wakers)

    def fail(self, error: EngineError) -> None:
        """End with an error, behind the items that are in. Ignored after the end."""
        with self._condition:
            if self.over:
                return
            self.error = error.detached()
            self._over.set()
            wakers = self._woken()
        self._call(wakers)

    def _call(self, wakers: _Wakers) -> None:
        """Not under the condition, for which those that are woken would have to wait."""
        for waker in wakers:
            waker()
        for bell in self.bells:
            bell.ring(self.over)

    def _woken(self) -> _Wakers:
        """Wake the threads that wait. Returns whom to call of the coroutines: those that wait for an item, and at the
        end for that."""
        self._condition.notify_all()
        waiting = (self._wakers, self._farewells) if self.over else (self._wakers,)
        wakers = [waker for some in waiting for waker in some]
        for some in waiting:
            some.clear()
        return wakers

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
        courier = _courier()
        while True:
            with self._condition:
                if there():
                    return
                ready = asyncio.Event()
                waker = partial(courier.take, ready.set)
                wakers.append(waker)
            try:
                await ready.wait()
            finally:
                with self._condition:
                    if waker in wakers:
                        wakers.remove(waker)
