"""What models take of the disk: revisions, what several hold alike, what is unfinished, what deleting frees."""

from __future__ import annotations

import os
import shutil
import stat
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from huggingface_hub import scan_cache_dir
from huggingface_hub.errors import CacheNotFound

from core.catalog.places import cache_folder
from core.hub.layout import REF_BYTES, SHA256
from core.regular_files import read_regular
from core.settings import Settings

Inode = tuple[int, int]
"""What tells a file from others, whatever it is called: its device and its number there."""


@dataclass(frozen=True)
class Revision:
    """A snapshot of a model. `size_bytes` is what it shows, `shared` what of that other revisions show as well.

    `frees` is what goes from the disk with it: not what others hold too, by hard links, nor what lies out of the cache.
    """

    commit: str
    refs: tuple[str, ...]
    size_bytes: int
    shared: int
    frees: int
    modified: float
    """When the last of its files came, in seconds since the epoch."""


@dataclass(frozen=True)
class Stored:
    """A model in the cache: `size_bytes` is what it takes, `unfinished` the part that no revision shows.

    `frees` is what goes from the disk with all of it: less where others hold files of it, too.
    """

    id: str
    folder: Path
    revisions: tuple[Revision, ...]
    size_bytes: int
    unfinished: int
    frees: int
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
    """Bytes that several models have as one: they take room once."""

    @property
    def size_bytes(self) -> int:
        """What all of it takes."""
        return sum(model.size_bytes for model in self.models) - self.linked

    def model(self, model_id: str) -> Stored | None:
        return next((model for model in self.models if model.id == model_id), None)


def read_disk(settings: Settings) -> Disk:
    """Scan the Hugging Face cache; it takes a stat of every file. A repository that is broken counts by its size."""
    cache = cache_folder(settings)
    scanned = {repository.repo_path.name: repository for repository in _scan(cache)}
    lying = {folder: _lying(_own_files(folder), cache) for folder in _repositories(cache)}
    users = Counter(inode for files in lying.values() for inode in files)
    models = [_stored(folder, scanned.get(folder.name), files, users) for folder, files in lying.items()]
    ordered = tuple(sorted(models, key=lambda model: (-model.size_bytes, model.id)))
    linked = sum(file.size for files in lying.values() for file in files.values())
    linked -= sum({inode: file.size for files in lying.values() for inode, file in files.items()}.values())
    same = (twice for twice in _duplicates(scanned.values()) if twice.copies > 1)
    duplicates = sorted(same, key=lambda twice: (-twice.wasted, twice.digest))
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


@dataclass(frozen=True)
class _File:
    """A file as it lies on the disk: its bytes, the names that lead to it, and how many of those are looked at."""

    size: int
    names: int
    here: int = 0


def _own_files(folder: Path) -> Iterator[Path]:
    """The files and links of a repository's folder; what lies behind linked folders is not its own."""
    for part in ("blobs", "snapshots"):
        for parent, _, names in os.walk(folder / part):
            yield from (Path(parent, name) for name in names)


def _lying(places: Iterable[Path], cache: Path) -> dict[Inode, _File]:
    """What lies at these places, each file once, however many names it has.

    A link is nothing that takes room, unless it leads into the store that repositories of a cache share (`cache/blobs`,
    where huggingface_hub 2 puts what comes over Xet): its file goes with the last link.
    """
    found: dict[Inode, _File] = {}
    store = (cache / "blobs").resolve()
    for place in places:
        try:
            status = place.lstat()
            if stat.S_ISLNK(status.st_mode):
                if place.parent.name != "blobs" or not (target := place.resolve()).is_relative_to(store):
                    continue
                status = target.lstat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            inode = status.st_dev, status.st_ino
            before = found.get(inode, _File(status.st_size, status.st_nlink))
            found[inode] = replace(before, here=before.here + 1)
    return found


def _freed(files: Mapping[Inode, _File], users: Counter[Inode]) -> int:
    """Bytes that are free once these names are gone: of files that no other name and no other repository leads to."""
    return sum(file.size for inode, file in files.items() if file.names <= file.here and users[inode] <= 1)


def _stored(folder: Path, scanned: Any, files: Mapping[Inode, _File], users: Counter[Inode]) -> Stored:
    revisions = sorted(scanned.revisions, key=lambda one: -one.last_modified) if scanned else []
    shows = {revision: {file.blob_path: file.size_on_disk for file in revision.files} for revision in revisions}
    shown_by = Counter(blob for blobs in shows.values() for blob in blobs)
    shown = tuple(
        Revision(
            commit=revision.commit_hash,
            refs=tuple(sorted(revision.refs)),
            size_bytes=revision.size_on_disk,
            shared=sum(size for blob, size in shows[revision].items() if shown_by[blob] > 1),
            frees=_freed(_lying(_own_blobs(scanned, revision), folder.parent), users),
            modified=revision.last_modified,
        )
        for revision in revisions
    )
    told = {(status.st_dev, status.st_ino) for status in (blob.stat() for blob in shown_by)}
    blobs = _lying(folder.glob("blobs/*"), folder.parent)
    loose = sum(file.size for inode, file in blobs.items() if inode not in told)
    size = sum(file.size for file in files.values())
    accessed = float(scanned.last_accessed) if scanned and revisions else None
    return Stored(model_of(folder), folder, shown, size, loose, _freed(files, users), accessed)


def _own_blobs(scanned: Any, revision: Any) -> set[Path]:
    """The files that go with a revision, out of huggingface_hub's scan of its repository: those in the repository's
    folder that no other revision shows."""
    others = {file.blob_path for other in scanned.revisions if other is not revision for file in other.files}
    inside = [scanned.repo_path / "blobs"]
    inside += [] if revision.snapshot_path.is_symlink() else [revision.snapshot_path]
    mine = {file.blob_path for file in revision.files} - others
    return {blob for blob in mine if any(blob.is_relative_to(folder) for folder in inside)}


def model_of(folder: Path) -> str:
    """The id of the model whose folder in the cache this is."""
    return folder.name.removeprefix("models--").replace("--", "/", 1)


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
