"""Server-sent events: what a stream encoder yields, and its bytes on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from fastapi.sse import format_sse_event

from core.calls.events import Event
from server.body import to_json
from server.errors import ApiError

PINGS_TO_AN_EVENT = 4
"""Most pings are what clients skip. Many count what they read alone as life, and give up after some minutes of none."""


@dataclass(frozen=True)
class Frame:
    """One event: `data` is JSON, or a string that is sent as it is. With `comment`, a line that clients skip."""

    data: Any = None
    event: str | None = None
    comment: str | None = None

    def encode(self) -> bytes:
        data = self.data if isinstance(self.data, str | None) else to_json(self.data).decode()
        return format_sse_event(data_str=data, event=self.event, comment=self.comment)


class StreamEncoder(Protocol):
    """One protocol's stream of one answer. Pure: it knows no engine and no connection."""

    def feed(self, event: Event, choice: int = 0) -> list[Frame]:
        """The frames for one event of the choice; none for events that the protocol cannot say."""

    def close(self) -> list[Frame]:
        """The frames after the last event of all choices."""

    def fail(self, error: ApiError) -> list[Frame]:
        """The frames that tell of an error, in place of all that would have followed."""

    def ping(self) -> list[Frame]:
        """A sign of life while there is nothing to say; each PINGS_TO_AN_EVENT, one that clients read."""
