"""How large a model's files may be, by kind, and whether anything in its folder is no file at all.

The libraries open what lies in a folder by themselves, and wait for a pipe or swallow a device; so a folder is looked
through before it is described, and again before they get it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from core.catalog.apple_double import is_apple_double
from core.regular_files import UnfitFile, check_regular, is_folder, open_regular, read_regular, too_long

MIB = 1024 * 1024


@dataclass(frozen=True)
class Bound:
    """A kind of file that is read whole, and the most bytes that one may have."""

    kind: str
    limit: int
    patterns: tuple[str, ...]


CONFIG = Bound(
    "a configuration",
    16 * MIB,
    ("config.json", "*_config.json", "params.json", "modules.json", "special_tokens_map.json", "chat_template.json"),
)
INDEX = Bound("an index of weights", 64 * MIB, ("*.index.json",))
TEMPLATE = Bound("a chat template", 2 * MIB, ("*.jinja",))
VOCABULARY = Bound(
    "a vocabulary",
    256 * MIB,
    ("tokenizer.json", "vocab.*", "merges.txt", "added_tokens.json", "tekken.json", "*.model", "*.tiktoken"),
)
CODE = Bound("Python code", 16 * MIB, ("*.py",))
BOUNDS = (CONFIG, INDEX, TEMPLATE, VOCABULARY, CODE)
DEEPEST = 8
"""Folders within folders of a model that are looked into; what lies deeper is nothing that a library reads."""
WEIGHTS = (".safetensors", ".npz")
"""Of these no more than a header is read here, and the libraries map them: they may have any size."""


@lru_cache(maxsize=1 << 12)
def bound_of(name: str) -> Bound | None:
    """What limits a file of that name; None for weights, and for what nobody reads. Models share their files' names."""
    return next((bound for bound in BOUNDS if any(fnmatchcase(name, pattern) for pattern in bound.patterns)), None)


def read_file(file: Path) -> bytes:
    """One of a model's files as bytes, up to the limit of its kind. Raises UnfitFile and OSError."""
    bound = bound_of(file.name) or CONFIG
    return read_regular(file, bound.limit, bound.kind)


def unfit(folder: Path) -> str | None:
    """What makes a folder unsafe to read, as a clause that names the file; None where there is nothing.

    Hidden files count for nothing, as nobody reads them; a link to nothing is a file that is missing.
    Raises OSError when the folder itself cannot be listed, as when it has been removed.
    """
    for name, path in _entries(folder, ""):
        try:
            _look_at(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            return f"{name} cannot be read: {error.strerror or error}"
    return None


def _entries(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    """The files under a folder, and what should be one, by their names in it. Links to folders are not followed."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        if not prefix:
            raise
        return  # a folder in it that is closed to us is closed to the libraries
    for entry in found:
        if entry.name.startswith(".") or is_apple_double(entry.name):
            continue
        if not is_folder(entry) or _is_read(entry.name):
            yield prefix + entry.name, Path(entry.path)
        elif not entry.is_symlink() and prefix.count(os.sep) < DEEPEST:
            yield from _entries(Path(entry.path), prefix + entry.name + os.sep)


def _is_read(name: str) -> bool:
    return bound_of(name) is not None or name.endswith(WEIGHTS)


def _look_at(path: Path) -> None:
    """Raises UnfitFile or OSError for what the libraries must not be given."""
    if not _is_read(path.name):
        check_regular(path)
        return
    with open_regular(path) as opened:
        size = os.fstat(opened.fileno()).st_size
    bound = bound_of(path.name)
    if bound is not None and size > bound.limit:
        raise UnfitFile(too_long(size, bound.limit, bound.kind), path)
