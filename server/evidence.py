"""What clients asked and were answered, kept in memory as far as it fits: so that a person can look at it later.

Nothing of it is written to disk. Headers are not kept, and of a key no more than its name.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from core.calls.events import Event, GenerationResult, TextDelta, ThinkingDelta
from core.calls.requests import (
    GenerationRequest,
    Message,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
    tool_to_json,
)

SHARE = 4
"""A request that would take more than this part of all the room is not kept: it would drive the others out."""
_AROUND = 500
"""Bytes that a message takes beside its text."""
_EACH = 64
"""Bytes that a value takes beside its text."""


@dataclass
class Exchange:
    """One request as the engine got it, and its answers, one for each choice, as far as they have come.

    `body` is what the client sent; b"" where it was too large to be kept.
    """

    request: GenerationRequest
    body: bytes = b""
    results: list[GenerationResult] = field(default_factory=list)
    ended: int = 0
    """Which of all requests for an answer it was to end, counted from 1; 0 while it runs."""

    def __post_init__(self) -> None:
        asked = self.request
        plain = (asked.prompt, asked.json_schema, *map(tool_to_json, asked.tools), asked.sampling.stop)
        self._asked = sum(map(_size, asked.messages)) + _weight((*plain, asked.sampling.logit_bias))

    def add(self, event: Event, choice: int) -> None:
        """Fold one event in; logprobs are not kept."""
        if isinstance(event, (TextDelta, ThinkingDelta)) and event.logprobs:
            event = replace(event, logprobs=())
        self.results[choice].add(event)

    @property
    def nbytes(self) -> int:
        """About what it takes of the memory."""
        answers = sum(
            len(one.text) + len(one.thinking) + sum(len(call.arguments) for call in one.tool_calls) + _AROUND
            for one in self.results
        )
        return self._asked + answers + len(self.body)


def _size(message: Message) -> int:
    size = _AROUND + sum(len(image.data) for image in message.images)
    for part in message.parts:
        if isinstance(part, TextPart | ThinkingPart):
            size += len(part.text)
        elif isinstance(part, ToolCallPart):
            size += _weight(part.arguments)
        elif isinstance(part, ToolResultPart):
            size += sum(len(item.text) for item in part.content if isinstance(item, TextPart))
    return size


def _weight(value: object) -> int:
    """About what JSON values take of the memory, those in them included."""
    size, left = 0, [value]
    while left:
        one = left.pop()
        size += _EACH
        if isinstance(one, str):
            size += len(one)
        elif isinstance(one, dict):
            left += one
            left += one.values()
        elif isinstance(one, list | tuple):
            left += one
        elif isinstance(one, Mapping):
            left.append(dict(one))
    return size


class Evidence:
    """The exchanges of the last requests, by their ids: `limit` bytes in all, the oldest give way. For any thread."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Exchange] = OrderedDict()
        self._growing: set[str] = set()
        """Those of `_kept` that have not ended."""
        self._settled = 0
        """What the others take."""
        self._ended = 0
        self._on = limit > 0

    @property
    def on(self) -> bool:
        """Whether requests are kept."""
        return self._on

    @on.setter
    def on(self, on: bool) -> None:
        """Switched off, what was kept is forgotten at once."""
        with self._lock:
            self._on = on and self._limit > 0
            if not self._on:
                self._kept.clear()
                self._growing.clear()
                self._settled = 0

    @property
    def can_be_on(self) -> bool:
        """Whether the settings leave any room for it."""
        return self._limit > 0

    def open(self, id: str, request: GenerationRequest, choices: int, body: bytes) -> Exchange | None:
        """Begin to keep a request; None for one that is not kept."""
        if not self._on:
            return None
        exchange = Exchange(request, body, [GenerationResult() for _ in range(choices)])
        if exchange.nbytes > self._limit // SHARE:
            exchange.body = b""
            if exchange.nbytes > self._limit // SHARE:
                return None
        with self._lock:
            if self._on:
                self._kept[id] = exchange
                self._growing.add(id)
        self.bound()
        return exchange

    def end(self, id: str) -> None:
        """A request for an answer has ended, kept or not."""
        with self._lock:
            self._ended += 1
            if (exchange := self._kept.get(id)) is not None:
                exchange.ended = self._ended
                self._growing.discard(id)
                self._settled += exchange.nbytes
        self.bound()

    def bound(self) -> None:
        """Drop the oldest until what is left fits."""
        with self._lock:
            taken = self._nbytes()
            while taken > self._limit:
                taken -= self._drop(next(iter(self._kept)))

    def forget(self, id: str) -> None:
        """Drop a request that nobody can ask for any more."""
        with self._lock:
            if id in self._kept:
                self._drop(id)

    def get(self, id: str) -> Exchange | None:
        """What is kept of a request; None where it was not kept, or has given way."""
        with self._lock:
            return self._kept.get(id)

    @property
    def ended(self) -> int:
        """How many requests for an answer have ended, those that were not kept among them."""
        with self._lock:
            return self._ended

    def since(self, ended: int) -> list[tuple[str, Exchange]]:
        """What is kept of the requests that ended after the one of that number, by id, as they ended."""
        with self._lock:
            found = [(id, exchange) for id, exchange in self._kept.items() if exchange.ended > ended]
        return sorted(found, key=lambda pair: pair[1].ended)

    @property
    def nbytes(self) -> int:
        """What all take."""
        with self._lock:
            return self._nbytes()

    def _nbytes(self) -> int:
        return self._settled + sum(self._kept[id].nbytes for id in self._growing)

    def _drop(self, id: str) -> int:
        """Returns what it took."""
        size = self._kept.pop(id).nbytes
        if id in self._growing:
            self._growing.discard(id)
        else:
            self._settled -= size
        return size
