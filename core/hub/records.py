"""Unfinished downloads, kept as one JSON file each in data_dir/downloads, so that they are found again after a restart.

Each cache folder has its own: a model may be on its way into several.

A record says what is fetched and at which commit: it is that commit that is gone on with, whatever has come to the
Hub's main branch meanwhile. How much is there is told by the cache's own files.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from core.atomic import write_atomically
from core.catalog.places import cache_folder
from core.errors import HubError, ModelInUse
from core.hub.cache import repository_folder
from core.hub.fetch import draft_of
from core.hub.layout import COMMIT, SHA256
from core.hub.repository import RemoteFile, check_id, check_revision, is_safe
from core.hub.unfinished import RECORDS
from core.settings import Settings

log = logging.getLogger(__name__)

KEY_SHOWN = 120
"""Of a key in the name of its file; a revision's may be longer than any name."""


@dataclass(frozen=True)
class Record:
    """A download that was asked for. `commit` and `files` are known once the Hub has been asked."""

    id: str
    revision: str | None
    everything: bool
    cache: Path
    commit: str = ""
    files: tuple[RemoteFile, ...] = ()
    added: float = field(default_factory=time.time)
    problem: str = ""
    """Why it stopped; "" where somebody paused it or the program ended."""
    goes_on: bool = False
    """Whether a program that is opened again goes on with it by itself: nobody has paused it."""

    @property
    def key(self) -> str:
        """What tells it from other downloads: the model, and the revision if one was named."""
        return self.id if self.revision is None else f"{self.id}@{self.revision}"

    @property
    def blobs(self) -> Path:
        return repository_folder(self.cache, self.id) / "blobs"

    def on_disk(self, file: RemoteFile) -> int:
        """Bytes of a file that have been fetched."""
        try:
            return (self.blobs / file.digest).stat().st_size
        except OSError:
            pass
        try:
            return min(draft_of(self.blobs, file).stat().st_size, file.size)
        except OSError:
            return 0


def records_folder(settings: Settings) -> Path:
    return settings.data_dir / RECORDS


def _file(settings: Settings, key: str) -> Path:
    """Where a download into the cache that holds now is written down: its key, as far as a file's name may go, and a
    digest of the key and the cache."""
    digest = hashlib.sha256(f"{cache_folder(settings).resolve()}\0{key}".encode()).hexdigest()
    return records_folder(settings) / f"{quote(key, safe='')[:KEY_SHOWN]}.{digest[:16]}.json"


def write_record(settings: Settings, record: Record) -> None:
    """Keep a record. Raises OSError."""
    about = {
        "id": record.id,
        "revision": record.revision,
        "everything": record.everything,
        "cache": str(record.cache),
        "commit": record.commit,
        "files": [[file.name, file.size, file.digest] for file in record.files],
        "added": record.added,
        "problem": record.problem,
        "goes_on": record.goes_on,
    }
    records_folder(settings).mkdir(parents=True, exist_ok=True)
    write_atomically(_file(settings, record.key), json.dumps(about, indent=1).encode())


def remove_record(settings: Settings, key: str) -> None:
    _file(settings, key).unlink(missing_ok=True)


def has_record(settings: Settings, key: str) -> bool:
    return _file(settings, key).is_file()


def read_records(settings: Settings) -> list[Record]:
    """The unfinished downloads into the cache that holds now, the oldest first; a file that is strange counts as none.

    Those into another cache are left to whoever uses that one.
    """
    found, cache = [], cache_folder(settings)
    for file in sorted(records_folder(settings).glob("*.json")):
        try:
            record = _read(json.loads(file.read_bytes()))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, HubError) as error:
            log.info("%s is no record of a download: %s", file, error)
            continue
        if file == _file(settings, record.key) and record.cache.resolve() == cache.resolve():
            found.append(record)
    return sorted(found, key=lambda record: record.added)


def _read(about: dict[str, object]) -> Record:
    files = tuple(RemoteFile(str(name), int(size), str(digest)) for name, size, digest in about["files"])  # type: ignore[attr-defined]
    model_id, revision, commit = str(about["id"]), about["revision"], str(about["commit"])
    check_id(model_id)
    if revision is not None:
        check_revision(str(revision))
    if (commit or files) and not COMMIT.fullmatch(commit):
        raise ValueError("its commit is none")
    if not all(is_safe(f.name) and (COMMIT.fullmatch(f.digest) or SHA256.fullmatch(f.digest)) for f in files):
        raise ValueError("it names files that cannot be")
    return Record(
        model_id,
        None if revision is None else str(revision),
        bool(about["everything"]),
        Path(str(about["cache"])),
        commit,
        files,
        float(str(about["added"])),
        str(about["problem"]),
        about.get("goes_on") is True,
    )


@contextmanager
def alone(settings: Settings, key: str) -> Iterator[None]:
    """Hold a download for this program; a killed program lets go. Raises ModelInUse where another one has it."""
    records_folder(settings).mkdir(parents=True, exist_ok=True)
    file = _file(settings, key).with_suffix(".lock")
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                told = f"{key} is being downloaded by another program of yours. Wait for it, or stop it."
                raise ModelInUse(told) from error
            if not _is(file, descriptor):
                continue  # whoever had it has just removed it
            try:
                yield
            finally:
                file.unlink(missing_ok=True)
            return
        finally:
            os.close(descriptor)


def _is(file: Path, descriptor: int) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except OSError:
        return False


def is_running(settings: Settings, key: str) -> bool:
    """Whether some program is at a download now."""
    try:
        with alone(settings, key):
            return False
    except ModelInUse:
        return True
