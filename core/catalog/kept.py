"""Descriptions of models that outlive the program: a list of thousands is read again only where files have changed.

What was read is believed only for the same files (names, sizes and times of change, of links the files behind them),
the same version of everything that reads them, and the same settings. A file that is broken or strange counts as none.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.atomic import write_atomically
from core.catalog.describe import Files
from core.catalog.model_info import ModelInfo
from core.catalog.places import Found
from core.regular_files import read_regular
from core.settings import Settings

if TYPE_CHECKING:
    from pydantic import TypeAdapter

log = logging.getLogger(__name__)

FILE = "models.json"
MOST_BYTES = 256_000_000
LIBRARIES = ("mlx-assay", "mlx", "mlx-lm", "mlx-vlm", "mlx-audio", "transformers")
TICK_NS, COARSE_TICK_NS = 50_000_000, 2_100_000_000
"""Two changes of a file closer together than this may bear the same time; the second where times are whole seconds."""


Described = Mapping[Found, tuple[Files, ModelInfo]]


@dataclass(frozen=True)
class Kept:
    """One model: where it was found, the files that were there, and what they said."""

    found: Found
    files: Files
    info: ModelInfo


@dataclass(frozen=True)
class _Content:
    """Of the file."""

    depends: str
    models: tuple[Kept, ...]


def _format() -> TypeAdapter[_Content]:
    from pydantic import TypeAdapter

    return TypeAdapter(_Content)


def kept_file(settings: Settings) -> Path:
    return settings.cache_dir / FILE


def read_kept(settings: Settings, float32: bool) -> Described:
    """What was kept under these settings; nothing where there is no such file, or where anything in it is odd."""
    from pydantic import ValidationError

    try:
        data = read_regular(kept_file(settings), MOST_BYTES, "what is known of models")
    except OSError:
        return {}
    try:
        content = _format().validate_json(data)
    except ValidationError as error:
        log.info("%s is not used: %d things in it are odd", kept_file(settings), error.error_count())
        return {}
    if content.depends != depends(settings, float32):
        return {}
    return {kept.found: (kept.files, kept.info) for kept in content.models}


def write_kept(settings: Settings, float32: bool, described: Described, looked_ns: int, before: Described) -> Described:
    """Keep descriptions for other programs and later ones, where they are not those that were kept `before`.

    `looked_ns` is the time of day when the look began. Returns what is kept now.

    Left out are models with a problem that can be mended, which a look at the disk must find out anew, and files that
    have changed so lately that the next change may bear the same time.
    """
    same = {id(info) for _, info in before.values()}
    kept = {
        found: (files, info)
        for found, (files, info) in described.items()
        if id(info) in same
        or ((info.problem is None or info.foreign) and all(_is_settled(times, looked_ns) for _, _, *times in files))
    }
    if len(kept) == len(before) and all(id(info) in same for _, info in kept.values()):
        return before
    models = [Kept(found, files, info) for found, (files, info) in kept.items()]
    from pydantic_core import PydanticSerializationError

    try:
        data = _format().dump_json(_Content(depends(settings, float32), tuple(models)))
        settings.cache_dir.mkdir(parents=True, exist_ok=True)
        write_atomically(kept_file(settings), data)
    except (OSError, PydanticSerializationError) as error:
        log.info("descriptions of models are not kept: %s", error)
        return before
    return kept


def _is_settled(times: list[int], looked_ns: int) -> bool:
    tick = COARSE_TICK_NS if all(moment % 1_000_000_000 == 0 for moment in times) else TICK_NS
    return max(times) + tick < looked_ns


def depends(settings: Settings, float32: bool) -> str:
    """All that a description depends on besides the model's files, as one text."""
    return repr((_readers(), sorted(settings.allow_code), settings.prefill_chunk, float32))


@cache
def _readers() -> list[Any]:
    """The state of the code that reads models: versions of the libraries, and this package's own files."""
    ours = [(file.name, file.stat()) for file in sorted(Path(__file__).parent.glob("*.py"))]
    about = [(name, status.st_size, status.st_mtime_ns) for name, status in ours]
    return [*((name, _version(name)) for name in LIBRARIES), *about]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
