"""Speech to text with a model of mlx-audio, half a minute after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import mlx.core as mx

from core.calls.audio import Transcription
from core.calls.audio_events import Listened, Segment
from core.errors import InvalidRequest
from core.mlx.audio.loading import LoadedAudio
from core.mlx.audio.recording import Recording

ENOUGH_TOKENS = 448
"""What half a minute of the fastest speech comes to; some families would stop at 128."""

CONTEXT_CHARACTERS = 200
"""How much of what was heard is told to a model that takes it, so that spelling and style go on."""


def transcribe(loaded: LoadedAudio, transcription: Transcription) -> Iterator[bool]:
    """Feed the segments of a recording, yielding after each stretch. Raises InvalidRequest, or what the model does."""
    request = transcription.request
    fields, transcription.ignored = arguments(loaded, transcription)
    heard = ""
    for start, end, samples in Recording(request.audio, loaded.sample_rate).windows():
        if "initial_prompt" in loaded.takes:
            context = " ".join(part for part in (request.prompt, heard[-CONTEXT_CHARACTERS:].strip()) if part)
            fields["initial_prompt"] = context or None
        result: Any = loaded.model.generate(mx.array(samples), **fields)
        for segment in segments(result, start, end):
            transcription.feed(segment)
            heard = f"{heard} {segment.text}"
        language = getattr(result, "language", None)
        language = language if isinstance(language, str) and language else None
        if loaded.info.family == "whisper" and language:
            fields["language"] = language  # told once from the first half minute, not anew from each
        transcription.feed(Listened(end, language))
        yield True


def arguments(loaded: LoadedAudio, transcription: Transcription) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What to call `generate` with, and the fields of the request for which this family has no parameter."""
    request, takes = transcription.request, loaded.takes
    fields: dict[str, Any] = {}
    ignored: list[str] = []
    for name, value in (("language", request.language), ("temperature", request.temperature)):
        if value is not None and name in takes:
            fields[name] = value
        elif value is not None:
            ignored.append(name)
    if request.prompt and "initial_prompt" not in takes:
        ignored.append("prompt")
    if request.translate:
        fields["task"] = "translate"
    if loaded.info.family == "whisper" and request.language is not None:
        fields["language"] = _whisper_language(request.language)
    most = takes.get("max_tokens")
    if most is not None and isinstance(most.default, int) and most.default < ENOUGH_TOKENS:
        fields["max_tokens"] = ENOUGH_TOKENS
    return fields, tuple(ignored)


def _whisper_language(name: str) -> str:
    """Whisper's code of a language; it would take a code that it does not know for another token, without a word."""
    from mlx_audio.stt.models.whisper.tokenizer import (  # type: ignore[import-untyped]
        LANGUAGES,
        TO_LANGUAGE_CODE,
    )

    code = name.lower().replace("_", "-")
    for known in (code, code.partition("-")[0], TO_LANGUAGE_CODE.get(code)):
        if known in LANGUAGES:
            return str(known)
    raise InvalidRequest(f"language is {name!r}, which Whisper does not know; give a code such as 'en'.", "language")


def segments(result: Any, start: float, end: float) -> list[Segment]:
    """The segments of one stretch, in the recording's time: the model's own where it gives times, else one for all."""
    found: list[Segment] = []
    for part in _parts(result):
        text, begins, ends = (_field(part, name) for name in ("text", "start", "end"))
        if not isinstance(text, str) or not isinstance(begins, int | float) or not isinstance(ends, int | float):
            return _whole(result, start, end)
        if text.strip() and ends > begins:
            found.append(Segment(text.strip(), start + float(begins), min(start + float(ends), end)))
    return found or _whole(result, start, end)


def _whole(result: Any, start: float, end: float) -> list[Segment]:
    text = str(getattr(result, "text", result) or "").strip()
    return [Segment(text, start, end)] if text else []


def _parts(result: Any) -> Iterable[Any]:
    """The timed parts of a result: `segments` of most families, `sentences` of the NeMo ones."""
    parts = getattr(result, "segments", None) or getattr(result, "sentences", None) or ()
    return parts if isinstance(parts, Iterable) else ()


def _field(part: Any, name: str) -> Any:
    return part.get(name) if isinstance(part, dict) else getattr(part, name, None)
