"""A folder with a model of mlx-audio to the model in memory, and what its family understands."""

from __future__ import annotations

import inspect
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from core.catalog import ModelInfo
from core.catalog.audio_tasks import AudioTask, audio_task
from core.errors import ModelBroken, UnsupportedInput
from core.mlx.models.folder_view import readable
from core.mlx.models.lexicon import loading
from core.mlx.models.loading import evaluate

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass
class LoadedAudio:
    """A model of mlx-audio. `takes` are the parameters of its `generate`: families differ in what they understand."""

    info: ModelInfo
    task: AudioTask
    model: Any
    takes: dict[str, inspect.Parameter]
    sample_rate: int


def load_steps(info: ModelInfo, allow_code: bool) -> Generator[float, None, LoadedAudio]:
    """Load a speech or transcription model, yielding the fraction done after each piece; returns the loaded model.

    Raises as `core.mlx.models.loading.load_steps`, and UnsupportedInput for a model that cannot be asked by text alone.
    """
    task = audio_task(info)
    with loading(info, allow_code), readable(info) as folder:
        if task is AudioTask.SPEAK:
            from mlx_audio.tts.utils import load_model  # type: ignore[import-untyped]
        elif task is AudioTask.TRANSCRIBE:
            from mlx_audio.stt.utils import load_model  # type: ignore[import-untyped]
        else:
            raise UnsupportedInput(f"{info.id} turns speech into speech, of which Assay makes no use.")
        # Without the empty list, a folder's name could decide which architecture its config means.
        model = load_model(folder, lazy=True, model_type=info.family, model_name_parts=[])
        yield from evaluate(model)
        takes = dict(inspect.signature(model.generate).parameters)
    if info.family == "whisper" and getattr(model, "_processor", None) is None:
        raise ModelBroken(
            f"{info.id} has weights and no tokenizer (preprocessor_config.json, tokenizer.json), as the first MLX "
            "conversions of Whisper. Get one that has, such as mlx-community/whisper-large-v3-turbo-asr-fp16."
        )
    needed = [name for name, field in takes.items() if field.default is field.empty and field.kind in _NAMED][1:]
    if needed:
        raise UnsupportedInput(f"{info.id} needs {', '.join(needed)} with each request, which Assay cannot give it.")
    rate = getattr(model, "sample_rate", None)
    return LoadedAudio(info, task, model, takes, rate if isinstance(rate, int) else 16_000)
