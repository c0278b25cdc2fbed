"""The handles of speech that is made and of speech that is written down."""

from __future__ import annotations

from core.calls.audio_events import SpeechEvent, SpeechResult, TranscriptionEvent, TranscriptionResult
from core.calls.requests import SpeechRequest, TranscriptionRequest
from core.calls.stream import Stream


class Speech(Stream[SpeechRequest, SpeechEvent, SpeechResult]):
    """Sound on its way, in pieces as the model makes them."""

    empty = SpeechResult


class Transcription(Stream[TranscriptionRequest, TranscriptionEvent, TranscriptionResult]):
    """A recording that is being listened to, half a minute at a time."""

    empty = TranscriptionResult
