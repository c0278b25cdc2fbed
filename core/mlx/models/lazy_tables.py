"""transformers' tables of lazy imports, kept between runs: it makes them by reading its three thousand source files.

It does so twice at every start, which takes half a second, and comes to the same each time. The tables are kept in the
user's cache folder under the version and the place of the package. Whatever goes wrong with them, transformers makes
its own, as it always does.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import sys
import zlib
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from core.atomic import write_atomically
from core.regular_files import read_regular

if TYPE_CHECKING:
    from importlib.abc import Loader

log = logging.getLogger(__name__)

MODULE = "transformers.utils.import_utils"
FUNCTION = "define_import_structure"

MOST_BYTES = 64_000_000
MOST = 200
"""Files that are kept, of all environments together: two large ones for each, and a small one for each model family."""

Table = dict[frozenset[str], dict[str, set[str]]]
"""Backends -> module -> the names in it that need these backends."""


def install(folder: Path) -> None:
    """Use the tables kept in `folder`, which is theirs alone, when transformers is imported; once, and before that."""
    loaded = MODULE in sys.modules or any(isinstance(finder, _Finder) for finder in sys.meta_path)
    if not loaded:
        sys.meta_path.insert(0, _Finder(folder))


class _Finder:
    """Finds MODULE as everyone else does, and leaves; the module gets a FUNCTION that remembers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = cast("Loader", _Loader(spec.loader, self._folder))
        return spec


class _Loader:
    """Loads MODULE as `loader` does. Like `_Finder`, it is what importlib expects without importlib.abc, whose import
    takes a tenth of what is saved here."""

    def __init__(self, loader: Any, folder: Path) -> None:
        self._loader = loader
        self._folder = folder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        made = getattr(module, FUNCTION, None)
        if made is not None:
            setattr(module, FUNCTION, remembering(made, self._folder))


def remembering(make: Callable[..., Table], folder: Path) -> Callable[..., Table]:
    """`make`, a function of a source folder and a prefix, with what it returned kept as a file in `folder`."""

    def remembered(module_path: Any, prefix: str | None = None) -> Table:
        kept = None
        try:
            kept = folder / _name(Path(module_path), prefix)
            table = read(kept)
            os.utime(kept)  # the least recent ones go first
            return table
        except (OSError, ValueError, TypeError, AttributeError):  # there is none yet, or something else wrote there
            table = make(module_path, prefix)
        if kept is not None:
            _keep(kept, table)
        return table

    return remembered


def _keep(file: Path, table: Table) -> None:
    """Write a table, and let the oldest in its folder go."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, write(table))
        for old in sorted(file.parent.iterdir(), key=lambda other: other.stat().st_mtime, reverse=True)[MOST:]:
            old.unlink(missing_ok=True)
    except (OSError, TypeError, AttributeError) as error:
        log.info("a table of transformers cannot be kept: %s", error)


def _name(source: Path, prefix: str | None) -> str:
    """A file name for the table of a source folder, or of the one that a file is in, in this version, put there when it
    was. Who edits transformers in place has to clear the folder of tables."""
    folder = source if source.is_dir() else source.parent
    place = repr((str(folder), os.stat(folder).st_mtime_ns, version("transformers"), prefix))
    return f"{folder.name}-{hashlib.sha256(place.encode()).hexdigest()[:16]}.json"


def write(table: Table) -> bytes:
    """A table as JSON, after its checksum. Raises TypeError and AttributeError for what is none."""
    rows = [
        [sorted(backends), {name: sorted(names) for name, names in modules.items()}]
        for backends, modules in table.items()
    ]
    payload = json.dumps(rows).encode()
    return f"{zlib.crc32(payload):08x}\n".encode() + payload


def read(file: Path) -> Table:
    """The table in a file that `write` made. Raises OSError, ValueError and TypeError."""
    checksum, _, payload = read_regular(file, MOST_BYTES, "a table").partition(b"\n")
    if checksum != f"{zlib.crc32(payload):08x}".encode():
        raise ValueError(f"{file} is not as it was written")
    rows = json.loads(payload)
    return {frozenset(backends): {name: set(names) for name, names in modules.items()} for backends, modules in rows}
