"""Models that other programs keep as one file, brought into a folder that Assay reads."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from core.errors import EngineError, InvalidRequest, LoadFailed
from core.regular_files import open_regular
from core.settings import Settings
from core.sizes import readable_size

MAGIC = b"GGUF"
NAME = re.compile(r"\w[\w .+-]*")
"""What a folder may be called, and with it a model."""
DRAFT = ".import-"
"""How the names of folders begin that are not whole yet."""


def models_folder(settings: Settings) -> Path:
    """Where imports go: the first of the settings' model folders, else a folder of Assay's own."""
    first = next(iter(settings.model_folders), None)
    return first.expanduser() if first is not None else settings.own_models


def import_gguf(file: Path, models: Path, name: str | None = None) -> Path:
    """Write the model in a GGUF file to `models`/`name` (made of the file's when left out); returns that folder.

    The folder is there whole or not at all. MLX computes on the thread that calls. Raises InvalidRequest with what
    stands against it, LoadFailed with a library's reason that nobody foresaw.
    """
    name = _name(file) if name is None else name
    if not NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name!r} is no name for a folder. Choose one with --name: letters, digits and '_', after the first also "
            "spaces, '.', '+' and '-'."
        )
    target = models / name
    try:
        with open_regular(file) as opened:
            magic = opened.read(len(MAGIC))
            size = os.fstat(opened.fileno()).st_size
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
    except OSError as error:
        raise InvalidRequest(f"{error.filename or file} cannot be used: {error.strerror or error}.") from error
    try:
        with _draft(models) as draft:
            from core.mlx.models.gguf import convert

            convert(file, draft)
            draft.chmod(0o755)
            draft.rename(target)
    except EngineError:
        raise
    except OSError as error:
        raise InvalidRequest(f"{target} cannot be written: {error.strerror or error}.") from error
    except Exception as error:  # files of other programs are damaged in more ways than can be foreseen
        raise LoadFailed(f"{file.name} could not be imported: {type(error).__name__}: {error}") from error
    return target


def _name(file: Path) -> str:
    """A folder's name made of a file's: what would be odd in a model's id becomes a hyphen."""
    if NAME.fullmatch(file.stem):
        return file.stem
    return re.sub(r"[^\w.+]+", "-", file.stem).strip("-.+")


@contextmanager
def _draft(models: Path) -> Iterator[Path]:
    """A new folder in `models` that no list shows, removed when the block ends; those of imports that died go first.

    The lock of a living import's is held. Where a file system has no locks, what is left is left.
    """
    guard = _lock(models, fcntl.LOCK_EX)
    try:
        for left in models.glob(f"{DRAFT}*"):
            if (lock := _lock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)) is not None:
                shutil.rmtree(left, ignore_errors=True)
                os.close(lock)
        draft = Path(mkdtemp(prefix=DRAFT, dir=models))
        living = _lock(draft, fcntl.LOCK_EX)
    finally:
        if guard is not None:
            os.close(guard)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if living is not None:
            os.close(living)


def _lock(folder: Path, how: int) -> int | None:
    """A descriptor that holds the lock of a folder until it is closed, or None where the lock cannot be had."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
