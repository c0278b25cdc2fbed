"""A route over HTTP: one request is posted, its server-sent events are read, and times are taken on this side."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from core.calls.events import Event, Finished, TextDelta, ThinkingDelta, Timing, ToolCallStart
from core.calls.requests import GenerationRequest
from core.calls.witness import ASKS, FIELD, FINGERPRINT, Witness
from core.golden.routes import RouteError
from core.text_safety import clean

if TYPE_CHECKING:
    import httpx

CONNECT_S = 10.0
SILENCE_S = 600.0
"""A server may load and prefill for long before it says a word."""


@dataclass(frozen=True)
class Frame:
    """A server-sent event: its `event:` line ("" if it has none) and its data."""

    event: str
    data: str


class Reader(Protocol):
    """Turns the frames of one answer into events."""

    def feed(self, frame: Frame) -> list[Event]:
        """Events of a frame, `Finished` without times. Raises RouteError when the frame is an error."""
        ...


class Dialect(Protocol):
    """What one wire protocol makes of requests and answers: pure, the posting is done here."""

    path: str

    def headers(self, key: str) -> dict[str, str]: ...

    def encode(self, request: GenerationRequest) -> dict[str, Any]: ...

    def reader(self) -> Reader: ...


class HttpRoute:
    """One protocol on one server. `url` is the server's address, with or without /v1 at its end; `client` is what the
    server is told of who asks."""

    def __init__(self, dialect: Dialect, url: str, key: str = "", client: str = "") -> None:
        self._dialect = dialect
        self._url = root(url) + dialect.path
        self._key = key
        self._named = {"user-agent": client} if client else {}
        self._client: httpx.AsyncClient | None = None

    async def stream(self, request: GenerationRequest) -> AsyncIterator[Event]:
        import httpx

        started = time.monotonic()
        first: float | None = None
        pieces = 0
        finished: Finished | None = None
        witness: Witness | None = None
        reader = self._dialect.reader()
        body = self._dialect.encode(request)
        headers = {**self._dialect.headers(self._key), **self._named, ASKS: "1"}
        try:
            async with self._open().stream("POST", self._url, json=body, headers=headers) as response:
                if response.status_code != 200:
                    raise RouteError(_refusal(self._url, response.status_code, await response.aread()))
                async for frame in _frames(response.aiter_lines()):
                    if frame.event == FIELD:
                        witness = _witness(frame, self._url)
                        continue
                    for event in _read(reader, frame, self._url):
                        if isinstance(event, TextDelta | ThinkingDelta | ToolCallStart):
                            first, pieces = first or time.monotonic(), pieces + 1
                        if isinstance(event, Finished):
                            finished = event
                        else:
                            yield _safe(event)
        except httpx.HTTPError as error:
            raise RouteError(f"{self._url} broke off: {error or type(error).__name__}.") from error
        if finished is None:
            raise RouteError(f"{self._url} ended its stream before the answer was finished.")
        tokens = finished.usage.completion_tokens if witness is not None and pieces > 1 else 0
        timing = _timing(started, first, time.monotonic(), tokens)
        if witness is not None:
            timing = replace(timing, queued_s=witness.queued_s, load_s=witness.load_s)
        yield replace(finished, timing=timing, witness=witness)

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            import httpx

            self._client = httpx.AsyncClient(
                timeout=httpx.Timeout(SILENCE_S, connect=CONNECT_S), trust_env=not is_loopback(self._url)
            )
        return self._client


def bearer(key: str) -> dict[str, str]:
    """The header that names the key; none without one."""
    return {"authorization": f"Bearer {key}"} if key else {}


def list_models(url: str, key: str = "") -> list[str]:
    """Ids of the models that a server has. Raises RouteError."""
    import httpx

    address = f"{root(url)}/v1/models"
    try:
        headers = bearer(key)
        response = httpx.get(address, headers=headers, timeout=CONNECT_S, trust_env=not is_loopback(address))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise RouteError(f"{address} cannot be reached: {error or type(error).__name__}.") from error
    if response.status_code != 200:
        raise RouteError(_refusal(address, response.status_code, response.content))
    try:
        return [str(item["id"]) for item in response.json()["data"]]
    except (ValueError, KeyError, TypeError) as error:
        raise RouteError(f"{address} did not answer with a list of models.") from error


def model_fingerprint(url: str, key: str, model_id: str) -> str:
    """A short digest of a model's files on a server of our own; "" where a server does not tell it."""
    import httpx

    address = f"{root(url)}/v1/models/{model_id}"
    headers = {ASKS: "1"} | ({"authorization": f"Bearer {key}"} if key else {})
    try:
        response = httpx.get(address, headers=headers, timeout=SILENCE_S, trust_env=not is_loopback(address))
        return clean(str(response.json()[FINGERPRINT])) if response.status_code == 200 else ""
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return ""


def root(url: str) -> str:
    """The address without a / or /v1 at its end."""
    return url.rstrip("/").removesuffix("/v1")


def is_loopback(url: str) -> bool:
    """Whether the address is this machine's own, to which no proxy leads."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


async def _frames(lines: AsyncIterator[str]) -> AsyncIterator[Frame]:
    """Server-sent events (WHATWG HTML, 9.2.6): fields gather until an empty line; comments are passed over."""
    event = ""
    data: list[str] = []
    async for line in lines:
        if not line:
            if data:
                yield Frame(event, "\n".join(data))
            event, data = "", []
            continue
        name, _, value = line.partition(":")
        if name == "event":
            event = value.removeprefix(" ")
        elif name == "data":
            data.append(value.removeprefix(" "))


def _safe(event: Event) -> Event:
    """Without what could steer a terminal: a server elsewhere may not have taken it out."""
    if isinstance(event, TextDelta | ThinkingDelta):
        return replace(event, text=clean(event.text))
    return replace(event, name=clean(event.name)) if isinstance(event, ToolCallStart) else event


def _read(reader: Reader, frame: Frame, url: str) -> list[Event]:
    try:
        return reader.feed(frame)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RouteError(f"{url} sent what the protocol does not know: {frame.data[:200]!r}.") from error


def _witness(frame: Frame, url: str) -> Witness | None:
    """What our own server tells of the one choice."""
    try:
        told = json.loads(frame.data)[FIELD][0]
        return None if told is None else Witness.from_json(told)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise RouteError(f"{url} sent a witness that cannot be read: {frame.data[:200]!r}.") from error


def _refusal(url: str, status: int, body: bytes) -> str:
    try:
        said = json.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        said = body[:200].decode("utf-8", "replace")
    return f"{url} answered {status}: {said}"


def _timing(started: float, first: float | None, ended: float, tokens: int) -> Timing:
    """Times as a client sees them; prefill cannot be told from waiting there, nor the batch from outside. Without
    `tokens` that somebody has counted, in pieces that came one after the other, there is no rate."""
    begun = ended if first is None else first
    decode_s = ended - begun
    return Timing(
        ttft_s=begun - started,
        decode_s=decode_s,
        total_s=ended - started,
        batch_size=0,
        decode_tps=(tokens - 1) / decode_s if tokens > 1 and decode_s > 0 else 0.0,
    )
