"""POST /v1/audio/..., with the official OpenAI client and raw HTTP, over models with random weights."""

from __future__ import annotations

import io
import json
import re
import threading
import wave
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from core.calls.audio_events import Segment, TranscriptionResult
from core.engine import Engine
from core.status import LoadedModel
from server.openai.audio_transcriptions import TranscriptionForm, encode
from tests.conftest import Api
from tests.server.waiting import wait_for
from tests.tiny.audio import tone, wav

SPEAKER, LISTENER = "tiny/soprano", "tiny/whisper"
LINES = "\n".join("Hello there." for _ in range(200))


@pytest.fixture(scope="module")
def client(tiny_api: Api) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=tiny_api.url + "/v1", api_key=tiny_api.key, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def http(tiny_api: Api) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {tiny_api.key}"}
    with httpx.Client(base_url=tiny_api.url, headers=headers, timeout=60) as client:
        yield client


def status(engine: Engine, model: str) -> LoadedModel:
    return next(loaded for loaded in engine.status().models if loaded.id == model)


# -- speech ----------------------------------------------------------------------------------------------------------


def test_speech_is_a_wav_file_by_default(client: openai.OpenAI) -> None:
    answer = client.audio.speech.create(model=SPEAKER, voice="alloy", input="Hello there.\nAnd here.")
    with wave.open(io.BytesIO(answer.content)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 32_000)
        assert sound.getnframes() == 2 * 4096
    assert answer.response.headers["content-type"] == "audio/wav"
    assert "alloy is OpenAI's" in answer.response.headers["x-assay-warnings"]


def test_pcm_streams_at_openais_rate(client: openai.OpenAI) -> None:
    fields: dict[str, Any] = {"model": SPEAKER, "voice": "default", "input": "One.\nTwo.\nThree."}
    with client.audio.speech.with_streaming_response.create(**fields, response_format="pcm") as answer:
        assert answer.headers["content-type"] == "audio/pcm"
        assert "content-length" not in answer.headers
        sound = b"".join(answer.iter_bytes())
    assert len(np.frombuffer(sound, "<i2")) == 3 * 4096 * 24_000 / 32_000


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"response_format": "mp3"}, "response_format is 'mp3'; the formats made here are wav and pcm"),
        ({"stream_format": "sse"}, "stream_format is 'sse'"),
        ({"speed": 9}, "speed is 9; it must lie between"),
        ({"input": ""}, "nothing to say"),
        ({"voice": "../secret"}, "cannot be a voice's name"),
        ({"model": LISTENER}, "does not speak"),
        ({"model": "pocket/qwen3"}, "pocket/qwen3 is a text model and does not speak"),
        ({"input": 3}, "input must be a text, not 3"),
    ],
)
def test_what_cannot_be_spoken_is_a_sentence(http: httpx.Client, fields: dict[str, Any], says: str) -> None:
    answer = http.post("/v1/audio/speech", json={"model": SPEAKER, "voice": "alloy", "input": "Hello."} | fields)
    assert answer.status_code == 400
    assert re.search(says, answer.json()["error"]["message"]), answer.text


def test_what_had_no_effect_on_speech_is_reported(http: httpx.Client) -> None:
    body = {"model": "default", "input": "Hello.", "speed": 1.5, "instructions": "calmly", "pitch": 3}
    answer = http.post("/v1/audio/speech", json=body)
    assert answer.status_code == 200
    assert answer.headers["x-assay-warnings"] == "no effect: pitch; no effect: speed, instructions"


def test_a_listener_that_leaves_stops_the_speech(tiny_api: Api, tiny_engine: Engine, client: openai.OpenAI) -> None:
    fields: dict[str, Any] = {"model": SPEAKER, "voice": "default", "input": LINES}
    with client.audio.speech.with_streaming_response.create(**fields, response_format="pcm") as answer:
        chunks = answer.iter_bytes(1024)
        next(chunks)
        assert tiny_api.server.record.live[-1].state == "streaming"
    wait_for(lambda: tiny_api.server.record.entries()[-1].state == "cancelled")
    wait_for(lambda: status(tiny_engine, SPEAKER).running == 0)


def test_a_killed_speech_is_told(tiny_api: Api, http: httpx.Client) -> None:
    killer = threading.Thread(target=lambda: wait_for(lambda: tiny_api.server.record.kill_all() > 0))
    killer.start()
    answer = http.post("/v1/audio/speech", json={"model": SPEAKER, "input": LINES})
    killer.join()
    assert answer.status_code == 499
    assert answer.json()["error"]["code"] == "request_cancelled"


def test_the_models_list_tells_what_each_is_for(client: openai.OpenAI) -> None:
    told = {model.id: (model.model_extra or {})["capabilities"] for model in client.models.list()}
    assert told[SPEAKER] == ["speech"]
    assert told[LISTENER] == ["transcription"]
    assert told["tiny/bert"] == ["embeddings"]
    assert "tools" in told["pocket/qwen3"]


# -- transcription ---------------------------------------------------------------------------------------------------


def test_a_recording_is_written_down(client: openai.OpenAI) -> None:
    made = client.audio.transcriptions.create(model=LISTENER, file=("tone.wav", wav(tone(3))), language="en")
    assert isinstance(made.text, str)
    assert made.usage is not None
    assert made.usage.to_dict() == {"type": "duration", "seconds": 3.0}


def test_verbose_json_has_the_segments(client: openai.OpenAI) -> None:
    made = client.audio.transcriptions.create(
        model=LISTENER,
        file=io.BytesIO(wav(tone(40))),
        response_format="verbose_json",
        timestamp_granularities=["segment"],
        temperature=0,
        prompt="Before.",
    )
    assert made.duration == 40
    assert made.language == "en"
    assert made.segments is not None
    assert made.text == " ".join(segment.text for segment in made.segments)
    assert all(0 <= segment.start < segment.end <= 40 for segment in made.segments)


@pytest.mark.parametrize("kind", ["text", "srt", "vtt"])
def test_other_formats_are_text(client: openai.OpenAI, kind: Any) -> None:
    made = client.audio.transcriptions.create(model="default", file=wav(tone(2)), response_format=kind)
    assert isinstance(made, str)
    assert made.startswith("WEBVTT") == (kind == "vtt")


def test_captions_are_as_players_read_them() -> None:
    result = TranscriptionResult(
        "One. Two.", [Segment("One.", 0, 1.5), Segment("Two.", 3599.9996, 3725.25)], "en", 3725.25
    )

    def made(kind: str) -> str:
        return encode(result, TranscriptionForm(model="m", response_format=kind), translate=False)[0].decode()

    assert made("srt") == ("1\n00:00:00,000 --> 00:00:01,500\nOne.\n\n2\n01:00:00,000 --> 01:02:05,250\nTwo.\n")
    assert made("vtt") == ("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nOne.\n\n01:00:00.000 --> 01:02:05.250\nTwo.\n")
    assert made("text") == "One. Two.\n"
    verbose = json.loads(made("verbose_json"))
    assert verbose["segments"][1] == {"id": 1, "start": 3600.0, "end": 3725.25, "text": "Two."}
    assert verbose["task"] == "transcribe"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"model": SPEAKER}, "does not write speech down"),
        ({"response_format": "xml"}, "response_format is 'xml'"),
        ({"stream": "true"}, "stream is not supported"),
        ({"timestamp_granularities[]": "word"}, "only segments are timed"),
        ({"language": "xx"}, "Whisper does not know"),
        ({"temperature": "warm"}, 'temperature must be a number, not "warm"'),
    ],
)
def test_a_form_that_cannot_be_used_is_a_sentence(http: httpx.Client, fields: dict[str, str], says: str) -> None:
    files = {"file": ("a.wav", wav(tone(1)))}
    answer = http.post("/v1/audio/transcriptions", data={"model": LISTENER} | fields, files=files)
    assert answer.status_code == 400, answer.text
    assert re.search(says, answer.json()["error"]["message"]), answer.text


@pytest.mark.parametrize(
    ("part", "content", "says"),
    [
        ("file", b"no sound at all", "15 bytes cannot be decoded.*WAV, MP3 or FLAC"),
        ("file", b"", "it has 0 bytes"),
        ("other", b"x", "The form has no file"),
    ],
)
def test_a_file_that_is_no_recording_is_a_sentence(http: httpx.Client, part: str, content: bytes, says: str) -> None:
    answer = http.post("/v1/audio/transcriptions", data={"model": LISTENER}, files={part: ("a.wav", content)})
    assert answer.status_code == 400, answer.text
    assert re.search(says, answer.json()["error"]["message"]), answer.text
    assert answer.json()["error"]["param"] == "file"


def test_a_form_without_a_model_names_the_field(http: httpx.Client) -> None:
    answer = http.post("/v1/audio/transcriptions", files={"file": b"x"})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "model"


def test_a_broken_form_and_json_are_refused(http: httpx.Client) -> None:
    head = {"content-type": "multipart/form-data"}
    broken = http.post("/v1/audio/transcriptions", content=b"--x\r\nnonsense", headers=head)
    assert broken.status_code == 400
    assert "form cannot be read" in broken.json()["error"]["message"]
    as_json = http.post("/v1/audio/transcriptions", json={"model": LISTENER})
    assert as_json.status_code == 415
    assert "multipart/form-data" in as_json.json()["error"]["message"]


def test_a_form_is_taken_nowhere_else_and_never_from_a_foreign_page(http: httpx.Client) -> None:
    assert http.post("/v1/chat/completions", files={"file": b"x"}).status_code == 415
    foreign = {"origin": "https://evil.example"}
    form = http.post("/v1/audio/transcriptions", data={"model": LISTENER}, files={"file": b"x"}, headers=foreign)
    assert form.status_code == 403
    with httpx.Client(base_url=http.base_url) as stranger:
        assert stranger.post("/v1/audio/transcriptions", files={"file": b"x"}).status_code == 401


def test_what_had_no_effect_on_a_transcript_is_reported(http: httpx.Client) -> None:
    data = {"model": LISTENER, "chunking_strategy": "auto"}
    answer = http.post("/v1/audio/transcriptions", data=data, files={"file": wav(tone(1))})
    assert answer.headers["x-assay-warnings"] == "no effect: chunking_strategy"


def test_translation_asks_whisper_for_english(client: openai.OpenAI, tiny_engine: Engine) -> None:
    made = client.audio.translations.create(model=LISTENER, file=wav(tone(1)), response_format="verbose_json")
    assert made.to_dict()["task"] == "translate"


def test_a_client_that_leaves_stops_the_listening(tiny_api: Api, tiny_engine: Engine, http: httpx.Client) -> None:
    data = {"model": LISTENER, "temperature": "0"}
    with pytest.raises(httpx.ReadTimeout):
        http.post("/v1/audio/transcriptions", data=data, files={"file": wav(tone(900))}, timeout=0.5)
    wait_for(lambda: tiny_api.server.record.entries()[-1].state == "cancelled")
    wait_for(lambda: status(tiny_engine, LISTENER).running == 0)
