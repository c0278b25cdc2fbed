"""The handle of one generation: iterate its events from any thread or loop, cancel it, or ask for the whole result."""

from __future__ import annotations

from core.events import Event, GenerationResult
from core.requests import GenerationRequest
from core.stream import Stream


class Generation(Stream[GenerationRequest, Event]):
    """An answer on its way: text, thinking and tool calls as the model makes them."""

    def result(self) -> GenerationResult:
        """Wait for the end and fold all unread events. Raises the EngineError that ended it."""
        self.wait()  # to be woken for every event would cost the engine time
        folded = GenerationResult()
        for event in self:
            folded.add(event)
        return folded

    async def aresult(self) -> GenerationResult:
        """As `result`, for a coroutine; cancelling it cancels the request."""
        await self.await_end()
        folded = GenerationResult()
        async for event in self:
            folded.add(event)
        return folded
