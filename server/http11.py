"""HTTP/1.1 as this server reads it: h11, with bounds on what a client can make it hold or work through."""

from __future__ import annotations

import re

import h11

MAX_HEAD = 16 * 1024
"""Bytes of a request's first line and headers, as at Node."""

MAX_TARGET = 8 * 1024
"""Bytes of a request's first line, as at Apache."""

MAX_FIELDS = 100
"""Headers of a request, as at Apache: h11 takes milliseconds for thousands."""

FRAMING = 64 * 1024
"""Bytes by which the framing of chunks may be larger than what is in them: sizes, extensions, trailers."""

TURN = 64
"""Events of one connection that are looked at before the others have their turn: a chunk may hold a single byte."""

REST = 64 * 1024
"""Bytes that may be left of a body that nobody reads, if the connection is to serve another request."""

_BLANK_LINE = re.compile(rb"\n\r?\n")
_FIRST_LINE = re.compile(rb"[!-~]+ [!-~]+ HTTP/[0-9]\.[0-9]\r?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE)
_CLOSE = (b"connection", b"close")


class Malformed(h11.RemoteProtocolError):
    """What cannot be served as it was sent; its text is a sentence, `error_status_hint` the status."""


class TlsHello(Malformed):
    """Someone speaks https to a port of plain http."""


class Reader(h11.Connection):
    """The server's side of one connection. `next_event` also raises Malformed.

    It gives NEED_DATA after TURN events even if there is more: `interrupted` says so, and `take_turn` lets it go on.
    """

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MAX_HEAD)
        self.fault: h11.RemoteProtocolError | None = None
        """What `next_event` raised; nothing more can be read then."""
        self.interrupted = False
        self._turn = 0
        self._unread: float = 0
        self._framing = 0
        self._data = 0

    @property
    def reads_head(self) -> bool:
        return self.their_state is h11.IDLE

    @property
    def has_begun(self) -> bool:
        """Whether something has come of a head that is not whole."""
        return self.reads_head and bool(self.trailing_data[0])

    @property
    def reads_body(self) -> bool:
        return self.their_state is h11.SEND_BODY

    @property
    def may_upgrade(self) -> bool:
        """Whether a whole request has asked for another protocol, and h11 waits for what is answered."""
        return self.their_state is h11.MIGHT_SWITCH_PROTOCOL  # type: ignore[attr-defined]

    def take_turn(self) -> None:
        self._turn = 0
        self.interrupted = False

    def receive_data(self, data: bytes) -> None:
        self._framing += len(data)
        super().receive_data(data)

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        if self._turn >= TURN and self.trailing_data[0]:
            self.interrupted = True
            return h11.NEED_DATA
        self._turn += 1
        try:
            if self.reads_head:
                _check_head(self.trailing_data[0])
            return self._checked(super().next_event())
        except h11.RemoteProtocolError as error:
            self.fault = error
            raise

    def send(self, event: h11.Event) -> bytes | None:  # type: ignore[override]
        """As in h11; an answer to a request whose body is not going to be read says that the connection closes."""
        if isinstance(event, h11.Response) and (self.fault is not None or self._abandons_body):
            headers = [item for item in event.headers if item[0] != b"connection"]
            event = h11.Response(
                status_code=event.status_code, headers=[*headers, _CLOSE], http_version=b"1.1", reason=event.reason
            )
        return super().send(event)

    @property
    def _abandons_body(self) -> bool:
        waits = self.they_are_waiting_for_100_continue
        return self.reads_body and (waits or self._unread > REST)

    def _checked(
        self, event: h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]
    ) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        if isinstance(event, h11.Request):
            self._framing, self._data = len(self.trailing_data[0]), 0
            self._unread = _body_size(event)
            return _origin_form(event)
        if isinstance(event, h11.Data):
            self._framing -= len(event.data)
            self._data += len(event.data)
            self._unread -= len(event.data)
        if self.reads_body and self._framing > FRAMING + self._data:
            raise Malformed(
                f"The body's chunks have more than {FRAMING // 1024} KB of sizes and extensions beyond what is in "
                "them. Send it in larger chunks, or with a Content-Length.",
                error_status_hint=400,
            )
        return event


def _check_head(received: bytes) -> None:
    """Look at what there is of a head, before h11 takes it apart. Raises Malformed."""
    if received[:1] == b"\x16":
        raise TlsHello(
            "This port speaks plain HTTP, and a client began with a TLS handshake. Use an address with http://, not "
            "https://.",
            error_status_hint=400,
        )
    end = _BLANK_LINE.search(received)
    size = end.end() if end else len(received)
    line_end = received.find(b"\n", 0, size)
    first = received[: line_end if line_end >= 0 else size]
    if len(first) > MAX_TARGET:
        raise Malformed(
            f"The request's address is longer than {MAX_TARGET // 1024} KB. Send what it holds in the body.",
            error_status_hint=414,
        )
    if size > MAX_HEAD or received.count(b"\n", 0, size) > MAX_FIELDS + 2:
        raise Malformed(
            f"The request has more than {MAX_FIELDS} headers or {MAX_HEAD // 1024} KB of them. Send fewer.",
            error_status_hint=431,
        )
    if line_end >= 0 and not _FIRST_LINE.fullmatch(first):
        raise Malformed(
            "The request does not begin with a line of HTTP/1.1, such as 'GET /health HTTP/1.1'.",
            error_status_hint=400,
        )


def _body_size(request: h11.Request) -> float:
    """Bytes of the body that is to come, infinite for chunks. Raises Malformed when two lengths are given."""
    names = dict(request.headers)
    if not request.http_version.startswith(b"1."):
        version = request.http_version.decode("ascii")
        raise Malformed(f"This server speaks HTTP/1.1, not HTTP/{version}.", error_status_hint=505)
    if b"transfer-encoding" in names:
        if b"content-length" in names or request.http_version == b"1.0":
            raise Malformed(
                "The request has a Transfer-Encoding beside a Content-Length or HTTP/1.0, so its end is in doubt. "
                "Send one of them.",
                error_status_hint=400,
            )
        return float("inf")
    return int(names.get(b"content-length", b"0"))


def _origin_form(request: h11.Request) -> h11.Request:
    """The request with a path as its target: of an absolute address, as proxies are sent, the host is the Host."""
    found = _ABSOLUTE.fullmatch(request.target)
    if found is None:
        return request
    rest = found[2] if found[2].startswith(b"/") else b"/" + found[2]
    headers = [(b"host", found[1]), *(item for item in request.headers if item[0] != b"host")]
    return h11.Request(
        method=request.method, headers=headers, target=rest.partition(b"#")[0], http_version=request.http_version
    )
