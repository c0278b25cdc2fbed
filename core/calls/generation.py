"""The handle of one generation: iterate its events from any thread or loop, cancel it, or ask for the whole result."""

from __future__ import annotations

from core.calls.events import Event, GenerationResult
from core.calls.requests import GenerationRequest
from core.calls.stream import Stream


class Generation(Stream[GenerationRequest, Event, GenerationResult]):
    """An answer on its way: text, thinking and tool calls as the model makes them."""

    empty = GenerationResult
