"""Who may talk to the API: every request passes the `Guard` before anything of it is believed.

The server listens on loopback, where other users of the machine and every page in a browser can reach it too: hence
the key, the Host check (DNS rebinding) and the refusal of foreign origins (cross-site requests).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import uuid
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import SettingsError
from core.keys import KeyRing
from core.settings import Settings
from core.text_safety import escaped
from server.errors import SWITCHED_OFF, ApiError, Protocol, error_response, from_exception
from server.intake import Intake
from server.wire import WireCall, WireRecord, WireState

log = logging.getLogger(__name__)

OPEN_ROUTES = {("GET", "/health"), ("HEAD", "/health"), ("GET", "/ready"), ("HEAD", "/ready"), ("HEAD", "/")}
"""Probes: without a key they tell nothing but whether something listens and takes requests."""

UNRECORDED = {*OPEN_ROUTES, ("GET", "/metrics"), ("GET", "/admin/exchanges")}
"""What those ask who watch, again and again: it would push the requests that matter out of the record."""

KEPT_BODY = 1 << 18
"""Bytes of a body that is kept as it came, as evidence."""

OWNERS = "/admin/"
"""Below it a program's own key does not do: what one program can unload and stop is everybody's."""

FORM_ROUTES = {"/v1/audio/transcriptions", "/v1/audio/translations"}
"""Where a file is sent, as multipart/form-data. A web page may send such without asking, but not without its Origin."""

BARE_ROUTES = re.compile(r"/v1/responses/[^/]+/cancel")
"""Where nothing need be sent, and clients then name no type. A web page that posts so sends its Origin, too."""

_HOST = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]{1,5})?")


def is_loopback(host: str) -> bool:
    """Whether an address to bind is reachable from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_exposure(settings: Settings) -> None:
    """Raises SettingsError when the API would be open to a network without a key."""
    if not settings.api_key_required and not is_loopback(settings.host):
        raise SettingsError(
            f"The API cannot listen on {settings.host} without a key: anyone on the network could use it. "
            'Set api_key_required = true, or host = "127.0.0.1".'
        )


def protocol_of(path: str, headers: Headers) -> Protocol:
    """Which protocol a request speaks; only Anthropic's clients send anthropic-version."""
    if path.startswith("/v1/messages") or "anthropic-version" in headers:
        return Protocol.ANTHROPIC
    return Protocol.OPENAI


def face_of(path: str, protocol: Protocol) -> str:
    """What the record calls a request's protocol: OpenAI has two ways to converse."""
    return "responses" if path.startswith("/v1/responses") else protocol.value


def host_name(header: str) -> str | None:
    """The name in a Host header, without port and brackets, in lower case; None for what is no host and port."""
    match = _HOST.fullmatch(header.strip().lower())
    return (match["six"] or match["name"]) if match else None


class Guard:
    """ASGI middleware: request id, Host, Origin, key, media type, size; and the wire record of who came."""

    def __init__(
        self, app: ASGIApp, *, keys: KeyRing | None, host: str, allowed_hosts: Iterable[str], record: WireRecord
    ) -> None:
        self._app = app
        self._keys = keys
        self._hosts = {"localhost", "127.0.0.1", "::1", *(name.lower().strip("[]") for name in allowed_hosts)}
        if host not in ("0.0.0.0", "::", ""):
            self._hosts.add(host.lower().strip("[]"))
        self._record = record
        self._intake = Intake()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        protocol = protocol_of(scope["path"], headers)
        request_id = f"req_{uuid.uuid4().hex}"
        who = self._who(headers)
        scope.setdefault("state", {}).update(request_id=request_id, protocol=protocol, has_key=who is not None)
        asked = (scope["method"], scope["path"])
        call = None
        if asked not in UNRECORDED:
            call = self._record.open(
                request_id,
                client=headers.get("user-agent", ""),
                protocol=face_of(scope["path"], protocol),
                method=scope["method"],
                path=escaped(scope["path"], newlines=True),
                key=who or "",
            )
            scope["state"]["call"] = call
        reply = _Reply(send, protocol, request_id, call)
        held = 0
        try:
            refusal = self._refusal(*asked, headers, who if asked not in OPEN_ROUTES else "")
            if refusal is None and scope["method"] == "POST":
                found = await self._intake.read(headers, receive)
                if found is None:
                    return  # the client left while it was still sending
                refusal, body = found
                held = len(body)
                if call is not None and held <= KEPT_BODY and self._record.evidence.on:
                    call.body = body
                receive, found, body = _replay(body, receive), None, b""  # its reader alone holds it
            if refusal is not None:
                response = error_response(refusal, protocol, request_id)
                if call is not None:
                    call.end(WireState.FAILED, response.status_code, refusal.message)
                await response(scope, receive, reply)
                return
            await self._app(scope, receive, reply)
        except asyncio.CancelledError:
            if not reply.started:
                await error_response(SWITCHED_OFF, protocol, request_id)(scope, receive, reply)
            raise
        except Exception as error:
            if reply.started:
                raise  # uvicorn cuts the connection, which is all that can be said now
            log.exception("%s failed.", request_id)
            await error_response(from_exception(error, request_id), protocol, request_id)(scope, receive, reply)
        finally:
            self._intake.release(held)
            if call is not None:
                call.end(WireState.CANCELLED)  # has no effect on an entry that has ended

    def _refusal(self, method: str, path: str, headers: Headers, who: str | None) -> ApiError | None:
        """Why a request is not answered; `who` sends it, by the name of the key, None for who has none."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or host_name(hosts[0]) not in self._hosts:
            return ApiError(
                403,
                f"The Host header {', '.join(hosts)[:200]!r} is not one this server answers to. Use 127.0.0.1 or "
                "localhost, or add the name to allowed_hosts in settings.toml.",
                "host_not_allowed",
            )
        own = (f"http://{hosts[0].lower()}", f"https://{hosts[0].lower()}")
        foreign = next((origin for origin in headers.getlist("origin") if origin.lower() not in own), None)
        if foreign is not None:
            return ApiError(
                403,
                f"Requests from the web page {foreign[:200]!r} are refused: only programs and pages of this server's "
                "own address may use the API.",
                "origin_not_allowed",
            )
        if who is None:
            return ApiError(
                401,
                "The API key is missing or wrong. Send it as 'Authorization: Bearer KEY' or 'x-api-key: KEY'; "
                "Assay shows the key where it shows the API's address.",
                "invalid_api_key",
            )
        if who and path.startswith(OWNERS):
            return ApiError(
                403,
                f"The key {who!r} is a program's own, and {path[:100]} is for the owner of this server: send the key "
                "that `assay key` prints.",
                "owner_only",
            )
        expected = headers.get("expect", "100-continue")
        if expected.lower() != "100-continue":
            return ApiError(
                417,
                f"The request expects {expected[:100]!r}, which this server does not know. Send it without Expect.",
                "expectation_failed",
            )
        if method == "POST":  # nothing here takes another method with a body
            coding = headers.get("content-encoding", "identity").strip().lower()
            if coding != "identity":
                return ApiError(
                    415,
                    f"The body is compressed (Content-Encoding: {coding[:100]}), which this server does not read. Send "
                    "it as it is.",
                    "unsupported_media_type",
                    headers={"accept-encoding": "identity"},
                )
            media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
            wanted = "multipart/form-data" if path in FORM_ROUTES else "application/json"
            if media_type != wanted and not (media_type == "" and BARE_ROUTES.fullmatch(path)):
                return ApiError(
                    415,
                    f"The Content-Type is {media_type[:100] or 'missing'}; send "
                    f"{'a form' if path in FORM_ROUTES else 'JSON'} with 'Content-Type: {wanted}'.",
                    "unsupported_media_type",
                )
        return None

    def _who(self, headers: Headers) -> str | None:
        """The name of the key that is sent; "" for the owner's, and where none is needed; None for none that opens."""
        if self._keys is None:
            return ""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        offered = [headers.get("x-api-key", ""), bearer.strip() if scheme.lower() == "bearer" else ""]
        names = [self._keys.name_of(key) for key in offered if key]
        return next((name for name in names if name is not None), None)


class _Reply:
    """Sends a response with its request id, and closes the entry of a request that no route has closed."""

    def __init__(self, send: Send, protocol: Protocol, request_id: str, call: WireCall | None) -> None:
        self._send = send
        self._header = protocol.id_header
        self._request_id = request_id
        self._call = call
        self._status = 0

    @property
    def started(self) -> bool:
        return self._status != 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            MutableHeaders(scope=message).setdefault(self._header, self._request_id)
            if self._call is not None:
                self._call.answered(self._status)
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body") and self._call is not None:
            state = WireState.DONE if self._status < 400 else WireState.FAILED
            self._call.end(state, self._status)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives `body` at once and then what else comes, which can only be the client's leaving."""
    kept = [body]
    del body

    async def replayed() -> Message:
        if kept:
            return {"type": "http.request", "body": kept.pop(), "more_body": False}
        return await receive()

    return replayed
