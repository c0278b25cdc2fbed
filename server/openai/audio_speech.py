"""POST /v1/audio/speech: a text to sound, in the OpenAI protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from core.calls.audio import Speech
from core.calls.audio_events import AudioDelta, SpeechResult
from core.calls.embedding_audio_checks import audio_models
from core.calls.events import Finished, FinishReason
from core.calls.requests import SpeechRequest
from core.catalog import Catalog, ModelInfo
from core.catalog.audio_tasks import AudioTask, voices
from core.errors import EngineError, InvalidRequest, RequestCancelled
from core.media.wav import to_wav
from server.body import Body, Name, unknown_fields, warning_header
from server.decoded import ineffective
from server.errors import from_exception
from server.follow import while_connected
from server.models import find_other_model
from server.reading import JsonRoute
from server.wire import WireCall, WireState

PCM_RATE = 24_000
"""Samples a second of response_format pcm, which carries no header to tell: what OpenAI's clients expect."""

FORMATS = ("wav", "pcm")

OPENAI_VOICES = {
    "alloy",
    "ash",
    "ballad",
    "cedar",
    "coral",
    "echo",
    "fable",
    "marin",
    "nova",
    "onyx",
    "sage",
    "shimmer",
    "verse",
}
"""Names that OpenAI's clients must send and that few models here know: the model's own default stands in for them."""

router = APIRouter(route_class=JsonRoute)


class SpeechBody(Body):
    """Fields as in OpenAI's API reference, as far as they have an effect here."""

    model: Name
    input: str
    voice: Name | None = None
    response_format: Name | None = None
    speed: float | None = None
    instructions: str | None = None
    stream_format: Name | None = None


def decode(body: SpeechBody, info: ModelInfo) -> tuple[SpeechRequest, list[str]]:
    """A body as an engine request for a model of the catalog, and warnings. Raises InvalidRequest."""
    if body.response_format not in (None, *FORMATS):
        raise InvalidRequest(
            f"response_format is {body.response_format!r}; the formats made here are {' and '.join(FORMATS)}.",
            "response_format",
        )
    if body.stream_format not in (None, "audio"):
        raise InvalidRequest(
            f"stream_format is {body.stream_format!r}; only 'audio' is made here, which response_format pcm streams.",
            "stream_format",
        )
    warnings = ineffective(unknown_fields(body))
    voice = None if body.voice == "default" else body.voice
    if voice in OPENAI_VOICES and voice not in voices(info):
        warnings.append(f"voice {voice} is OpenAI's; the model's own voice spoke")
        voice = None
    request = SpeechRequest(
        info.id,
        body.input,
        voice,
        1.0 if body.speed is None else body.speed,
        body.instructions or None,
        PCM_RATE if body.response_format == "pcm" else None,
        source="openai",
    )
    return request, warnings


@router.post("/v1/audio/speech", response_model=None)
async def speech(request: Request, body: SpeechBody) -> Response:
    """Speak a text: a WAV file when it is whole, or PCM as it is made."""
    engine, settings = request.app.state.engine, request.app.state.settings
    call: WireCall = request.state.call
    pcm = body.response_format == "pcm"

    def submit() -> tuple[Speech, list[str]]:
        catalog: Catalog = engine.catalog
        suitable = audio_models(catalog, AudioTask.SPEAK)
        info = find_other_model(engine, settings, body.model, suitable, "text-to-speech model")
        asked, warnings = decode(body, info)
        return engine.speak(asked), warnings

    handle, warnings = await asyncio.to_thread(submit)
    call.begin(handle.request.model, pcm, handle.cancel)
    deltas = _deltas(handle, call)
    try:
        first = await while_connected(request, anext(deltas))
        if not pcm:
            whole = await while_connected(request, _collect(first, deltas))
    except BaseException:
        await deltas.aclose()
        handle.cancel()
        raise
    headers = warning_header([*warnings, *ineffective(handle.ignored)])
    if pcm:
        return _SoundStream(_bytes(first, deltas, call), handle, headers)
    return Response(to_wav(whole.pcm, whole.sample_rate), headers=headers, media_type="audio/wav")


async def _deltas(handle: Speech, call: WireCall) -> AsyncGenerator[AudioDelta, None]:
    """The sound as it comes; raises what ends it, and RequestCancelled when it was stopped on this side."""
    async for event in handle:
        call.event(event)
        if isinstance(event, AudioDelta):
            yield event
        elif isinstance(event, Finished) and event.reason is FinishReason.CANCELLED:
            raise RequestCancelled("The request was stopped on the server's side before it had finished.")


async def _collect(first: AudioDelta, rest: AsyncGenerator[AudioDelta, None]) -> SpeechResult:
    whole = SpeechResult()
    whole.add(first)
    async for delta in rest:
        whole.add(delta)
    return whole


async def _bytes(
    first: AudioDelta, rest: AsyncGenerator[AudioDelta, None], call: WireCall
) -> AsyncGenerator[bytes, None]:
    """The stream's bytes. Sound has no event for an error: what fails in its midst cuts the connection."""
    try:
        yield first.pcm
        async for delta in rest:
            yield delta.pcm
        call.end(WireState.DONE)
    except EngineError as error:
        state = WireState.CANCELLED if isinstance(error, RequestCancelled) else WireState.FAILED
        failure = from_exception(error, call.entry.id)
        call.end(state, error=failure.details or failure.message)
        raise


class _SoundStream(StreamingResponse):
    """PCM that stops being made when its client leaves."""

    def __init__(self, content: AsyncGenerator[bytes, None], handle: Speech, headers: Mapping[str, str]) -> None:
        super().__init__(content, headers=headers, media_type="audio/pcm")
        self._content = content
        self._handle = handle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._content.aclose()
            if not self._handle.done:
                self._handle.cancel()
