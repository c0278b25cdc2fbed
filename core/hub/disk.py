"""What models take of the disk: revisions, what several hold alike, what is unfinished, what deleting frees."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import scan_cache_dir
from huggingface_hub.errors import CacheNotFound

from core.catalog.places import cache_folder
from core.hub.layout import REF_BYTES, SHA256
from core.regular_files import read_regular
from core.settings import Settings


@dataclass(frozen=True)
class Revision:
    """A snapshot of a model. `size_bytes` counts what it shares with others; `frees` is what only it has."""

    commit: str
    refs: tuple[str, ...]
    size_bytes: int
    frees: int
    modified: float
    """When the last of its files came, in seconds since the epoch."""


@dataclass(frozen=True)
class Stored:
    """A model in the cache: `size_bytes` is what it takes, `unfinished` the part that no revision shows."""

    id: str
    folder: Path
    revisions: tuple[Revision, ...]
    size_bytes: int
    unfinished: int
    accessed: float | None = None
    """When a file of it was last read, where the file system notes that."""


@dataclass(frozen=True)
class Duplicate:
    """A file that several models hold, each for itself. `wasted` is what all but one of them take, in bytes."""

    digest: str
    name: str
    size_bytes: int
    models: tuple[str, ...]
    copies: int
    """How often it lies on the disk; fewer than models where some are hard links to one file."""

    @property
    def wasted(self) -> int:
        return self.size_bytes * (self.copies - 1)


@dataclass(frozen=True)
class Disk:
    """The cache, the largest model first; `free` is what the disk has left, in bytes."""

    cache: Path
    models: tuple[Stored, ...]
    duplicates: tuple[Duplicate, ...]
    free: int
    linked: int = 0
    """Bytes of files of several models that are hard links to one file: they take room once."""

    @property
    def size_bytes(self) -> int:
        """What all of it takes."""
        return sum(model.size_bytes for model in self.models) - self.linked

    def model(self, model_id: str) -> Stored | None:
        return next((model for model in self.models if model.id == model_id), None)


def read_disk(settings: Settings) -> Disk:
    """Scan the Hugging Face cache; it takes a stat of every file. A repository that is broken counts by its size."""
    cache = cache_folder(settings)
    scanned = {repository.repo_path: repository for repository in _scan(cache)}
    models = [_stored(folder, scanned.get(folder)) for folder in _repositories(cache)]
    ordered = tuple(sorted(models, key=lambda model: (-model.size_bytes, model.id)))
    same = list(_duplicates(scanned.values()))
    linked = sum(twice.size_bytes * (len(twice.models) - twice.copies) for twice in same)
    duplicates = sorted((twice for twice in same if twice.copies > 1), key=lambda twice: (-twice.wasted, twice.digest))
    return Disk(cache, ordered, tuple(duplicates), free_room(cache), linked)


def free_room(folder: Path) -> int:
    """Bytes that are free on the disk of a folder, which need not be there yet."""
    return shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free


def scan(cache: Path) -> Any:
    """What huggingface_hub says of the cache. It reads all that lies among the refs, so they are looked at before.

    Raises OSError, UnfitFile for a ref that is no small file, and what `scan_cache_dir` raises.
    """
    for place in cache.glob("*/refs/**/*"):
        if not place.is_dir():
            read_regular(place, REF_BYTES, "a ref")
    return scan_cache_dir(cache)


def _scan(cache: Path) -> Iterator[Any]:
    try:
        found = scan(cache)
    except (CacheNotFound, ValueError, OSError):
        return
    yield from (repository for repository in found.repos if repository.repo_type == "model")


def _repositories(cache: Path) -> Iterator[Path]:
    yield from (folder for folder in sorted(cache.glob("models--*")) if folder.is_dir())


def _stored(folder: Path, scanned: Any) -> Stored:
    revisions = sorted(scanned.revisions, key=lambda one: -one.last_modified) if scanned else []
    users: dict[Path, int] = defaultdict(int)
    sizes: dict[Path, int] = {}
    for revision in revisions:
        for blob, size in {file.blob_path: file.size_on_disk for file in revision.files}.items():
            users[blob] += 1
            sizes[blob] = size
    shown = tuple(
        Revision(
            commit=revision.commit_hash,
            refs=tuple(sorted(revision.refs)),
            size_bytes=revision.size_on_disk,
            frees=sum(sizes[blob] for blob in {file.blob_path for file in revision.files} if users[blob] == 1),
            modified=revision.last_modified,
        )
        for revision in revisions
    )
    loose = sum(_size(blob) for blob in folder.glob("blobs/*") if blob not in users)
    accessed = float(scanned.last_accessed) if scanned and revisions else None
    return Stored(model_of(folder), folder, shown, sum(sizes.values()) + loose, loose, accessed)


def model_of(folder: Path) -> str:
    """The id of the model whose folder in the cache this is."""
    return folder.name.removeprefix("models--").replace("--", "/", 1)


def _size(file: Path) -> int:
    try:
        return file.lstat().st_size
    except OSError:
        return 0


def _duplicates(repositories: Any) -> Iterator[Duplicate]:
    """Large files that lie in several repositories, in copies or linked: their blobs are named by their content."""
    holders: Mapping[str, dict[Path, Any]] = defaultdict(dict)
    for repository in repositories:
        for revision in repository.revisions:
            for file in revision.files:
                if SHA256.fullmatch(file.blob_path.name):
                    holders[file.blob_path.name].setdefault(repository.repo_path, file)
    for digest, files in holders.items():
        if len(files) > 1:
            apart = {(status.st_dev, status.st_ino) for status in (file.blob_path.stat() for file in files.values())}
            one = next(iter(files.values()))
            models = tuple(sorted(model_of(folder) for folder in files))
            yield Duplicate(digest, one.file_name, one.size_on_disk, models, len(apart))
