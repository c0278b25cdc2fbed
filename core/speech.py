"""The handles of speech that is made and of speech that is written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.audio_events import SpeechEvent, SpeechResult, TranscriptionEvent, TranscriptionResult
from core.requests import SpeechRequest, TranscriptionRequest
from core.stream import Stream


class Speech(Stream[SpeechRequest, SpeechEvent]):
    """Sound on its way, in pieces as the model makes them."""

    def __init__(self, request: SpeechRequest, on_cancel: Callable[[Any], None]) -> None:
        super().__init__(request, on_cancel)
        self._folded = SpeechResult()

    def result(self) -> SpeechResult:
        """Wait for the end and join all sound that was not read. Raises the EngineError that ended it."""
        self.wait()
        self._pour(self._folded.add)
        return self._folded

    async def aresult(self) -> SpeechResult:
        """As `result`, for a coroutine; cancelling it cancels the request."""
        await self.await_end()
        self._pour(self._folded.add)
        return self._folded


class Transcription(Stream[TranscriptionRequest, TranscriptionEvent]):
    """A recording that is being listened to, half a minute at a time."""

    def __init__(self, request: TranscriptionRequest, on_cancel: Callable[[Any], None]) -> None:
        super().__init__(request, on_cancel)
        self._folded = TranscriptionResult()

    def result(self) -> TranscriptionResult:
        """Wait for the end and join all segments that were not read. Raises the EngineError that ended it."""
        self.wait()
        self._pour(self._folded.add)
        return self._folded

    async def aresult(self) -> TranscriptionResult:
        """As `result`, for a coroutine; cancelling it cancels the request."""
        await self.await_end()
        self._pour(self._folded.add)
        return self._folded
