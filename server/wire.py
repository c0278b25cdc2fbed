"""The record of external requests: what the terminal's inspector shows while, and after, a client is served.

Written on the server's thread, read from any. A listener is called on the server's thread and must return at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any

from core.calls.audio_events import AudioDelta, Listened, SpeechEvent, TranscriptionEvent
from core.calls.events import Event, Finished, Loading, Prefill, Queued, TextDelta, ThinkingDelta, ToolCallDelta, Usage
from core.calls.requests import GenerationRequest
from core.errors import RequestCancelled
from server.evidence import Evidence, Exchange

log = logging.getLogger(__name__)

STOPPED = "The request was stopped on the server's side before it had finished."

REPORT_EVERY_S = 0.1
"""The shortest time between two reports of a request that only gained tokens."""


class WireState(StrEnum):
    QUEUED = "queued"
    LOADING = "loading"
    PREFILL = "prefill"
    STREAMING = "streaming"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        return self in (WireState.DONE, WireState.FAILED, WireState.CANCELLED)


_PLACES = {state: place for place, state in enumerate(WireState)}


@dataclass(frozen=True)
class WireEntry:
    """One request as it stands. Names that a client chose (`client`, `model`, `path`) hold no control characters.

    `time` is seconds since the epoch; `ttft_s` runs from the request's arrival to its first token; `tps` is
    completion tokens per second of decoding; token counts are of all choices together.
    """

    id: str
    time: float
    client: str
    protocol: str
    method: str
    path: str
    model: str = ""
    stream: bool = False
    state: WireState = WireState.QUEUED
    status: int | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    ttft_s: float | None = None
    tps: float | None = None
    duration_s: float = 0.0
    error: str = ""
    key: str = ""
    """The name of the program's key, "" for the owner's."""
    phases: tuple[tuple[WireState, float], ...] = ()
    """How many seconds it was in each state so far, in order."""


@dataclass
class _Choice:
    """What one generation of a request has used so far."""

    deltas: int = 0
    last_at: float | None = None
    usage: Usage | None = None
    tps: float | None = None


@dataclass
class _Progress:
    """What changes with each token, folded into an entry when it is time for a report."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    first_at: float | None = None
    reported_at: float = 0.0
    entered: dict[WireState, float] = field(default_factory=dict)
    choices: dict[int, _Choice] = field(default_factory=dict)


class WireCall:
    """The server's handle on one entry of the record."""

    def __init__(self, record: WireRecord, entry: WireEntry) -> None:
        self._record = record
        self._entry = entry
        self._began = time.monotonic()
        self._progress = _Progress(entered={WireState.QUEUED: self._began})
        self._kill: Callable[[], None] | None = None
        self._killed = False
        self._waiting: list[Callable[[], object]] = []
        """Told when it is killed before there is a generation to stop."""
        self._exchange: Exchange | None = None
        self.answers = False
        """Whether it asks for an answer in words."""
        self.body = b""
        """What the client sent, until it is known what it asks for."""

    @property
    def entry(self) -> WireEntry:
        return self._entry

    def begin(
        self,
        model: str,
        stream: bool,
        kill: Callable[[], None],
        request: GenerationRequest | None = None,
        choices: int = 1,
    ) -> None:
        """Say what is being generated, and how to stop it from another thread. A `request` is kept as evidence.

        Raises RequestCancelled where it was killed before.
        """
        self._kill = kill
        if self._killed:
            kill()
            raise RequestCancelled(STOPPED)
        if request is not None:
            self.answers = True
            self._exchange = self._record.evidence.open(self._entry.id, request, choices, self.body)
        self.body = b""
        self._report(model=printable(model), stream=stream)

    @property
    def begun(self) -> bool:
        """Whether it has come to what can be stopped by itself."""
        return self._kill is not None

    @property
    def in_company(self) -> bool:
        """Whether other requests are being answered."""
        return len(self._record._live) > 1

    @property
    def now(self) -> WireEntry:
        """The entry with the times of this moment, for any thread: while nothing happens, nothing is reported."""
        entry, now = self._entry, time.monotonic()
        if entry.state.over:
            return entry
        return replace(entry, duration_s=now - self._began, phases=self._phases(now))

    def answered(self, status: int) -> None:
        """Say with which status its answer has begun: a stream ends long after that."""
        if not self._entry.state.over:
            self._entry = replace(self._entry, status=status)

    def kill(self) -> bool:
        """Stop the generation, or the request on its way to one; False if it has ended. From any thread."""
        if self._entry.state.over:
            return False
        self._killed = True  # before it is looked whether it has begun: `begin` does it the other way round
        hands: list[Callable[[], object]] = self._waiting if self._kill is None else [self._kill]
        for stop in hands:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
                stop()
        return True

    @property
    def stopped(self) -> bool:
        """Whether it was killed."""
        return self._killed

    async def killed(self) -> None:
        """Wait until it is killed, before it has begun to generate."""
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        self._waiting.append(partial(loop.call_soon_threadsafe, told.set))
        if not self._killed:
            await told.wait()

    def event(self, event: Event | SpeechEvent | TranscriptionEvent, choice: int = 0) -> None:
        """Fold one of the engine's events in."""
        progress = self._progress
        if self._exchange is not None:
            self._exchange.add(event, choice)  # type: ignore[arg-type]  # of an answer in words
        match event:
            case TextDelta() | ThinkingDelta() | ToolCallDelta():
                if progress.first_at is None:
                    progress.first_at = event.at
                one = progress.choices.setdefault(choice, _Choice())
                one.deltas += 1
                if one.last_at is not None:
                    self._record._token(self._entry.model, event.at - one.last_at)
                one.last_at = event.at
                self._enter(WireState.STREAMING)
            case Queued():
                self._enter(WireState.QUEUED)
            case Loading():
                self._enter(WireState.LOADING)
            case Prefill():
                progress.prompt_tokens, progress.cached_tokens = event.total, event.cached
                self._enter(WireState.PREFILL)
            case AudioDelta() | Listened():
                if progress.first_at is None:
                    progress.first_at = time.monotonic()
                self._enter(WireState.STREAMING)
            case Finished():
                used = progress.choices.setdefault(choice, _Choice())
                used.usage, used.tps = event.usage, event.timing.decode_tps
                progress.prompt_tokens = event.usage.prompt_tokens
                progress.cached_tokens = event.usage.cached_tokens
                self._report()
            case _:
                pass

    def end(self, state: WireState, status: int | None = None, error: str = "") -> None:
        """Close the entry. The first end counts: what comes after it is ignored."""
        if not self._entry.state.over:
            self._report(state=state, status=self._entry.status if status is None else status, error=printable(error))
            self._kill, self.body, self._exchange = None, b"", None

    def _enter(self, state: WireState) -> None:
        """Go forward to `state`: choices of one request run side by side, so none may set the entry back."""
        if _PLACES[state] > _PLACES[self._entry.state]:
            self._progress.entered[state] = time.monotonic()
            self._report(state=state)
        elif time.monotonic() - self._progress.reported_at >= REPORT_EVERY_S:
            self._report()

    def _report(self, **changes: Any) -> None:
        if self._entry.state.over:
            return
        now = time.monotonic()
        progress = self._progress
        progress.reported_at = now
        self._entry = replace(
            self._entry,
            prompt_tokens=progress.prompt_tokens,
            cached_tokens=progress.cached_tokens,
            completion_tokens=self._completion_tokens(),
            ttft_s=None if progress.first_at is None else progress.first_at - self._began,
            tps=self._tps(now),
            duration_s=now - self._began,
            phases=self._phases(now),
            **changes,
        )
        self._record._update(self)

    def _phases(self, now: float) -> tuple[tuple[WireState, float], ...]:
        entered = list(self._progress.entered.items())
        ends = [*(at for _, at in entered[1:]), now]
        return tuple((state, end - at) for (state, at), end in zip(entered, ends, strict=True))

    def _completion_tokens(self) -> int:
        # A delta is about a token; the engine's own count replaces the guess when a choice has finished.
        return sum(
            choice.deltas if choice.usage is None else choice.usage.completion_tokens
            for choice in self._progress.choices.values()
        )

    def _tps(self, now: float) -> float | None:
        rates = [choice.tps for choice in self._progress.choices.values() if choice.tps is not None]
        if rates:
            return sum(rates)
        first = self._progress.first_at
        written = self._completion_tokens() - len(self._progress.choices)  # each one's first token began the time
        return written / (now - first) if first is not None and now > first and written > 0 else None


class WireRecord:
    """The last `limit` requests, oldest first, and those that still run; what was said in them in `evidence_bytes`."""

    def __init__(self, limit: int = 500, evidence_bytes: int = 0) -> None:
        self._limit = limit
        self.evidence = Evidence(evidence_bytes)
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, WireEntry] = OrderedDict()
        self._live: dict[str, WireCall] = {}
        self._listeners: list[Callable[[WireEntry], None]] = []
        self.on_token: Callable[[str, float], None] | None = None
        """Told the model and the seconds since the token before, for every token of an answer but the first. On the
        server's thread; it must return at once, and raise nothing."""

    def open(self, id: str, *, client: str, protocol: str, method: str, path: str, key: str = "") -> WireCall:
        """Begin an entry; `id` is the request id that the client is told, `key` the name of its key."""
        entry = WireEntry(id, time.time(), printable(client), protocol, method, printable(path), key=printable(key))
        call = WireCall(self, entry)
        self._update(call)
        return call

    def entries(self) -> list[WireEntry]:
        """A snapshot, oldest first."""
        with self._lock:
            return list(self._entries.values())

    def entry(self, id: str) -> WireEntry | None:
        """One of them as it is now; None for one that has given way."""
        with self._lock:
            call = self._live.get(id)
            return call.now if call is not None else self._entries.get(id)

    @property
    def live(self) -> list[WireEntry]:
        """The requests that have not ended."""
        with self._lock:
            return [call.entry for call in self._live.values()]

    def kill(self, id: str) -> bool:
        """Stop a request, which ends with an error for its client; False if it has ended."""
        with self._lock:
            call = self._live.get(id)
        return call is not None and call.kill()

    def kill_all(self) -> int:
        """Stop every request that generates; returns how many."""
        with self._lock:
            calls = list(self._live.values())
        return sum(call.begun and call.kill() for call in calls)

    def listen(self, listener: Callable[[WireEntry], None]) -> Callable[[], None]:
        """Call `listener` with every new snapshot of an entry; returns the function that ends it."""
        with self._lock:
            self._listeners.append(listener)

        def forget() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return forget

    def _token(self, model: str, after_s: float) -> None:
        if self.on_token is not None:
            self.on_token(model, after_s)

    def _update(self, call: WireCall) -> None:
        entry = call.entry
        with self._lock:
            if entry.state.over:
                self._live.pop(entry.id, None)
            else:
                self._live[entry.id] = call
            self._entries[entry.id] = entry
            while len(self._entries) > self._limit:
                self.evidence.forget(self._entries.popitem(last=False)[0])
            listeners = tuple(self._listeners)
        if entry.state.over and call.answers:
            self.evidence.end(entry.id)
        for listener in listeners:
            try:
                listener(entry)
            except Exception:
                log.exception("A listener of the wire record failed; the request goes on.")


def printable(text: str, limit: int = 300) -> str:
    """What a client sent, safe to show in a terminal or a log: escapes for what does not print, and an end."""
    shown = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "replace").decode()
        for character in shown
    )
