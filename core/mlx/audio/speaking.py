"""Text to sound with a model of mlx-audio, whatever its family calls what it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from core.calls.audio import Speech
from core.calls.audio_events import AudioDelta
from core.catalog.audio_tasks import voices
from core.errors import GenerationFailed
from core.mlx.audio.loading import LoadedAudio
from core.mlx.audio.recording import to_pcm

PIECE_S = 1.0
"""Seconds of sound after which a family that can stream gives what it has."""

KOKORO_DEFAULT = "af_heart"


def speak(loaded: LoadedAudio, speech: Speech) -> Iterator[bool]:
    """Feed the sound of a request, yielding after each piece. Raises what the library raises."""
    request = speech.request
    fields, speech.ignored = arguments(loaded, speech)
    made: Any = loaded.model.generate(text=request.text, **fields)
    pieces: Iterable[Any] = made if isinstance(made, Iterable) else [made]
    silent = True
    for piece in pieces:
        rate = int(getattr(piece, "sample_rate", None) or loaded.sample_rate)
        pcm, rate = to_pcm(np.array(piece.audio, np.float32), rate, request.sample_rate)
        if pcm:
            silent = False
            speech.feed(AudioDelta(pcm, rate))
            yield True
    if silent:
        raise GenerationFailed(f"{loaded.info.id} made no sound of the text.")


def arguments(loaded: LoadedAudio, speech: Speech) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What to call `generate` with, and the fields of the request for which this family has no parameter."""
    request, takes = speech.request, loaded.takes
    asked: dict[str, tuple[str, Any]] = {}
    if request.voice is not None:
        asked["voice"] = ("voice", request.voice)
    if request.speed != 1:
        asked["speed"] = ("speed", request.speed)
    if request.instructions:
        asked["instructions"] = ("instruct", request.instructions)
    ignored = tuple(field for field, (name, _) in asked.items() if name not in takes)
    fields = {name: value for name, value in asked.values() if name in takes}
    if "voice" in takes and "voice" not in fields and (voice := _default_voice(loaded)):
        fields["voice"] = voice
    if loaded.info.family == "kokoro" and "voice" in fields:
        fields["lang_code"] = fields["voice"][0]  # a Kokoro voice is named after its language: af_heart, bm_george
    if "stream" in takes and "streaming_interval" in takes:
        fields |= {"stream": True, "streaming_interval": PIECE_S}
    if "verbose" in takes:
        fields["verbose"] = False
    return fields, ignored


def _default_voice(loaded: LoadedAudio) -> str | None:
    """The voice for a request that names none; None leaves it to the library, where its own choice is on disk."""
    known = voices(loaded.info)
    default = loaded.takes["voice"].default
    if not known or default in known:
        return None
    return KOKORO_DEFAULT if KOKORO_DEFAULT in known else known[0]
