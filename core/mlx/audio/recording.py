"""An audio file's bytes as stretches of samples that a model can hear: decoded and cut as it is read, never whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import miniaudio  # type: ignore[import-untyped]
import numpy as np

from core.errors import InvalidRequest

Samples = np.ndarray[Any, np.dtype[np.float32]]

WINDOW_S = 30.0
"""Seconds heard at once: what Whisper takes. Other models go on with theirs between two windows."""

EARLIEST_CUT_S = 20.0
"""A window ends where it is quietest after so many seconds: there, seldom a word is cut."""

QUIET_S = 0.2

_MP3_HEAD = 1 << 20  # enough to find the first frame; asking for more counts every frame of the file


class Recording:
    """One channel of float32 samples from -1 to 1, `rate` of them a second, out of a WAV, MP3 or FLAC file.

    Raises InvalidRequest for bytes that are none of these.
    """

    def __init__(self, data: bytes, rate: int) -> None:
        self._rate = rate
        try:
            self._native = _native_rate(data)
            self._blocks: Iterator[Any] = miniaudio.stream_memory(
                data,
                output_format=miniaudio.SampleFormat.FLOAT32,
                nchannels=1,
                sample_rate=self._native,
                frames_to_read=self._native,
            )
        except (miniaudio.MiniaudioError, ValueError) as error:
            raise InvalidRequest(
                f"The recording of {len(data)} bytes cannot be decoded ({error}): it must be a WAV, MP3 or FLAC file. "
                "Convert it, for example with `ffmpeg -i recording.m4a recording.flac`.",
                "file",
            ) from error

    def windows(self) -> Iterator[tuple[float, float, Samples]]:
        """(start, end, samples) of one stretch after the other, times in seconds; at most WINDOW_S long each.

        Raises InvalidRequest when there is not one sample.
        """
        from mlx_audio.resample import resample_audio_array  # type: ignore[import-untyped]

        start, rest = 0, np.zeros(0, np.float32)
        longest = int(WINDOW_S * self._native)
        for block in self._blocks:
            rest = np.concatenate((rest, np.asarray(block, np.float32)))
            while len(rest) > longest:
                cut = _quietest(rest[:longest], self._native)
                head, rest = rest[:cut], rest[cut:]
                yield self._window(start, head, resample_audio_array)
                start += cut
        if start == 0 and not len(rest):
            raise InvalidRequest("The recording holds no sound: its file has a header and no samples.", "file")
        if len(rest):
            yield self._window(start, rest, resample_audio_array)

    def _window(self, start: int, native: Samples, resample: Any) -> tuple[float, float, Samples]:
        samples = resample(native, self._native, self._rate).astype(np.float32, copy=False)
        return start / self._native, (start + len(native)) / self._native, samples


def _native_rate(data: bytes) -> int:
    if data[:4] == b"fLaC":
        info = miniaudio.flac_get_info(data)
    elif data[:4] in (b"RIFF", b"RF64"):
        info = miniaudio.wav_get_info(data)
    elif data[:3] == b"ID3" or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0):
        info = miniaudio.mp3_get_info(data[:_MP3_HEAD])
    else:
        raise ValueError("its first bytes belong to another format")
    rate = int(info.sample_rate)
    if not 4_000 <= rate <= 384_000:
        raise ValueError(f"a sample rate of {rate}")
    return rate


def _quietest(samples: Samples, rate: int) -> int:
    """The middle of the stretch of QUIET_S with the least energy after EARLIEST_CUT_S, as a number of samples."""
    width = int(QUIET_S * rate)
    tail = samples[int(EARLIEST_CUT_S * rate) :]
    frames = tail[: len(tail) // width * width].reshape(-1, width)
    place = int(np.argmin((frames * frames).mean(axis=1)))
    return len(samples) - len(tail) + place * width + width // 2


def to_pcm(samples: Samples, rate: int, wanted: int | None) -> tuple[bytes, int]:
    """Samples as 16-bit little-endian PCM, one channel, and their rate: `wanted`, or the same.

    Channels, if there are several, are the shorter axis, and are mixed.
    """
    from mlx_audio.resample import resample_audio_array

    sound = np.squeeze(np.asarray(samples, np.float32))
    if sound.ndim > 1:
        sound = sound.mean(axis=int(np.argmin(sound.shape)))
    sound = np.nan_to_num(np.atleast_1d(sound))
    if wanted is not None and wanted != rate and sound.size:
        sound = resample_audio_array(sound, rate, wanted)
    scaled = np.clip(sound, -1.0, 1.0) * 32767.0
    return np.round(scaled).astype("<i2").tobytes(), wanted or rate
