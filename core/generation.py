"""The handle of one generation: iterate its events from any thread or loop, cancel it, or ask for the whole result."""

from __future__ import annotations

from core.events import Event, GenerationResult
from core.requests import GenerationRequest
from core.stream import Stream


class Generation(Stream[GenerationRequest, Event, GenerationResult]):
    """An answer on its way: text, thinking and tool calls as the model makes them."""

    empty = GenerationResult
