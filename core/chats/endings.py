"""How answers end that are not whole, and what people read of it."""

from __future__ import annotations

from core.calls.events import Finished, FinishReason

BROKEN_OFF = "broken off"
"""What an answer says of its end that is on disk while it grows: it is read only when the program was killed."""


def cut_short(finished: Finished) -> str:
    """In a few words, why an answer is not whole; "" for one that is."""
    if finished.reason is FinishReason.LENGTH:
        return "cut off at the token limit"
    return finished.said or "stopped" if finished.reason is FinishReason.CANCELLED else ""
