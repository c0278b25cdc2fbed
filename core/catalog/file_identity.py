"""What tells one state of a model's files from another, without reading all of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from core.catalog.model_info import Float32, ModelInfo
from core.catalog.template_features import read_templates
from core.regular_files import open_regular

LIBRARIES = ("mlx", "mlx-lm", "mlx-vlm", "transformers")
SAMPLES = 16
SAMPLE_BYTES = 4096
WHOLE_BYTES = 1 << 26
"""Files up to this size are read whole for a fingerprint; of larger ones, FINGERPRINT_SAMPLES pieces."""
FINGERPRINT_SAMPLES = 256
_PIECE = 1 << 20
WEIGHTS = (".safetensors", ".npz", ".safetensors.index.json")
TOKENIZERS = ("tokenizer", "vocab", "merges", "special_tokens", "added_tokens", "spiece")
CONFIGS = (".json", ".py")


def identity(info: ModelInfo, way: Float32 | None = None) -> str:
    """A digest in which two moments agree only if what was computed in one holds in the other: of the model's files,
    the `way` in which they were loaded, and the libraries.

    Weights are told by their size, time of change and samples of their bytes: reading all of them would take as long
    as loading. `core.mlx.ranks.distributed.fingerprint` compares machines, where times differ and sizes have to do.
    Raises OSError when the folder cannot be read.
    """
    libraries = [(name, version(name)) for name in LIBRARIES]
    digest = hashlib.sha256(repr((libraries, way and way.unpacked)).encode())
    for file in sorted(info.path.iterdir()):
        if not file.is_file() or file.name.startswith("."):
            continue
        about = file.stat()
        digest.update(repr((file.name, about.st_size, about.st_mtime_ns)).encode())
        _sample(digest, file, SAMPLES)
    return digest.hexdigest()


def fingerprint(info: ModelInfo) -> dict[str, str]:
    """SHA-256 digests, the same wherever the model lies and whenever it was copied there: `weights`, `config`,
    `tokenizer` and `chat_template`.

    Of files over WHOLE_BYTES the size and FINGERPRINT_SAMPLES pieces count, 1 MB in all. Raises OSError when the folder
    cannot be read, and ValueError when its template cannot.
    """
    parts = {name: hashlib.sha256() for name in ("weights", "config", "tokenizer", "chat_template")}
    for file in sorted(info.path.iterdir()):
        if (part := _part(file.name)) and file.is_file():
            parts[part].update(repr((file.name, file.stat().st_size)).encode())
            _read_into(parts[part], file)
    parts["chat_template"].update(read_templates(info.path).text(processor=True).encode("utf-8", "surrogatepass"))
    return {name: digest.hexdigest() for name, digest in parts.items()}


def short(parts: Mapping[str, str]) -> str:
    """A fingerprint in 16 characters, enough to tell the states of one model apart."""
    return hashlib.sha256(repr(sorted(parts.items())).encode()).hexdigest()[:16]


def _part(name: str) -> str | None:
    """What a file is for; None for those that change nothing about an answer."""
    if name.startswith(".") or "chat_template" in name:  # templates are read by their text, wherever they stand
        return None
    if name.endswith(WEIGHTS):
        return "weights"
    if name.startswith(TOKENIZERS) or name.endswith((".model", ".tiktoken")):
        return "tokenizer"
    return "config" if name.endswith(CONFIGS) else None


def _read_into(digest: hashlib._Hash, file: Path) -> None:
    if file.stat().st_size > WHOLE_BYTES:
        _sample(digest, file, FINGERPRINT_SAMPLES)
        return
    with open_regular(file) as handle:
        for _ in range(0, WHOLE_BYTES, _PIECE):
            digest.update(handle.read(_PIECE))


def _sample(digest: hashlib._Hash, file: Path, count: int) -> None:
    """Take in so many pieces of a file, evenly apart."""
    with open_regular(file) as handle:
        size = os.fstat(handle.fileno()).st_size
        for part in range(count):
            handle.seek(part * size // count)
            digest.update(handle.read(SAMPLE_BYTES))
