"""Requests that come together are handed on together: a model reads several prompts at once sooner than one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

WAIT_S = 0.005
"""How long one that is ready waits for those that are on their way. Who comes alone does not wait."""

Result = TypeVar("Result")

_Ready = list[tuple[Callable[[], Any], Future[Any]]]


class Gathering:
    """What the requests of an event loop have done on a thread: once, for all that are on their way together."""

    def __init__(self) -> None:
        self._coming = 0
        self._ready: _Ready = []
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def coming(self) -> Iterator[None]:
        """A request is on its way while this lasts. What it has to hand on, it hands on before it waits again."""
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1
            if not self._coming and self._ready:
                asyncio.get_running_loop().call_soon(self._go)

    def hand_on(self, work: Callable[[], Result]) -> asyncio.Future[Result]:
        """What `work` returns or raises; it is not begun where the future is cancelled before."""
        future: Future[Result] = Future()
        self._ready.append((work, future))
        loop = asyncio.get_running_loop()
        if not self._coming:
            self._go()
        elif self._timer is None:
            self._timer = loop.call_later(WAIT_S, self._go)
        return asyncio.wrap_future(future)

    def _go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ready, self._ready = self._ready, []
        if ready:
            asyncio.get_running_loop().run_in_executor(None, _do, ready)


def _do(ready: _Ready) -> None:
    """All of it first: a loop that hears of one would take the interpreter from the next."""
    done = [(future, _found(work)) for work, future in ready if future.set_running_or_notify_cancel()]
    for future, (result, error) in done:
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def _found(work: Callable[[], Result]) -> tuple[Result | None, Exception | None]:
    try:
        return work(), None
    except Exception as error:
        return None, error
