"""The handle of one generation: iterate its events from any thread or loop, cancel it, or ask for the whole result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.events import Event, GenerationResult
from core.requests import GenerationRequest
from core.stream import Stream


class Generation(Stream[GenerationRequest, Event]):
    """An answer on its way: text, thinking and tool calls as the model makes them."""

    def __init__(self, request: GenerationRequest, on_cancel: Callable[[Any], None]) -> None:
        super().__init__(request, on_cancel)
        self._folded = GenerationResult()

    def result(self) -> GenerationResult:
        """Wait for the end and fold what was not read, the same for each caller. Raises the error that ended it."""
        self.wait()
        self._pour(self._folded.add)
        return self._folded

    async def aresult(self) -> GenerationResult:
        """As `result`, for a coroutine; cancelling it cancels the request."""
        await self.await_end()
        self._pour(self._folded.add)
        return self._folded
