"""POST /v1/audio/transcriptions and /v1/audio/translations: a recording to text, in the OpenAI protocol."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from pydantic import Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive

from core.calls.audio import Transcription
from core.calls.audio_events import Segment, TranscriptionResult
from core.calls.embedding_audio_checks import audio_models
from core.calls.events import Finished, FinishReason
from core.calls.requests import TranscriptionRequest
from core.catalog import Catalog
from core.catalog.audio_tasks import AudioTask
from core.errors import InvalidRequest, RequestCancelled
from server.body import Body, Items, Name, to_json, unknown_fields, warning_header
from server.decoded import ineffective
from server.follow import while_connected
from server.invalid import invalid_body
from server.models import find_other_model
from server.reading import LARGE, off_loop
from server.wire import WireCall

FORMATS = ("json", "text", "srt", "verbose_json", "vtt")

_PIECE = 1 << 16

router = APIRouter()


class TranscriptionForm(Body):
    """The form's fields besides the file, as in OpenAI's API reference, as far as they have an effect here."""

    model: Name
    language: Name | None = None
    prompt: str | None = None
    response_format: Name = "json"
    temperature: float | None = None
    granularities: Items[Name] = Field(default=[], alias="timestamp_granularities[]")
    stream: bool | None = None


def decode(form: TranscriptionForm, audio: bytes, model: str, *, translate: bool) -> TranscriptionRequest:
    """A form as an engine request, for a model of the catalog. Raises InvalidRequest."""
    if form.response_format not in FORMATS:
        raise InvalidRequest(
            f"response_format is {form.response_format!r}; the formats made here are {', '.join(FORMATS)}.",
            "response_format",
        )
    if form.stream:
        raise InvalidRequest("stream is not supported here: a transcription comes when it is whole.", "stream")
    for granularity in form.granularities:
        if granularity != "segment":
            raise InvalidRequest(
                f"timestamp_granularities holds {granularity!r}; only segments are timed here.",
                "timestamp_granularities",
            )
    return TranscriptionRequest(
        model, audio, form.language or None, form.prompt or None, form.temperature, translate, source="openai"
    )


def encode(result: TranscriptionResult, form: TranscriptionForm, *, translate: bool) -> tuple[bytes, str]:
    """The body and its media type, in the format that the form asks for. Times are seconds of the recording."""
    match form.response_format:
        case "text":
            return f"{result.text}\n".encode(), "text/plain; charset=utf-8"
        case "srt":
            return _captions(result.segments, ",").encode(), "text/plain; charset=utf-8"
        case "vtt":
            return ("WEBVTT\n\n" + _captions(result.segments, ".", numbered=False)).encode(), "text/vtt; charset=utf-8"
    body: dict[str, Any] = {
        "text": result.text,
        "usage": {"type": "duration", "seconds": round(result.duration_s, 3)},
    }
    if form.response_format == "verbose_json":
        body |= {
            "task": "translate" if translate else "transcribe",
            "language": result.language or form.language or "",
            "duration": round(result.duration_s, 3),
            "segments": [
                {"id": place, "start": round(part.start_s, 3), "end": round(part.end_s, 3), "text": part.text}
                for place, part in enumerate(result.segments)
            ],
        }
    return to_json(body), "application/json"


def _captions(segments: list[Segment], point: str, *, numbered: bool = True) -> str:
    """Captions as SubRip has them ("," in times, numbers before) or WebVTT ("." and none)."""
    blocks = []
    for place, part in enumerate(segments, start=1):
        head = f"{place}\n" if numbered else ""
        blocks.append(f"{head}{_clock(part.start_s, point)} --> {_clock(part.end_s, point)}\n{part.text}\n")
    return "\n".join(blocks)


def _clock(seconds: float, point: str) -> str:
    """hh:mm:ss and milliseconds."""
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{point}{thousandths:03d}"


async def read_form(request: Request) -> tuple[TranscriptionForm, bytes]:
    """The form and the file's bytes, a large one read off the event loop. Raises InvalidRequest."""
    pieces = [piece async for piece in request.stream()]
    size = sum(map(len, pieces))
    given = Request(request.scope, _giving(b"".join(pieces)))
    pieces.clear()
    if size < LARGE:
        return await _parsed(given)
    return await off_loop(size, lambda: asyncio.run(_parsed(given)))


def _giving(body: bytes) -> Receive:
    """A `receive` that gives a body piece by piece, as it came."""
    starts = iter(range(0, len(body), _PIECE))

    async def receive() -> Message:
        start = next(starts, len(body))
        return {"type": "http.request", "body": body[start : start + _PIECE], "more_body": start + _PIECE < len(body)}

    return receive


async def _parsed(request: Request) -> tuple[TranscriptionForm, bytes]:
    try:
        async with request.form(max_files=1, max_fields=32) as parts:
            file = parts.get("file")
            if not isinstance(file, UploadFile):
                raise InvalidRequest("The form has no file: send the recording as the part 'file'.", "file")
            audio = await file.read()
            fields: dict[str, Any] = {
                name: value for name, value in parts.items() if isinstance(value, str) and not name.endswith("[]")
            }
            lists = {name for name in parts if name.endswith("[]")}
            fields |= {name: [value for value in parts.getlist(name) if isinstance(value, str)] for name in lists}
    except HTTPException as error:
        raise InvalidRequest(f"The form cannot be read: {error.detail}") from error
    try:
        return TranscriptionForm.model_validate(fields), audio
    except ValidationError as error:
        raise invalid_body(error.errors(include_url=False)) from error


async def _transcribe(request: Request, *, translate: bool) -> Response:
    engine, settings = request.app.state.engine, request.app.state.settings
    call: WireCall = request.state.call
    form, audio = await read_form(request)

    def submit() -> Transcription:
        catalog: Catalog = engine.catalog
        suitable = audio_models(catalog, AudioTask.TRANSCRIBE)
        model = find_other_model(engine, settings, form.model, suitable, "speech-to-text model").id
        handle: Transcription = engine.transcribe(decode(form, audio, model, translate=translate))
        return handle

    handle = await asyncio.to_thread(submit)
    call.begin(handle.request.model, False, handle.cancel)
    try:
        result = await while_connected(request, _collect(handle, call))
    finally:
        if not handle.done:
            handle.cancel()
    data, media_type = encode(result, form, translate=translate)
    headers = warning_header(ineffective([*unknown_fields(form), *handle.ignored]))
    return Response(data, headers=headers, media_type=media_type)


async def _collect(handle: Transcription, call: WireCall) -> TranscriptionResult:
    result = TranscriptionResult()
    async for event in handle:
        call.event(event)
        result.add(event)
        if isinstance(event, Finished) and event.reason is FinishReason.CANCELLED:
            raise RequestCancelled("The request was stopped on the server's side before it had finished.")
    return result


def _form_schema() -> dict[str, Any]:
    """What openapi.json says of the form, which FastAPI would otherwise parse by itself and refuse in its own words."""
    fields: dict[str, Any] = {
        "file": {"type": "string", "format": "binary"},
        "model": {"type": "string"},
        "language": {"type": "string"},
        "prompt": {"type": "string"},
        "response_format": {"type": "string", "enum": list(FORMATS)},
        "temperature": {"type": "number"},
        "timestamp_granularities[]": {"type": "array", "items": {"type": "string", "enum": ["segment"]}},
    }
    schema = {"type": "object", "required": ["file", "model"], "properties": fields}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


@router.post("/v1/audio/transcriptions", response_model=None, openapi_extra=_form_schema())
async def transcriptions(request: Request) -> Response:
    """Write down what is said in a recording, in its own language."""
    return await _transcribe(request, translate=False)


@router.post("/v1/audio/translations", response_model=None, openapi_extra=_form_schema())
async def translations(request: Request) -> Response:
    """Write down in English what is said in a recording."""
    return await _transcribe(request, translate=True)
