"""Request bodies on their way in: how many are read at once, how much of them is held, and how slow they may be."""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from server.errors import ApiError

MAX_BODY = 32 * 1024 * 1024
"""Bytes of a request body, as at Anthropic."""

READING = 1024
"""Bodies that are read at once: of a thousand requests that come together, all are."""

SMALL = 64 * 1024
"""Bytes that a body may always have, so that a usual one waits for no other."""

POOL = 32 * 1024 * 1024
"""Bytes of bodies that are not whole, beside those of the one that began first: that one can always go on."""

HELD = 256 * 1024 * 1024
"""Bytes of the bodies of all requests that have no whole answer yet."""

WAIT_S = 20.0
"""How long a body waits for room before it is refused."""

IDLE_S = 30.0
"""How long nothing may come of a body that is read."""

PRESSED_S = 5.0
"""The same of one that takes room while others wait for it."""

RATE = 32 * 1024
"""Bytes a second that must come in the mean, after as long: 32 MB in 17 minutes."""

LOOK_S = 0.5
"""How often it is looked, while bodies wait for room, which of the others keep it from them."""

Found = tuple[ApiError | None, bytes]


class Intake:
    """Reads bodies within all of these limits."""

    def __init__(self) -> None:
        self._reading: dict[_Body, None] = {}
        self._waiting = 0
        self._hurries = False
        self._bytes = 0
        self._changed = asyncio.Event()
        self._held = 0

    async def read(self, headers: Headers, receive: Receive) -> Found | None:
        """The whole body, or why it is refused; None when the client has left. `release` it when it is answered."""
        length = headers.get("content-length", "")
        announced = int(length) if length.isdecimal() else 0
        if announced > MAX_BODY:
            return _too_large(announced), b""
        if len(self._reading) >= READING or not self._fits(announced):
            return self._busy(), b""
        body = _Body()
        self._reading[body] = None
        try:
            return await self._whole(body, receive)
        finally:
            if body.size >= SMALL or self._is_first(body):
                self._changed.set()
                self._changed = asyncio.Event()
            del self._reading[body]
            self._bytes -= body.size

    def release(self, body: int) -> None:
        """A request with a body of so many bytes has been answered."""
        self._held -= body

    def _fits(self, size: int) -> bool:
        return not self._held or self._held + size <= HELD

    async def _whole(self, body: _Body, receive: Receive) -> Found | None:
        while True:
            if not await self._room(body):
                return self._busy(), b""
            message = await self._next(body, receive)
            if message is None:
                return _too_slow(body), b""
            if message["type"] == "http.disconnect":
                return None
            self._bytes += body.add(message.get("body", b""))
            if body.size > MAX_BODY:
                return _too_large(body.size), b""
            if not message.get("more_body", False):
                if not self._fits(body.size):
                    return self._busy(), b""
                self._held += body.size
                return None, body.whole()

    async def _room(self, body: _Body) -> bool:
        """Wait until more of `body` may be held; False when that takes too long."""
        if self._has_room(body):
            return True
        began = time.monotonic()
        self._waiting += 1
        if not self._hurries:
            self._hurries = True
            asyncio.get_running_loop().call_later(LOOK_S, self._hurry)
        try:
            async with asyncio.timeout(WAIT_S):
                while not self._has_room(body):
                    await self._changed.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
            body.pause(time.monotonic() - began)
        return True

    def _hurry(self) -> None:
        """End the waiting for bodies that are too slow now that others wait."""
        for body in self._reading:
            limit = body.limit
            if limit is not None and not limit.expired() and body.left(self._patience(body)) <= 0:
                limit.reschedule(0)
        self._hurries = self._waiting > 0
        if self._hurries:
            asyncio.get_running_loop().call_later(LOOK_S, self._hurry)

    def _has_room(self, body: _Body) -> bool:
        return body.size < SMALL or self._is_first(body) or self._bytes - self._first.size < POOL

    @property
    def _first(self) -> _Body:
        return next(iter(self._reading))

    def _is_first(self, body: _Body) -> bool:
        return body is self._first

    def _patience(self, body: _Body) -> float:
        return PRESSED_S if self._waiting and (body.size >= SMALL or self._is_first(body)) else IDLE_S

    async def _next(self, body: _Body, receive: Receive) -> Message | None:
        """What comes next; None when it takes too long. `receive` may be cancelled: uvicorn loses nothing by it."""
        while (left := body.left(self._patience(body))) > 0:
            try:
                async with asyncio.timeout(left) as body.limit:
                    return await receive()
            except TimeoutError:
                continue
            finally:
                body.limit = None
        return None

    def _busy(self) -> ApiError:
        return ApiError(
            429,
            f"The server holds as much of request bodies as it can: {len(self._reading)} are being read, "
            f"{self._waiting} of them wait for room, and {self._held / 2**20:.0f} MB belong to requests that are "
            "being answered. Try again in 2 s.",
            "too_many_bodies",
            repeats=False,
            headers={"retry-after": "2"},
        )


class _Body:
    """One body, as far as it has come."""

    def __init__(self) -> None:
        self.size = 0
        self.limit: asyncio.Timeout | None = None
        """Of the waiting for what comes next."""
        self._chunks: list[bytes] = []
        self._began = self._last = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def add(self, chunk: bytes) -> int:
        """How many bytes those are."""
        if chunk:
            self.size += len(chunk)
            self._chunks.append(chunk)
            self._last = time.monotonic()
        return len(chunk)

    def pause(self, seconds: float) -> None:
        """So long it was not read, which is not its client's fault."""
        self._began += seconds
        self._last += seconds

    def left(self, patience: float) -> float:
        """Seconds in which something must come."""
        return patience + min(self._last, self._began + self.size / RATE) - time.monotonic()

    def whole(self) -> bytes:
        return b"".join(self._chunks)


def _too_large(size: int) -> ApiError:
    return ApiError(
        413,
        f"The request body is larger than the limit of {MAX_BODY // 2**20} MB (at least {size / 2**20:.1f} MB). "
        "Send fewer or smaller images.",
        "request_too_large",
    )


def _too_slow(body: _Body) -> ApiError:
    return ApiError(
        408,
        f"The request body came too slowly: {body.size / 1024:.0f} KB in {body.seconds:.0f} s. It needs "
        f"{RATE // 1024} KB a second in the mean and no pause of {IDLE_S:.0f} s, or of {PRESSED_S:.0f} s while others "
        "wait for room.",
        "request_timeout",
        repeats=False,
        headers={"connection": "close"},
    )
