"""The handles of speech that is made and of speech that is written down."""

from __future__ import annotations

from core.audio_events import SpeechEvent, SpeechResult, TranscriptionEvent, TranscriptionResult
from core.requests import SpeechRequest, TranscriptionRequest
from core.stream import Stream


class Speech(Stream[SpeechRequest, SpeechEvent]):
    """Sound on its way, in pieces as the model makes them."""

    def result(self) -> SpeechResult:
        """Wait for the end and join all unread sound. Raises the EngineError that ended it."""
        folded = SpeechResult()
        for event in self:
            folded.add(event)
        return folded

    async def aresult(self) -> SpeechResult:
        """As `result`, for a coroutine; cancelling it cancels the request."""
        folded = SpeechResult()
        async for event in self:
            folded.add(event)
        return folded


class Transcription(Stream[TranscriptionRequest, TranscriptionEvent]):
    """A recording that is being listened to, half a minute at a time."""

    def result(self) -> TranscriptionResult:
        """Wait for the end and join all unread segments. Raises the EngineError that ended it."""
        folded = TranscriptionResult()
        for event in self:
            folded.add(event)
        return folded

    async def aresult(self) -> TranscriptionResult:
        """As `result`, for a coroutine; cancelling it cancels the request."""
        folded = TranscriptionResult()
        async for event in self:
            folded.add(event)
        return folded
