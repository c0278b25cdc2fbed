"""Which architectures the installed MLX libraries can load, read from their folders without importing them.

Importing mlx_lm or mlx_vlm takes more than a second; the list of models has to be on screen before that. What is read
is what their loaders use: the module named after `model_type`, and the `MODEL_REMAPPING` table that renames some types.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from core.catalog.config import architectures, model_type

# mlx-vlm also ships models that look at images without talking about them, some with a stand-in LanguageModel.
NOT_CHAT = {
    "clef": "it decides between given answers",
    "colidefics3": "it embeds pages for retrieval",
    "colqwen2_5": "it embeds pages for retrieval",
    "d1": "it decides between given answers",
    "d1_omni": "it decides between given answers",
    "decider2": "it decides between given answers",
    "dinov2": "it embeds images",
    "gliner2_5": "it marks spans of text",
    "moge3": "it estimates geometry",
    "openai_privacy_filter": "it marks spans of text",
    "pp_doclayout_v3": "it finds the layout of a page",
    "rfdetr": "it detects objects",
    "rt_detr_v2": "it detects objects",
    "sam3": "it segments images",
    "sam3_1": "it segments images",
    "sam3d_body": "it reconstructs bodies",
    "sam3d_objects": "it reconstructs objects",
    "sapiens2": "it estimates poses",
    "video_depth_anything": "it estimates depth",
    "yolo11": "it detects objects",
}


# Modules without one (cache, rope_utils, ...) are shared parts, not architectures.
_MODEL_CLASS = re.compile(r"^class Model\b|^from \S+ import .*\bModel\b", re.MULTILINE)


@cache
def package_folder(name: str) -> Path | None:
    """The folder of an installed top-level package, or None. Does not import it."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


@cache
def _source(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


@cache
def _remapping(file: Path, name: str = "MODEL_REMAPPING") -> dict[str, str]:
    """The literal dict assigned to `name` at the top level of a source file; empty if there is none."""
    found = re.search(rf"^{name}\s*(?::[^=]+)?=\s*(\{{.*?^\}})", _source(file), re.MULTILINE | re.DOTALL)
    try:
        table = ast.literal_eval(found.group(1)) if found else {}
    except (ValueError, SyntaxError):
        return {}
    return {str(key): str(value) for key, value in table.items()}


def mlx_lm_file(config: Mapping[str, Any]) -> Path | None:
    """The mlx-lm module that would load this config (`mlx_lm.utils._get_classes`), or None."""
    root = package_folder("mlx_lm")
    kind = model_type(config)
    if root is None or not kind:
        return None
    by_architecture = _architecture_remapping(root / "utils.py")
    renamed = [by_architecture[kind, name] for name in architectures(config) if (kind, name) in by_architecture]
    kind = renamed[0] if renamed else _remapping(root / "utils.py").get(kind, kind)
    file = root / "models" / f"{kind}.py"
    return file if _is_name(kind) and _is_architecture(file) else None


@cache
def _is_architecture(file: Path) -> bool:
    return _MODEL_CLASS.search(_source(file)) is not None


@cache
def _architecture_remapping(file: Path) -> dict[tuple[str, str], str]:
    found = re.search(r"^MODEL_ARCHITECTURE_REMAPPING\s*=\s*(\{.*?^\})", _source(file), re.MULTILINE | re.DOTALL)
    try:
        return dict(ast.literal_eval(found.group(1))) if found else {}
    except (ValueError, SyntaxError):
        return {}


def mlx_vlm_folder(config: Mapping[str, Any]) -> Path | None:
    """The mlx-vlm package that would load this config (`mlx_vlm.utils.get_model_type`), or None."""
    root = package_folder("mlx_vlm")
    kind = model_type(config).lower()
    if root is None or not kind:
        return None
    kind = _remapping(root / "utils.py").get(kind, kind)
    folder = root / "models" / kind
    return folder if _is_name(kind) and (folder / "__init__.py").is_file() else None


def is_drafter(config: Mapping[str, Any]) -> bool:
    """Whether this is a draft model for speculative decoding, of no use alone (`mlx_vlm/speculative/drafters`)."""
    root = package_folder("mlx_vlm")
    kind = model_type(config).lower()
    if root is None or not _is_name(kind):
        return False
    return "dflash_config" in config or (root / "speculative" / "drafters" / kind / "__init__.py").is_file()


@cache
def chats_about_images(folder: Path) -> bool:
    """Whether an mlx-vlm model package generates text from images."""
    if folder.name in NOT_CHAT:
        return False
    sources = [_source(file) for file in folder.glob("*.py")]
    return any("language_model" in text or "LanguageModel" in text for text in sources)


@cache
def has_vision_tower(folder: Path) -> bool:
    """Whether an mlx-vlm model package is about images by itself, whatever a config says."""
    return (folder / "vision.py").is_file()


@cache
def trusts_code_by_default(folder: Path) -> bool:
    """Whether a model package's processor runs a checkpoint's own Python unless it is told not to."""
    pattern = r"trust_remote_code\"?\s*(,|=)\s*True"
    return any(re.search(pattern, _source(file)) for file in folder.glob("*.py"))


def embeds(config: Mapping[str, Any]) -> bool:
    """Whether mlx-vlm can load this config as an embedding model (`mlx_vlm.embedding_loader`)."""
    root = package_folder("mlx_vlm")
    kind = model_type(config).lower()
    if root is None or not _is_name(kind):
        return False
    kind = _remapping(root / "embedding_loader.py", "EMBEDDING_MODEL_REMAPPING").get(kind, kind)
    return _returns_embeddings(root / "models" / kind)


def only_embeds(config: Mapping[str, Any]) -> bool:
    """Whether mlx-vlm has this type as an embedding model and no library has it as one that generates."""
    folder = mlx_vlm_folder(config)
    if folder is None or not _returns_embeddings(folder):
        return False
    return mlx_lm_file(config) is None and not (folder / "language.py").is_file()


@cache
def _returns_embeddings(folder: Path) -> bool:
    return folder.is_dir() and any("text_embeds" in _source(file) for file in folder.glob("*.py"))


def reranks(config: Mapping[str, Any]) -> bool:
    """Whether mlx-vlm can load this config as a classifier of query and text (`mlx_vlm.reranker_loader`): its kinds,
    with one label."""
    root = package_folder("mlx_vlm")
    kind = model_type(config).lower().replace("-", "_")
    labels = config.get("id2label")
    count = config.get("num_labels") or (len(labels) if isinstance(labels, dict) else 1)
    classifies = any(name.endswith("ForSequenceClassification") for name in architectures(config))
    if root is None or count != 1 or not classifies:
        return False
    return kind in re.findall(r'"(\w+)": RerankerKind.SEQUENCE_CLASSIFIER', _source(root / "reranker.py"))


AUDIO_KINDS = ("stt", "tts", "sts")
# Backbones whose bare names also exist under mlx_audio; there they are reached through a type of their own.
_AUDIO_AMBIGUOUS = {"llama", "qwen3", "dense", "glm", "mimo", "longcat", "spark", "breeze"}


def audio_category(kind: str) -> str | None:
    """ "stt", "tts" or "sts" for a model type that mlx-audio loads, else None."""
    root = package_folder("mlx_audio")
    kind = kind.lower()
    if root is None or not _is_name(kind) or kind in _AUDIO_AMBIGUOUS:
        return None
    for category in AUDIO_KINDS:
        renamed = _remapping(root / category / "utils.py").get(kind, kind)
        if (root / category / "models" / renamed).is_dir():
            return category
    return None


@cache
def declared_default(file: Path | None, field: str) -> int | None:
    """The default of an integer field in a library's config class; its TextConfig is asked first.

    Configs on the Hub leave out what equals the class's default (gemma-3's head counts, for one), so the value that
    will be used is in the library alone.
    """
    if file is None:
        return None
    text = _source(file)
    pattern = rf"^    {re.escape(field)}\s*:[^=\n]*=\s*([\d_]+)\s*$"
    start = text.find("class TextConfig")
    for part in (text[start:] if start >= 0 else "", text):
        if found := re.search(pattern, part, re.MULTILINE):
            return int(found.group(1).replace("_", ""))
    return None


def transformers_config_file(kind: str) -> Path | None:
    """transformers' configuration module of a model type, or None."""
    root = package_folder("transformers")
    if root is None or not _is_name(kind):
        return None
    for name in (kind, kind.removesuffix("_text")):
        file = root / "models" / name / f"configuration_{name}.py"
        if file.is_file():
            return file
    return None


def _is_name(kind: str) -> bool:
    """Whether a string from config.json may be part of a path: it comes from a download."""
    return bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", kind)) and ".." not in kind
