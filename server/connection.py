"""One connection: uvicorn's, with limits of time on all that a client can leave undone, and refusals in our words."""

from __future__ import annotations

import contextlib
import http
import logging
import time
import uuid
from typing import Any, cast

from starlette.datastructures import Headers
from uvicorn.protocols.http.h11_impl import H11Protocol

from server.crowd import Crowd
from server.errors import ApiError, Protocol, error_response
from server.http11 import Reader, TlsHello
from server.security import protocol_of

_uvicorn = logging.getLogger(f"{__name__}.uvicorn")
_uvicorn.setLevel(logging.ERROR)  # it warns of each request that cannot be read

HEAD_S = 10.0
"""From the first byte of a request to the end of its headers."""

STALL_S = 60.0
"""How long a client may take nothing of what is sent to it."""

LINGER_S = 10.0
"""How long what a refused client still sends is thrown away: a socket closed over it would lose the answer."""

MAX_LINGER = 128 * 1024 * 1024
"""Bytes of that."""

READ_AT_ONCE = 32 * 1024
"""Bytes taken from the system at once, which is what a connection holds of a body that nobody reads yet."""

FULL = ApiError(
    503,
    "The server has as many connections as it can hold, all of them with requests. Try again in 2 s.",
    "too_many_connections",
    repeats=False,
    headers={"retry-after": "2"},
)


class Connection(H11Protocol):
    """A member of the crowd. It is idle while no request of it is being answered.

    Bodies are timed by whoever reads them (server/intake.py), everything else here.
    """

    conn: Reader

    def __init__(self, crowd: Crowd, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self.conn = Reader()
        self.logger = _uvicorn
        self._crowd = crowd
        self._line: _Line
        self._since = time.monotonic()
        self._lingers = False
        self._closing = False
        self._lost = False
        self._thrown = 0
        self._taken = 0
        self._taken_at = self._since

    def connection_made(self, transport: Any) -> None:
        with contextlib.suppress(AttributeError):  # another loop than asyncio's own, which takes 256 KB
            transport.max_size = READ_AT_ONCE
        self._line = _Line(transport, self)
        super().connection_made(cast(Any, self._line))
        self._crowd.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._crowd.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._lingers:
            self._thrown += len(data)
            if self._thrown > MAX_LINGER:
                self.transport.abort()
            return
        if self.conn.reads_head and not self.conn.has_begun:
            self._since = time.monotonic()
        super().data_received(data)

    def handle_events(self) -> None:
        self._crowd.turns.ask(self, is_new=self.cycle is None)

    def hold(self) -> None:
        self.flow.pause_reading()

    def take_turn(self) -> None:
        if self._lingers or self.transport.is_closing():
            return
        self.conn.take_turn()
        self.flow.resume_reading()
        super().handle_events()
        if self._lingers or self.transport.is_closing():
            return
        if not self._idle:
            (self._crowd.sends if self.conn.reads_body else self._crowd.works)(self)
        if self.conn.interrupted:
            self.handle_events()
        elif not self._idle and self.cycle.body:
            self.flow.pause_reading()  # until it is asked for
        elif self.conn.may_upgrade and not self.conn.trailing_data[0]:
            self.flow.resume_reading()  # or it would not be seen that the client leaves

    def on_response_complete(self) -> None:
        self._since = time.monotonic()
        self._crowd.waits(self)
        super().on_response_complete()

    def shutdown(self) -> None:
        self._closing = True
        if self._lingers:
            self.transport.abort()
        else:
            super().shutdown()

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: a request to upgrade is answered as if it had not asked."""

    def send_400_response(self, msg: str) -> None:
        """Answer what h11 cannot read; `msg` says less than the reader's fault."""
        fault = self.conn.fault
        if isinstance(fault, TlsHello):
            self._crowd.seldom.warn("tls", str(fault))
        status = fault.error_status_hint if fault is not None else 400
        said = str(fault) if fault is not None else msg
        if not said.endswith("."):  # h11's own words
            said = f"The request cannot be read: {said.partition(': bytearray')[0]}. Send it as HTTP/1.1 has it."
        self._refuse(ApiError(status, said, "invalid_request"))

    def look(self, now: float) -> None:
        if self._stalls(now):
            self._crowd.seldom.warn("stall", f"A client that took nothing for {STALL_S:.0f} s was given up.")
            self.transport.abort()
        elif self._lingers:
            if now - self._since > LINGER_S:
                self.transport.abort()
        elif self._idle and not self.transport.is_closing():
            self._look_idle(now - self._since)

    def _look_idle(self, waited: float) -> None:
        if self.conn.has_begun:
            if waited > HEAD_S:
                late = f"The request's headers were not whole after {HEAD_S:g} s. Send them at once."
                self._refuse(ApiError(408, late, "request_timeout"))
        elif self.conn.reads_body:
            if waited > LINGER_S:  # the rest of one that was refused
                self.transport.abort()
        elif waited > self.timeout_keep_alive:
            self.transport.close()

    def make_room(self) -> None:
        self.transport.abort()

    def turn_away(self) -> None:
        self._refuse(FULL)

    def linger(self) -> bool:
        """Take up what a client still sends, instead of closing; False if there is no need."""
        unread = self.conn.reads_body or self.conn.fault is not None or self._refused
        if self._lost or self._closing or not unread:
            return False
        if not self._lingers:
            try:
                self._line.write_eof()
            except OSError:  # the client has torn the connection down, and nothing more comes
                return False
            self._lingers = True
            self._since = time.monotonic()
            self._unset_keepalive_if_required()
            self._crowd.waits(self)
            self.flow.resume_reading()
        return True

    @property
    def lingers(self) -> bool:
        return self._lingers

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _stalls(self, now: float) -> bool:
        left = self._line.get_write_buffer_size()
        taken = self._line.written - left
        if left == 0 or taken > self._taken:
            self._taken, self._taken_at = taken, now
        return now - self._taken_at > STALL_S

    _refused = False

    def _refuse(self, error: ApiError) -> None:
        """Answer outside of the application, and close."""
        if self.transport.is_closing():
            return
        started = False
        if not self._idle:
            started = self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self.flow.resume_writing()
        if started:
            self.transport.abort()
            return
        self._refused = True
        self._line.write(self._encoded(error))
        self.transport.close()

    def _encoded(self, error: ApiError) -> bytes:
        protocol = Protocol.OPENAI
        if not self._idle:
            protocol = protocol_of(self.scope["path"], Headers(raw=self.headers))
        request_id = f"req_{uuid.uuid4().hex}"
        response = error_response(error, protocol, request_id)
        response.headers[protocol.id_header] = request_id
        response.headers["connection"] = "close"
        phrase = http.HTTPStatus(response.status_code).phrase if response.status_code != 529 else "Overloaded"
        lines = [f"HTTP/1.1 {response.status_code} {phrase}".encode()]
        lines += [name + b": " + value for name, value in response.raw_headers]
        return b"\r\n".join([*lines, b"", bytes(response.body)])


class _Line:
    """A transport whose `close` lets the connection take up what still comes."""

    def __init__(self, transport: Any, connection: Connection) -> None:
        self._transport = transport
        self._connection = connection
        self.written = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self.written += len(data)
        self._transport.write(data)

    def is_closing(self) -> bool:
        return self._connection.lingers or bool(self._transport.is_closing())

    def close(self) -> None:
        if not self._connection.linger():
            self._transport.close()
