"""Models that other programs keep as one file, brought into a folder that Assay reads."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from tempfile import mkdtemp

from core.errors import InvalidRequest
from core.settings import Settings
from core.sizes import readable_size

MAGIC = b"GGUF"


def models_folder(settings: Settings) -> Path:
    """Where imports go: the first of the settings' model folders, else a folder of Assay's own."""
    first = next(iter(settings.model_folders), None)
    return first.expanduser() if first is not None else settings.own_models


def import_gguf(file: Path, models: Path, name: str | None = None) -> Path:
    """Write the model in a GGUF file to `models`/`name` (the file's name when left out); returns that folder.

    The folder is there whole or not at all. MLX computes on the thread that calls. Raises InvalidRequest with what
    stands against it.
    """
    name = name or file.stem
    if not re.fullmatch(r"[\w][\w .+-]*", name):
        raise InvalidRequest(f"{name!r} is no name for a folder: use letters, digits, '.', '_', '+' and '-'.")
    target = models / name
    try:
        with file.open("rb") as opened:
            magic = opened.read(len(MAGIC))
        size = file.stat().st_size
        if magic != MAGIC:
            raise InvalidRequest(f"{file} is no GGUF file: it does not begin with {MAGIC.decode()}.")
        if target.exists():
            raise InvalidRequest(f"{target} is there already. Give the model another name with --name, or remove it.")
        models.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(models).free
        if free < 2 * size:  # the file's numbers once more, and what of them has to be unpacked
            raise InvalidRequest(
                f"{models} has {readable_size(free)} free, and {file.name} needs about {readable_size(2 * size)} there."
            )
        draft = Path(mkdtemp(prefix=".import-", dir=models))
    except OSError as error:
        raise InvalidRequest(f"{error.filename or file} cannot be used: {error.strerror or error}.") from error
    try:
        from core.mlx.models.gguf import convert

        convert(file, draft)
        draft.chmod(0o755)
        draft.rename(target)
    except OSError as error:
        raise InvalidRequest(f"{target} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target
