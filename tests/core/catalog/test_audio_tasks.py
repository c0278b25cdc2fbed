"""What an audio model is for and which voices it has, told from its files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from core.catalog import ModelInfo, ModelKind
from core.catalog.audio_tasks import AudioTask, audio_task, voices


def info(folder: Path, family: str = "kokoro", kind: ModelKind = ModelKind.AUDIO) -> ModelInfo:
    return ModelInfo("a/b", folder, "folder", kind, family)


@pytest.mark.parametrize(
    ("family", "task"),
    [
        ("kokoro", AudioTask.SPEAK),
        ("qwen3_tts", AudioTask.SPEAK),
        ("soprano", AudioTask.SPEAK),
        ("whisper", AudioTask.TRANSCRIBE),
        ("parakeet", AudioTask.TRANSCRIBE),
        ("qwen3_asr", AudioTask.TRANSCRIBE),
        ("sam_audio", None),
    ],
)
def test_a_family_speaks_or_listens(tmp_path: Path, family: str, task: AudioTask | None) -> None:
    assert audio_task(info(tmp_path, family)) is task


def test_a_model_for_something_else_does_neither(tmp_path: Path) -> None:
    assert audio_task(info(tmp_path, "whisper", ModelKind.TEXT)) is None


def test_voices_are_found_wherever_families_keep_them(tmp_path: Path) -> None:
    assert voices(info(tmp_path)) == ()
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices" / "af_heart.safetensors").touch()
    (tmp_path / "voices" / "notes.txt").touch()
    np.savez(tmp_path / "voices.npz", kitty=np.zeros(1))
    talker = {"spk_id": {"vivian": 3065}}
    (tmp_path / "config.json").write_text(json.dumps({"talker_config": talker, "voice_aliases": {"Bella": "kitty"}}))
    assert voices(info(tmp_path)) == ("Bella", "af_heart", "kitty", "vivian")


def test_broken_files_have_no_voices(tmp_path: Path) -> None:
    (tmp_path / "voices.npz").write_bytes(b"no archive")
    (tmp_path / "config.json").write_text('{"talker_config": 3}')
    assert voices(info(tmp_path)) == ()
    (tmp_path / "config.json").write_text("{")
    assert voices(info(tmp_path)) == ()


@pytest.mark.parametrize("file", ["tokenizer.json", "added_tokens.json", "tokenizer_config.json"])
def test_a_whisper_whose_tokenizer_has_no_times_is_incomplete(catalog, build, tmp_path, file):
    config = {"model_type": "whisper", "d_model": 8, "vocab_size": 51865}
    folder = build(tmp_path / "models" / "whisper", config=config)
    problem = catalog.get("whisper").problem
    assert problem is not None
    assert "has no timestamps" in problem
    (folder / file).write_text('{"added_tokens": ["<|0.00|>"]}')
    assert "whisper" in [info.id for info in catalog.refresh() if info.problem is None]
