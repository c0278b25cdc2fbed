"""What an audio model is for, and which voices its folder holds: told from its files, like everything else here."""

from __future__ import annotations

import zipfile
from enum import StrEnum

from core.catalog.apple_double import is_apple_double
from core.catalog.config import read_json
from core.catalog.libraries import audio_category
from core.catalog.model_info import ModelInfo, ModelKind
from core.regular_files import open_regular

_VOICE_FOLDERS = ("voices", "voice_embedding", "embeddings")


class AudioTask(StrEnum):
    """What an audio model does; the values are mlx-audio's names for them."""

    SPEAK = "tts"
    TRANSCRIBE = "stt"


def audio_task(info: ModelInfo) -> AudioTask | None:
    """What the model does; None for a model that is not for audio, or that turns speech into speech."""
    category = audio_category(info.family) if info.kind is ModelKind.AUDIO else None
    return AudioTask(category) if category in tuple(AudioTask) else None


def voices(info: ModelInfo) -> tuple[str, ...]:
    """The names of the voices that lie in the model's folder, sorted; empty when nothing tells.

    Families keep them in different places: a file for each voice (Kokoro, Pocket TTS, Voxtral), one archive
    (Kitten TTS), or the config's table of speakers (Qwen3-TTS).
    """
    found = {
        file.stem
        for name in _VOICE_FOLDERS
        for file in (info.path / name).glob("*.safetensors")
        if not is_apple_double(file.name)
    }
    archive = info.path / "voices.npz"
    if archive.is_file():
        try:
            with open_regular(archive) as opened, zipfile.ZipFile(opened) as members:
                found.update(name.removesuffix(".npy") for name in members.namelist())
        except (OSError, zipfile.BadZipFile):
            pass
    try:
        config = read_json(info.path / "config.json") or {}
    except ValueError:
        config = {}
    aliases = config.get("voice_aliases")
    found.update(aliases if isinstance(aliases, dict) else ())
    talker = config.get("talker_config")
    speakers = talker.get("spk_id") if isinstance(talker, dict) else None
    found.update(speakers if isinstance(speakers, dict) else ())
    return tuple(sorted(found))
