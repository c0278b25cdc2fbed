"""The WAV file around raw samples."""

from __future__ import annotations

import io
import wave


def to_wav(pcm: bytes, sample_rate: int) -> bytes:
    """A WAV file of 16-bit signed little-endian samples, one channel, `sample_rate` of them a second."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(sample_rate)
        writer.writeframes(pcm)
    return file.getvalue()
