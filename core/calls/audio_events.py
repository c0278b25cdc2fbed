"""What comes out of the engine while it speaks or writes speech down, and what that adds up to."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.calls.events import Finished, Loading, Queued


@dataclass(frozen=True)
class AudioDelta:
    """Sound as it is made: 16-bit signed little-endian samples, one channel, `sample_rate` of them a second."""

    pcm: bytes = field(repr=False)
    sample_rate: int


@dataclass(frozen=True)
class Segment:
    """A stretch of speech, written down. `start_s` and `end_s` are seconds from the beginning of the recording."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Listened:
    """How far the recording has been heard, in seconds; `language` as the model calls it, if it says."""

    until_s: float
    language: str | None = None


SpeechEvent = Queued | Loading | AudioDelta | Finished
TranscriptionEvent = Queued | Loading | Segment | Listened | Finished


@dataclass
class SpeechResult:
    """All of the sound, folded from its events with `add`; samples as in `AudioDelta`."""

    pcm: bytes = field(default=b"", repr=False)
    sample_rate: int = 0
    finished: Finished | None = None

    @property
    def duration_s(self) -> float:
        """Seconds of sound."""
        return len(self.pcm) / 2 / self.sample_rate if self.sample_rate else 0.0

    def add(self, event: SpeechEvent) -> None:
        """Fold one event in; events must come in the order of the stream."""
        match event:
            case AudioDelta():
                self.pcm += event.pcm
                self.sample_rate = event.sample_rate
            case Finished():
                self.finished = event
            case _:
                pass


@dataclass
class TranscriptionResult:
    """All that was heard, folded from its events with `add`."""

    text: str = ""
    segments: list[Segment] = field(default_factory=list)
    language: str | None = None
    duration_s: float = 0.0
    finished: Finished | None = None

    def add(self, event: TranscriptionEvent) -> None:
        """Fold one event in; events must come in the order of the stream."""
        match event:
            case Segment():
                self.segments.append(event)
                self.text = f"{self.text} {event.text}".strip()
            case Listened():
                self.duration_s = event.until_s
                self.language = event.language or self.language
            case Finished():
                self.finished = event
            case _:
                pass
