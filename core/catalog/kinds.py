"""What a model is for, and whether its architecture is supported: told from config.json, never from its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.catalog import libraries
from core.catalog.config import architectures, model_type
from core.catalog.model_info import ModelKind

# A config that has one of these describes a model that takes images.
_IMAGE_KEYS = (
    "vision_config",
    "image_token_id",
    "image_token_index",
    "media_placeholder_token_id",
    "mm_vision_tower",
    "vision_tower",
    "img_processor",
    "visual",
)
# Audio checkpoints that say what they are by their fields, having no model_type: field -> family.
_AUDIO_KEYS = {"n_audio_ctx": "whisper", "istftnet": "kokoro", "n_mels": "whisper"}
# Quantisations whose packed weights neither library can read.
_UNREADABLE = {
    "bitsandbytes",
    "hqq",
    "aqlm",
    "eetq",
    "quanto",
    "higgs",
    "vptq",
    "spqr",
    "torchao",
    "gguf",
    "exl2",
    "exl3",
}


@dataclass(frozen=True)
class Verdict:
    """What a config describes. `problem` says why nothing here can run it; `family` is its model_type."""

    kind: ModelKind
    family: str
    problem: str | None = None


def judge(config: Mapping[str, Any], sentence_transformer: bool = False) -> Verdict:
    """The kind of a config.json. `sentence_transformer`: that library's modules.json lies beside it.

    The order matters: an embedding model often shares the model_type of the generator that it was made from.
    """
    kind = model_type(config)
    if not kind:
        return _without_model_type(config)
    names = architectures(config)
    if libraries.is_drafter(config):
        return _no(kind, "a draft model for speculative decoding, of no use alone")
    if libraries.reranks(config):
        return Verdict(ModelKind.RERANKER, kind, _quantisation_problem(config))
    if any(name.endswith(("ForSequenceClassification", "ForTokenClassification")) for name in names):
        return _no(kind, f"a classifier ({names[0]}) that mlx-vlm does not rerank with, which Assay has no use for")
    headless = bool(names) and all(name.endswith(("Model", "ForMaskedLM")) for name in names)
    if libraries.only_embeds(config) or (libraries.embeds(config) and (sentence_transformer or headless)):
        return Verdict(ModelKind.EMBEDDINGS, kind, _quantisation_problem(config))
    folder = libraries.mlx_vlm_folder(config)
    as_text = libraries.mlx_lm_file(config) is not None
    takes_images = any(config.get(key) for key in _IMAGE_KEYS)
    chats = folder is not None and libraries.chats_about_images(folder)
    if folder is not None and chats and (takes_images or (libraries.has_vision_tower(folder) and not as_text)):
        return Verdict(ModelKind.VISION, kind, _quantisation_problem(config))
    if as_text:
        return Verdict(ModelKind.TEXT, kind, _quantisation_problem(config))
    if libraries.audio_category(kind):
        return Verdict(ModelKind.AUDIO, kind, _quantisation_problem(config))
    if folder is not None and folder.name in libraries.NOT_CHAT:
        return _no(kind, f"{libraries.NOT_CHAT[folder.name]}, which Assay has no use for")
    if chats:
        return _no(
            kind, f"mlx-lm has no model of type {kind!r} (mlx-vlm has one, but Assay runs text models on mlx-lm)"
        )
    return _no(kind, f"neither mlx-lm nor mlx-vlm nor mlx-audio has a model of type {kind!r}")


def _no(family: str, why: str) -> Verdict:
    return Verdict(ModelKind.UNKNOWN, family, f"unsupported: {why}")


def _without_model_type(config: Mapping[str, Any]) -> Verdict:
    for key, family in _AUDIO_KEYS.items():
        if key in config:
            return Verdict(ModelKind.AUDIO, family)
    target = config.get("target")
    if isinstance(target, str) and target.startswith("nemo.collections.asr"):
        return Verdict(ModelKind.AUDIO, "parakeet")
    return _no("", "config.json has no model_type")


def _quantisation_problem(config: Mapping[str, Any]) -> str | None:
    quantisation = config.get("quantization_config")
    method = quantisation.get("quant_method") if isinstance(quantisation, dict) else None
    if config.get("quantization") or method not in _UNREADABLE:
        return None
    return f"unsupported: its weights are quantised with {method}, which MLX cannot read; get an MLX conversion"
