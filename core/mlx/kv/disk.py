"""KV on disk, for a later run: a private folder under a byte budget, one file a prompt, in which nothing is trusted.

A file's name is a digest of its key and its content never changes, so several engines can share the folder: each
writes drafts and renames them, whoever finds a file gone or broken does without it, and its time of change says when it
was last of use. Folders hold one model each and are named by what its KV depends on: see `core.catalog.identity`.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.atomic import replacing
from core.catalog import Float32, ModelInfo, identity
from core.mlx.kv.file_format import BrokenKv, Head, UnknownLayer, read_head, read_steps, write_steps

log = logging.getLogger(__name__)

HEADER_BYTES = 65_536
"""What a file takes beside its tensors, at most."""


@dataclass
class _Shelf:
    """One model's folder, and what is known of the files in it."""

    folder: Path
    owner: str
    heads: dict[str, Head] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """A file that serves a prompt."""

    path: Path
    owner: str
    head: Head


class KvDisk:
    """Used on the MLX thread. No method raises: what the disk refuses is logged, and generation goes on without it."""

    def __init__(self, folder: Path, budget: int) -> None:
        self.folder = folder
        self.budget = budget
        self.nbytes = 0
        """Bytes on disk, as this engine last saw them."""
        self._shelves: dict[str, _Shelf] = {}
        self._complained = False
        with self._guarded():
            _private(folder)
            self._sweep()
            self._shrink(budget)

    def open(self, info: ModelInfo, way: Float32 | None = None) -> None:
        """Get a model's folder ready before its weights are read: what is kept from now on belongs to these files."""
        with self._guarded():
            owner = identity(info, way)
            mark = hashlib.sha256(info.id.encode()).hexdigest()[:8]
            name = f"{re.sub(r'[^A-Za-z0-9._-]+', '-', info.id)[:80]}-{mark}"
            shelf = _Shelf(self.folder / f"{name}-{owner[:16]}", owner)
            for other in self.folder.glob(f"{name}-*"):
                if other != shelf.folder:
                    log.info("removing KV in %s: %s or the libraries have changed since", other, info.id)
                    shutil.rmtree(other, ignore_errors=True)
            _private(shelf.folder)
            self._shelves[info.id] = shelf

    def find(self, model: str, score: Callable[[Head], int]) -> Found | None:
        """The file with the highest score above 0."""
        shelf = self._shelves.get(model)
        if shelf is None:
            return None
        scored = ((score(head), path, head) for path, head in self._heads(shelf))
        best, path, head = max(scored, key=lambda entry: entry[0], default=(0, None, None))
        return Found(path, shelf.owner, head) if best > 0 and path is not None and head is not None else None

    def read(self, found: Found) -> Generator[None, None, list[Any] | None]:
        """The cache in a file, or None when it has gone or is broken; yields after each piece that was read."""
        try:
            cache = yield from read_steps(found.path, found.owner)
            os.utime(found.path)
            return cache
        except BrokenKv as reason:
            _discard(found.path, reason)
        except OSError as error:
            log.info("%s cannot be read: %s", found.path, error)
        return None

    def write(
        self, model: str, key: np.ndarray[Any, Any], cache: list[Any], trims: bool, nbytes: int, used: float
    ) -> Generator[None, None, None]:
        """Keep `cache`, of about `nbytes` bytes and last used at `used` (seconds since 1970), unless what is on disk
        fills the budget and is more recent. Yields after each piece that was written.

        Files that hold only a beginning of it go.
        """
        shelf = self._shelves.get(model)
        moment = int(used * 1e9)
        if shelf is None:
            return
        with self._guarded():
            if not self._shrink(self.budget - nbytes - HEADER_BYTES, moment):
                return
            path = shelf.folder / _name(key)
            try:
                with replacing(path, 0o600) as draft:
                    with suppress(OSError):  # a file system without locks: the draft is less safe from `_sweep`
                        fcntl.flock(draft, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    yield from write_steps(draft, shelf.owner, key, cache, trims)
            except UnknownLayer as layer:
                log.info("KV of %s is not kept on disk: it has %s", model, layer)
                del self._shelves[model]
                return
            os.utime(path, ns=(moment, moment))
            for other, head in self._heads(shelf) if trims else ():
                if len(head.key) < len(key) and np.array_equal(head.key, key[: len(head.key)]):
                    other.unlink(missing_ok=True)
            self._shrink(self.budget)

    def refresh(self, model: str, key: np.ndarray[Any, Any], used: float) -> None:
        """Note when KV that was kept before has last been of use, in seconds since 1970."""
        shelf = self._shelves.get(model)
        if shelf is not None:
            with suppress(OSError):
                os.utime(shelf.folder / _name(key), (used, used))

    def _heads(self, shelf: _Shelf) -> Iterator[tuple[Path, Head]]:
        """The files of a model. Those that are new, perhaps another engine's, are looked at; broken ones go."""
        try:
            names = {name for name in os.listdir(shelf.folder) if not name.startswith(".")}
        except OSError:
            names = set()
        shelf.heads = {name: head for name, head in shelf.heads.items() if name in names}
        for name in sorted(names):
            path = shelf.folder / name
            if name not in shelf.heads:
                try:
                    head = read_head(path, shelf.owner)
                    if name != _name(head.key):
                        raise BrokenKv("its name does not fit its content")
                except BrokenKv as reason:
                    _discard(path, reason)
                    continue
                except OSError:
                    continue
                shelf.heads[name] = head
            yield path, shelf.heads[name]

    def _shrink(self, nbytes: int, before: int | None = None) -> bool:
        """Remove the least recent files until at most `nbytes` are left; whether that was enough.

        Only such files go as were last used `before` a moment, in ns since 1970.
        """
        files = []
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with suppress(OSError):
                    about = os.stat(os.path.join(folder, name))
                    files.append((about.st_mtime_ns, about.st_size, Path(folder, name)))
        self.nbytes = sum(size for _, size, _ in files)
        for moment, size, path in sorted(files):
            if self.nbytes <= nbytes or (before is not None and moment >= before):
                break
            if not path.name.startswith("."):
                path.unlink(missing_ok=True)
                self.nbytes -= size
        return self.nbytes <= nbytes

    def _sweep(self) -> None:
        """Remove drafts whose writers have died: the lock of a living one is held."""
        for draft in self.folder.glob("*/.*"):
            with suppress(OSError), draft.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                draft.unlink()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:  # MLX raises the second when an array cannot be had
            level = logging.INFO if self._complained else logging.WARNING
            self._complained = True
            log.log(level, "KV is not kept on disk in %s: %s. Answers do not depend on it.", self.folder, error)


def _private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


def _discard(path: Path, reason: BrokenKv) -> None:
    log.warning("removing %s: %s", path, reason)
    with suppress(OSError):
        path.unlink()


def _name(key: np.ndarray[Any, Any]) -> str:
    return f"{hashlib.sha256(key.tobytes()).hexdigest()[:32]}.safetensors"
