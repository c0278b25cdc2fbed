"""Speech over HTTP with the official client: what one model says, another writes down."""

from __future__ import annotations

import io
import wave

import pytest

from tests.e2e.conftest import Target, find_reference, on

SENTENCE = "The quick brown fox jumps over the lazy dog."


@on("speaker")
def test_a_sentence_is_a_wav_file_of_some_seconds(target: Target) -> None:
    with target.openai() as client:
        made = client.audio.speech.create(
            model=target.model, input=SENTENCE, voice="default", response_format="wav"
        ).content
    with wave.open(io.BytesIO(made)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
        seconds = sound.getnframes() / sound.getframerate()
    assert seconds > 0
    if target.reference:
        assert 1 < seconds < 10


@on("listener")
def test_what_was_said_is_written_down(target: Target, request: pytest.FixtureRequest) -> None:
    speaker = "tiny/soprano"
    if target.reference:
        speaker = find_reference("speaker", request.getfixturevalue("reference_catalog"))
    with target.openai() as client:
        made = client.audio.speech.create(model=speaker, input=SENTENCE, voice="default", response_format="wav").content
        heard = client.audio.transcriptions.create(
            model=target.model, file=("said.wav", made, "audio/wav"), language="en", response_format="verbose_json"
        )
    assert heard.duration > 0
    if target.reference:  # random weights hear nothing
        assert {"quick", "brown", "fox", "lazy", "dog"} <= set(heard.text.lower().replace(".", "").split())
