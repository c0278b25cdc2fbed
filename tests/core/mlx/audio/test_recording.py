"""Audio files to the samples that a model hears, and samples to PCM."""

from __future__ import annotations

import io
import struct
import wave
from itertools import pairwise

import numpy as np
import pytest

from core.errors import InvalidRequest
from core.mlx.audio.recording import Recording, to_pcm
from tests.tiny.audio import silent_mp3, tone, wav


def heard(data: bytes, rate: int = 16_000) -> tuple[list[tuple[float, float]], np.ndarray]:
    windows = list(Recording(data, rate).windows())
    return [(start, end) for start, end, _ in windows], np.concatenate([samples for *_, samples in windows])


def loudness(samples: np.ndarray, hertz: float, rate: int = 16_000) -> float:
    """The amplitude of one frequency."""
    turns = np.exp(-2j * np.pi * hertz * np.arange(len(samples)) / rate)
    return float(2 * abs((samples * turns).mean()))


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_a_tone_is_heard_at_its_pitch_whatever_the_files_rate(rate: int) -> None:
    times, samples = heard(wav(tone(2, rate), rate))
    assert times == [(0, 2)]
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(32_000, abs=2)
    assert loudness(samples, 440) == pytest.approx(0.3, abs=0.01)


def test_what_is_too_high_for_the_models_rate_is_gone_not_folded_down() -> None:
    _, samples = heard(wav(tone(1, 44_100, 10_000), 44_100))
    assert np.abs(samples[200:-200]).max() < 0.005


def test_channels_are_mixed() -> None:
    stereo = np.stack((tone(1), np.zeros(16_000, np.float32)), axis=1)
    _, samples = heard(wav(stereo))
    assert loudness(samples, 440) == pytest.approx(0.15, abs=0.01)


def test_mp3_is_decoded() -> None:
    times, samples = heard(silent_mp3(3))
    assert times[-1][1] == pytest.approx(3, abs=0.1)
    assert np.abs(samples).max() < 1e-3


def test_flac_is_decoded() -> None:
    times, samples = heard(silent_flac(2))
    assert times == [(0, 2)]
    assert len(samples) == 32_000


def test_other_sample_formats_are_decoded() -> None:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(3)
        writer.setframerate(16_000)
        whole = np.round(tone(1) * 8_388_607).astype("<i4").tobytes()
        writer.writeframes(b"".join(whole[place : place + 3] for place in range(0, len(whole), 4)))
    _, samples = heard(file.getvalue())
    assert loudness(samples, 440) == pytest.approx(0.3, abs=0.01)


def test_a_header_that_promises_too_much_is_read_to_the_end_of_the_data() -> None:
    data = bytearray(wav(tone(2)))
    data[4:8] = data[40:44] = struct.pack("<I", 0xFFFFFFFF)  # what programs write that stream a WAV
    times, samples = heard(bytes(data))
    assert times == [(0, 2)]
    assert len(samples) == 32_000


def test_a_long_recording_is_cut_where_it_is_quiet_and_nothing_is_lost() -> None:
    sound = tone(75)
    for at in (24.0, 51.5):
        sound[int(at * 16_000) : int((at + 0.5) * 16_000)] *= 0.01
    times, samples = heard(wav(sound))
    assert [end for _, end in times[:-1]] == [pytest.approx(24.25, abs=0.26), pytest.approx(51.75, abs=0.26)]
    assert all(end == start for (_, end), (start, _) in pairwise(times))
    assert times[-1][1] == 75
    assert len(samples) == len(sound)
    assert np.abs(samples - sound).max() < 1e-4


def test_half_a_minute_is_heard_in_one_piece() -> None:
    times, _ = heard(wav(tone(30)))
    assert times == [(0, 30)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"not audio at all" * 20,
        b"RIFF" + bytes(200),
        b"ID3" + bytes(500),
        b"fLaC" + bytes(100),
        b"\xff\xfb" + bytes(10),
        b"OggS" + bytes(100),
        bytes(4) + b"ftypM4A " + bytes(100),
        wav(tone(1))[:30],
    ],
)
def test_what_is_no_audio_is_refused_with_what_to_do(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match=f"recording of {len(data)} bytes cannot be decoded.*WAV, MP3 or FLAC"):
        Recording(data, 16_000)


def test_a_file_without_sound_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="holds no sound"):
        heard(wav(np.zeros(0, np.float32)))


def test_pcm_is_sixteen_bits_clipped_and_mixed() -> None:
    pcm, rate = to_pcm(np.array([[0.0, 0.5, -0.5, 2.0, -2.0, np.nan]], np.float32), 24_000, None)
    assert np.frombuffer(pcm, "<i2").tolist() == [0, 16384, -16384, 32767, -32767, 0]
    assert rate == 24_000
    stereo, _ = to_pcm(np.stack((np.ones(9), np.zeros(9)), axis=1).astype(np.float32), 24_000, None)
    assert np.frombuffer(stereo, "<i2").tolist() == [16384] * 9


def test_pcm_is_brought_to_the_rate_that_is_wanted() -> None:
    pcm, rate = to_pcm(tone(1, 32_000), 32_000, 24_000)
    samples = np.frombuffer(pcm, "<i2") / 32767
    assert rate == 24_000
    assert len(samples) == 24_000
    assert loudness(samples, 440, 24_000) == pytest.approx(0.3, abs=0.01)
    assert to_pcm(np.zeros(0, np.float32), 32_000, 24_000) == (b"", 24_000)


def silent_flac(seconds: int) -> bytes:
    """Frames of 4000 samples of silence, mono, 16 bits, 16 kHz (RFC 9639: a constant subframe each)."""
    rate, block = 16_000, 4_000
    count = seconds * rate // block
    info = struct.pack(">HH", block, block) + bytes(6)
    info += ((rate << 44) | (15 << 36) | (count * block)).to_bytes(8, "big") + bytes(16)
    frames = b""
    for number in range(count):
        head = bytes([0xFF, 0xF8, 0x75, 0x08, number]) + struct.pack(">H", block - 1)
        frame = head + bytes([_crc(head, 8, 0x07)]) + bytes(3)
        frames += frame + _crc(frame, 16, 0x8005).to_bytes(2, "big")
    return b"fLaC" + bytes([0x80, 0, 0, 34]) + info + frames


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    value, top = 0, 1 << (bits - 1)
    for byte in data:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = ((value << 1) ^ polynomial if value & top else value << 1) & ((1 << bits) - 1)
    return value
