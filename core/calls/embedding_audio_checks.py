"""What can be said of a request for vectors, speech or a transcript without its model in memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.catalog import Catalog, ModelInfo, ModelKind
from core.catalog.audio_tasks import AudioTask, audio_task, voices
from core.errors import InvalidRequest, UnsupportedInput

if TYPE_CHECKING:
    from core.calls.requests import EmbeddingRequest, SpeechRequest, TranscriptionRequest

MAX_INPUTS = 2048
"""Texts of one request for embeddings, as at OpenAI."""

MAX_SPEECH_CHARACTERS = 32_768

_TASKS = {AudioTask.SPEAK: "text-to-speech", AudioTask.TRANSCRIBE: "speech-to-text"}
_VOICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,63}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,12}([-_][A-Za-z0-9]{2,8})*")


def check_embedding(request: EmbeddingRequest, catalog: Catalog) -> None:
    """Raises ModelNotFound, UnsupportedInput or InvalidRequest."""
    info = catalog.get(request.model)
    if request.query is not None:
        if info.kind is not ModelKind.RERANKER:
            raise _wrong_kind(info, "puts no texts in order of a query", "a reranker", rerankers(catalog))
        if not request.query:
            raise InvalidRequest("query is an empty text, which nothing answers.", "query")
    elif info.kind is not ModelKind.EMBEDDINGS:
        raise _wrong_kind(info, "makes no embeddings", "an embeddings model", embeddings_models(catalog))
    if not request.inputs:
        raise InvalidRequest("There is nothing to embed: input is empty.", "input")
    if len(request.inputs) > MAX_INPUTS:
        raise InvalidRequest(
            f"input has {len(request.inputs)} texts; at most {MAX_INPUTS} are embedded at once. "
            "Send the others in another request.",
            "input",
        )
    for place, text in enumerate(request.inputs):
        if not text:
            told = f"{request.label(place)} is an empty text, which has no meaning to embed. Leave it out."
            raise InvalidRequest(told, request.field_of(place))
    if request.dimensions is not None and request.dimensions < 1:
        raise InvalidRequest(f"dimensions is {request.dimensions}; it must be at least 1.", "dimensions")


def check_speech(request: SpeechRequest, catalog: Catalog) -> None:
    """Raises ModelNotFound, UnsupportedInput or InvalidRequest.

    A voice must look like a name: some families would take a path or an address for one, and fetch it.
    """
    info = catalog.get(request.model)
    if audio_task(info) is not AudioTask.SPEAK:
        raise _wrong_kind(info, "does not speak", "a text-to-speech model", audio_models(catalog, AudioTask.SPEAK))
    if not request.text.strip():
        raise InvalidRequest("There is nothing to say: the text is empty.", "input")
    if len(request.text) > MAX_SPEECH_CHARACTERS:
        raise InvalidRequest(
            f"The text has {len(request.text)} characters; at most {MAX_SPEECH_CHARACTERS} are spoken at once.", "input"
        )
    if not 0.25 <= request.speed <= 4:
        raise InvalidRequest(f"speed is {request.speed:g}; it must lie between 0.25 and 4.", "speed")
    if request.sample_rate is not None and not 8_000 <= request.sample_rate <= 48_000:
        raise InvalidRequest(
            f"sample_rate is {request.sample_rate}; it must lie between 8000 and 48000.", "sample_rate"
        )
    if request.voice is None:
        return
    known = voices(info)
    if known and request.voice not in known:
        raise InvalidRequest(f"{info.id} has no voice {request.voice!r}. Its voices: {', '.join(known)}.", "voice")
    if not _VOICE.fullmatch(request.voice):
        raise InvalidRequest(
            f"voice is {request.voice[:80]!r}, which cannot be a voice's name: letters, digits, spaces, '-' and '_'.",
            "voice",
        )


def check_transcription(request: TranscriptionRequest, catalog: Catalog) -> None:
    """Raises ModelNotFound, UnsupportedInput or InvalidRequest. Whether the bytes are sound is seen when decoding."""
    info = catalog.get(request.model)
    if audio_task(info) is not AudioTask.TRANSCRIBE:
        raise _wrong_kind(
            info, "does not write speech down", "a speech-to-text model", audio_models(catalog, AudioTask.TRANSCRIBE)
        )
    if request.translate and info.family != "whisper":
        raise UnsupportedInput(f"{info.id} cannot translate what it hears; use a Whisper model that can.")
    if not request.audio:
        raise InvalidRequest("The recording is empty: it has 0 bytes.", "file")
    if request.language is not None and not _LANGUAGE.fullmatch(request.language):
        raise InvalidRequest(
            f"language is {request.language[:40]!r}; give a code such as 'en', or leave it out.", "language"
        )
    if request.temperature is not None and not 0 <= request.temperature <= 1:
        raise InvalidRequest(f"temperature is {request.temperature:g}; it must lie between 0 and 1.", "temperature")


def check_reranks(info: ModelInfo, catalog: Catalog) -> None:
    """Raises UnsupportedInput for a model that cannot say which texts answer a query."""
    if info.kind not in (ModelKind.RERANKER, ModelKind.EMBEDDINGS):
        there = reranking_models(catalog)
        raise _wrong_kind(info, "puts no texts in order", "a reranker or an embeddings model", there)


def reranking_models(catalog: Catalog) -> list[ModelInfo]:
    """The models on this machine that say which texts answer a query and can be loaded, those made for it first."""
    return [*rerankers(catalog), *embeddings_models(catalog)]


def rerankers(catalog: Catalog) -> list[ModelInfo]:
    """The models on this machine that do nothing else and can be loaded."""
    return [info for info in catalog.list() if info.kind is ModelKind.RERANKER and info.problem is None]


def embeddings_models(catalog: Catalog) -> list[ModelInfo]:
    """The models on this machine that make embeddings and can be loaded."""
    return [info for info in catalog.list() if info.kind is ModelKind.EMBEDDINGS and info.problem is None]


def audio_models(catalog: Catalog, task: AudioTask) -> list[ModelInfo]:
    """The models on this machine that do `task` and can be loaded."""
    return [info for info in catalog.list() if audio_task(info) is task and info.problem is None]


def _wrong_kind(info: ModelInfo, does_not: str, wanted: str, there: list[ModelInfo]) -> UnsupportedInput:
    names = ", ".join(model.id for model in there[:3])
    found = f"such as {names}" if there else "of which none is on this machine yet"
    task = audio_task(info)
    kind = info.kind.value if task is None else _TASKS[task]
    article = "an" if kind[0] in "aeu" else "a"
    return UnsupportedInput(f"{info.id} is {article} {kind} model and {does_not}. Use {wanted}, {found}.")
