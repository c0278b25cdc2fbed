"""Speech and transcription through the engine, on random weights: shape, order, limits, faults; and real ones."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.calls.audio_events import AudioDelta, Listened, Segment, SpeechEvent
from core.calls.events import Finished, FinishReason, Loading, Queued
from core.calls.requests import EmbeddingRequest, GenerationRequest, Message, Role, SpeechRequest, TranscriptionRequest
from core.catalog.audio_tasks import voices
from core.engine import Engine
from core.errors import (
    EngineClosed,
    GenerationFailed,
    InvalidRequest,
    ModelBroken,
    ModelUnloaded,
    QueueFull,
    UnsupportedInput,
)
from core.settings import Settings
from tests.tiny.audio import make_soprano, make_whisper, tone, wav

SPEAKER, LISTENER = "tiny/soprano", "tiny/whisper"
LINES = "\n".join("Hello there." for _ in range(40))


def recording(seconds: float, **fields: Any) -> TranscriptionRequest:
    """A tone. At temperature 0: Whisper would try five more times to make sense of it."""
    return TranscriptionRequest(LISTENER, **({"audio": wav(tone(seconds)), "temperature": 0.0} | fields))


def last(events: list[Any]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


# -- speech ----------------------------------------------------------------------------------------------------------


def test_speech_is_sound_at_the_models_rate(tiny_engine: Engine) -> None:
    events = list(tiny_engine.speak(SpeechRequest(SPEAKER, "Hello there.")))
    (delta,) = [event for event in events if isinstance(event, AudioDelta)]
    samples = np.frombuffer(delta.pcm, "<i2")
    assert delta.sample_rate == 32_000
    assert len(samples) == 4096
    assert np.abs(samples).max() > 0
    finished = last(events)
    assert finished.reason is FinishReason.STOP
    assert 0 < finished.timing.ttft_s <= finished.timing.total_s


def test_long_text_comes_in_pieces_and_the_result_joins_them(tiny_engine: Engine) -> None:
    events: list[SpeechEvent] = list(tiny_engine.speak(SpeechRequest(SPEAKER, "One.\nTwo.\n\nThree.")))
    deltas = [event for event in events if isinstance(event, AudioDelta)]
    assert len(deltas) == 3
    result = tiny_engine.speak(SpeechRequest(SPEAKER, "One.\nTwo.")).result()
    assert result.duration_s == pytest.approx(len(result.pcm) / 2 / 32_000)
    assert result.finished is not None


def test_speech_is_brought_to_the_rate_that_is_asked(tiny_engine: Engine) -> None:
    result = tiny_engine.speak(SpeechRequest(SPEAKER, "Hello.", sample_rate=24_000)).result()
    assert result.sample_rate == 24_000
    assert len(result.pcm) % 2 == 0


def test_a_coroutine_can_read_it(tiny_engine: Engine) -> None:
    result = asyncio.run(tiny_engine.speak(SpeechRequest(SPEAKER, "Hello.")).aresult())
    assert result.pcm


def test_what_a_family_cannot_do_is_named(tiny_engine: Engine) -> None:
    speech = tiny_engine.speak(SpeechRequest(SPEAKER, "Hello.", voice="anna", speed=1.5))
    assert speech.result().pcm
    assert speech.ignored == ("speed",)
    loaded = SimpleNamespace(info=tiny_engine.catalog.get(SPEAKER), takes={})
    from core.mlx.audio.speaking import arguments

    speech = SimpleNamespace(request=SpeechRequest(SPEAKER, "Hi.", voice="a", speed=2, instructions="calmly"))
    assert arguments(loaded, speech) == ({}, ("voice", "speed", "instructions"))  # type: ignore[arg-type]


def test_cancelling_ends_speech_between_two_pieces(tiny_engine: Engine) -> None:
    speech = tiny_engine.speak(SpeechRequest(SPEAKER, LINES))
    events = []
    for event in speech:
        events.append(event)
        if isinstance(event, AudioDelta):
            speech.cancel()
    assert last(events).reason is FinishReason.CANCELLED
    assert sum(isinstance(event, AudioDelta) for event in events) < 5


def test_requests_wait_their_turn_and_may_leave_the_queue(tiny_engine: Engine) -> None:
    first = tiny_engine.speak(SpeechRequest(SPEAKER, LINES))
    assert any(isinstance(event, AudioDelta) for event in first), "while a model loads, nobody is ahead of the others"
    second = tiny_engine.speak(SpeechRequest(SPEAKER, "Hello."))
    third = tiny_engine.speak(SpeechRequest(SPEAKER, "Hello."))
    second.cancel()
    assert last(list(second)).reason is FinishReason.CANCELLED
    assert not first.done
    first.cancel()
    events = list(third)
    assert Queued(1) in events
    assert any(isinstance(event, AudioDelta) for event in events)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"text": " "}, "nothing to say"),
        ({"text": "a" * 40_000}, "has 40000 characters; at most 32768"),
        ({"speed": 9}, "speed is 9; it must lie between 0.25 and 4"),
        ({"sample_rate": 7}, "sample_rate is 7"),
        ({"voice": "../../etc/passwd"}, "cannot be a voice's name"),
        ({"voice": "https://example.com/voice.wav"}, "cannot be a voice's name"),
        ({"voice": "/tmp/voice.safetensors"}, "cannot be a voice's name"),
    ],
)
def test_what_cannot_be_spoken_is_refused_at_once(tiny_engine: Engine, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        tiny_engine.speak(SpeechRequest(SPEAKER, **({"text": "Hello."} | fields)))


def test_a_model_with_voices_names_them(tiny_settings: Settings, tmp_path: Path) -> None:
    folder = make_soprano(tmp_path / "tiny" / "voiced")
    (folder / "voices").mkdir()
    for name in ("anna", "bert"):
        (folder / "voices" / f"{name}.safetensors").write_bytes(b"")
    with Engine(tiny_settings.model_copy(update={"model_folders": [tmp_path]})) as engine:
        assert voices(engine.catalog.get("tiny/voiced")) == ("anna", "bert")
        with pytest.raises(InvalidRequest, match=r"tiny/voiced has no voice 'alloy'. Its voices: anna, bert"):
            engine.speak(SpeechRequest("tiny/voiced", "Hello.", voice="alloy"))
        assert engine.speak(SpeechRequest("tiny/voiced", "Hello.", voice="bert")).result().pcm


# -- transcription ---------------------------------------------------------------------------------------------------


def test_a_recording_is_heard_to_its_end_half_a_minute_at_a_time(tiny_engine: Engine) -> None:
    transcription = tiny_engine.transcribe(recording(65))
    events = list(transcription)
    heard = [event for event in events if isinstance(event, Listened)]
    assert len(heard) == 3
    assert [event.until_s for event in heard] == sorted(event.until_s for event in heard)
    assert heard[-1].until_s == 65
    assert heard[-1].language == "en"
    assert last(events).reason is FinishReason.STOP
    for event in events:
        if isinstance(event, Segment):
            assert 0 <= event.start_s < event.end_s <= 65
            assert event.text == event.text.strip() != ""


def test_the_result_joins_the_segments(tiny_engine: Engine) -> None:
    result = tiny_engine.transcribe(recording(3)).result()
    assert result.duration_s == 3
    assert result.language == "en"
    assert result.text == " ".join(segment.text for segment in result.segments)
    again = asyncio.run(tiny_engine.transcribe(recording(3)).aresult())
    assert again.duration_s == 3


def test_a_cancel_ends_listening_within_one_stretch(tiny_engine: Engine) -> None:
    transcription = tiny_engine.transcribe(recording(300))
    events = []
    for event in transcription:
        events.append(event)
        if isinstance(event, Listened):
            transcription.cancel()
    assert last(events).reason is FinishReason.CANCELLED
    assert max(event.until_s for event in events if isinstance(event, Listened)) < 200


def test_bytes_that_are_no_recording_are_refused_and_the_next_one_is_heard(tiny_engine: Engine) -> None:
    broken = tiny_engine.transcribe(TranscriptionRequest(LISTENER, b"hello" * 100))
    with pytest.raises(InvalidRequest, match="500 bytes cannot be decoded") as caught:
        broken.result()
    assert caught.value.param == "file"
    assert tiny_engine.transcribe(recording(1)).result().duration_s == 1


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"audio": b""}, "it has 0 bytes"),
        ({"language": "en; rm -rf"}, "language is 'en; rm -rf'"),
        ({"temperature": 3.0}, "temperature is 3; it must lie between 0 and 1"),
    ],
)
def test_what_cannot_be_heard_is_refused_at_once(tiny_engine: Engine, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        tiny_engine.transcribe(TranscriptionRequest(LISTENER, **({"audio": b"x"} | fields)))


def test_a_language_that_whisper_does_not_know_is_refused(tiny_engine: Engine) -> None:
    asked = recording(1, language="tlh")
    with pytest.raises(InvalidRequest, match="language is 'tlh', which Whisper does not know"):
        tiny_engine.transcribe(asked).result()
    for name in ("en", "EN-us", "English"):
        assert tiny_engine.transcribe(recording(1, language=name)).result()


# -- both ------------------------------------------------------------------------------------------------------------


def test_a_wrong_kind_of_model_names_the_kind_to_use(tiny_engine: Engine) -> None:
    with pytest.raises(UnsupportedInput, match=r"whisper is a speech-to-text model and does not speak.*soprano"):
        tiny_engine.speak(SpeechRequest(LISTENER, "Hello."))
    with pytest.raises(UnsupportedInput, match=r"pocket/qwen3 is a text model and does not speak"):
        tiny_engine.speak(SpeechRequest("pocket/qwen3", "Hello."))
    with pytest.raises(UnsupportedInput, match=r"soprano is a text-to-speech model and does not write.*whisper"):
        tiny_engine.transcribe(TranscriptionRequest(SPEAKER, b"x"))
    with pytest.raises(UnsupportedInput, match=r"tiny/soprano is .*audio.*text or vision model"):
        tiny_engine.generate(GenerationRequest(SPEAKER, (Message.text(Role.USER, "hi"),)))


def test_loading_is_told_to_who_waits(tiny_settings: Settings) -> None:
    with Engine(tiny_settings) as engine:
        events = list(engine.transcribe(recording(1)))
        assert events[0] == Loading(LISTENER)
        assert last(events).timing.load_s > 0


def test_other_models_answer_between_the_pieces(tiny_engine: Engine) -> None:
    tiny_engine.load("tiny/bert").result(60)
    speech = tiny_engine.speak(SpeechRequest(SPEAKER, LINES))
    listening = tiny_engine.transcribe(recording(300))
    for events in (iter(speech), iter(listening)):
        while isinstance(next(events), Loading | Queued):
            pass
    assert tiny_engine.embed(EmbeddingRequest("tiny/bert", ("the cat",))).result(60).vectors
    assert not speech.done
    assert not listening.done
    speech.cancel()
    listening.cancel()
    assert speech.wait(60)
    assert listening.wait(60)


def test_a_failing_piece_fails_its_request_alone(tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlx_audio.tts.models.soprano.soprano import Model

    tiny_engine.load(SPEAKER).result(60)

    def broken(*_: object, **__: object) -> Any:
        raise RuntimeError("lost its voice")
        yield

    with monkeypatch.context() as patch:
        patch.setattr(Model, "generate", broken)
        with pytest.raises(GenerationFailed, match=r"tiny/soprano failed while speaking: RuntimeError: lost its voice"):
            tiny_engine.speak(SpeechRequest(SPEAKER, "Hello.")).result()
        patch.setattr(Model, "generate", lambda *_, **__: iter(()))
        with pytest.raises(GenerationFailed, match="made no sound"):
            tiny_engine.speak(SpeechRequest(SPEAKER, "Hello.")).result()
    assert tiny_engine.speak(SpeechRequest(SPEAKER, "Hello.")).result().pcm


def test_a_family_that_reaches_for_the_network_is_stopped(tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some would fetch a voice that a request names. On the engine's thread nothing can; elsewhere downloads go on."""
    from huggingface_hub import constants, hf_hub_download
    from mlx_audio.tts.models.soprano.soprano import Model

    def fetching(*_: object, **__: object) -> Any:
        hf_hub_download("someone/voices", "voice.safetensors")
        yield

    tiny_engine.load(SPEAKER).result(60)
    monkeypatch.setattr(Model, "generate", fetching)
    with pytest.raises(GenerationFailed, match=r"(?i)offline|local"):
        tiny_engine.speak(SpeechRequest(SPEAKER, "Hello.", voice="unknown")).result()
    assert not constants.is_offline_mode()


def test_a_full_queue_is_refused_and_closing_answers_the_rest(tiny_settings: Settings) -> None:
    engine = Engine(tiny_settings.model_copy(update={"max_queue": 3})).start()
    accepted = [engine.speak(SpeechRequest(SPEAKER, LINES)) for _ in range(3)]
    with pytest.raises(QueueFull, match="queue holds 3"):
        for _ in range(2):
            accepted.append(engine.speak(SpeechRequest(SPEAKER, LINES)))
    engine.close()
    for speech in accepted:
        with pytest.raises(EngineClosed):
            speech.result()


def test_unloading_at_once_ends_what_runs_and_what_waits(tiny_engine: Engine) -> None:
    speeches = [tiny_engine.speak(SpeechRequest(SPEAKER, LINES)) for _ in range(2)]
    tiny_engine.load(SPEAKER).result(60)
    tiny_engine.unload(SPEAKER, cancel=True).result(60)
    for speech in speeches:
        with pytest.raises(ModelUnloaded, match=SPEAKER):
            speech.result()
    assert tiny_engine.speak(SpeechRequest(SPEAKER, "Hello.")).result().pcm


def test_a_checkpoint_with_code_of_its_own_is_refused(tiny_settings: Settings, tmp_path: Path) -> None:
    """Most audio families trust what auto_map names; only the user may."""
    folder = make_soprano(tmp_path / "tiny" / "coded")
    (folder / "processor_config.json").write_text('{"auto_map": {"AutoProcessor": "processing.Evil"}}')
    with (
        Engine(tiny_settings.model_copy(update={"model_folders": [tmp_path]})) as engine,
        pytest.raises(ModelBroken, match="processing.Evil"),
    ):
        engine.speak(SpeechRequest("tiny/coded", "Hello.")).result()


def test_a_whisper_without_its_tokenizer_is_refused_with_what_to_get(tiny_settings: Settings, tmp_path: Path) -> None:
    folder = make_whisper(tmp_path / "tiny" / "bare")
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "preprocessor_config.json"):
        (folder / name).unlink()
    with (
        Engine(tiny_settings.model_copy(update={"model_folders": [tmp_path]})) as engine,
        pytest.warns(UserWarning, match="WhisperProcessor"),
        pytest.raises(ModelBroken, match=r"tiny/bare has weights and no tokenizer.*such as mlx-community/whisper"),
    ):
        engine.transcribe(TranscriptionRequest("tiny/bare", wav(tone(1)))).result()
