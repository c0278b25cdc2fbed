"""What tells one state of a model's files from another, without reading all of them."""

from __future__ import annotations

import hashlib
from importlib.metadata import version

from core.catalog.model_info import Float32, ModelInfo

LIBRARIES = ("mlx", "mlx-lm", "mlx-vlm", "transformers")
SAMPLES = 16
SAMPLE_BYTES = 4096


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
        with file.open("rb") as handle:
            for part in range(SAMPLES):
                handle.seek(part * about.st_size // SAMPLES)
                digest.update(handle.read(SAMPLE_BYTES))
    return digest.hexdigest()
