"""One download at work: what to fetch is asked, room looked for, files fetched side by side, the model shown."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import is_offline_mode

from core.errors import DiskFull, HubNotFound
from core.hub.cache import blob_lock, publish, repository_folder, whole_here
from core.hub.fetch import ask_patiently, draft_of, fetch
from core.hub.progress import FileProgress, Progress, Speed, Stage
from core.hub.records import Record
from core.hub.repository import RemoteFile, read_repository, wanted
from core.sizes import readable_size

FILES_AT_ONCE = 4
"""Connections of one download: a Hub's servers give each a part of what a line can carry."""


class Stopped(Exception):
    """Somebody wants the download to end where it stands."""


class Job:
    """A download and how it stands. `run` is called on a thread of its own; everything else from any thread."""

    def __init__(self, record: Record, changed: Callable[[Job], None]) -> None:
        self.record = record
        self.stage = Stage.PAUSED
        self.problem = record.problem
        self.code = ""
        self.then = Stage.PAUSED
        """What it becomes when it is stopped."""
        self.thread: threading.Thread | None = None
        self.kept = False
        """Whether a record of it has been written, so that one that is missing was removed by another program."""
        self.stop = threading.Event()
        self._changed = changed
        self._lock = threading.Lock()
        self._have: dict[str, int] = {}
        self._speed = Speed()
        self._waits: list[str] = []
        """What files wait for at present, the newest last."""
        self.look_at_disk()

    @property
    def stands_still(self) -> bool:
        """Whether it is unfinished and nobody here is at it."""
        return self.stage in (Stage.PAUSED, Stage.FAILED) and self.thread is None

    def progress(self) -> Progress:
        with self._lock:
            files = tuple(FileProgress(f.name, self._have.get(f.digest, 0), f.size) for f in self.record.files)
            speed = self._speed.now() if self.stage is Stage.RUNNING else 0.0
            at_work = self.stage in (Stage.LOOKING, Stage.RUNNING)
            record, waiting = self.record, self._waits[-1] if self._waits and at_work else ""
        return Progress(
            key=record.key,
            id=record.id,
            revision=record.revision,
            commit=record.commit,
            stage=self.stage,
            files=files,
            speed=speed,
            problem=self.problem,
            code=self.code,
            waiting=waiting,
        )

    def look_at_disk(self) -> None:
        """Read from the cache how much of each file is there."""
        have = {file.digest: self.record.on_disk(file) for file in self.record.files}
        with self._lock:
            self._have = have

    def become(self, stage: Stage, problem: str = "", code: str = "") -> None:
        self.stage, self.problem, self.code = stage, problem, code
        self._changed(self)

    def run(self, keep: Callable[[Record], None], others_need: Callable[[], int]) -> Path:
        """Download; returns the snapshot's folder. `keep` writes the record; others need that much of the disk as well.

        Raises Stopped when `stop` is set, EngineError and OSError.
        """
        keep(self.record)
        if not self.record.commit:
            self.become(Stage.LOOKING)
            self._plan()
            keep(self.record)
        self.check()
        self.look_at_disk()
        record = self.record
        record.blobs.mkdir(parents=True, exist_ok=True)
        self._ask_room(others_need())
        self.become(Stage.RUNNING)
        self._fetch_all()
        self.check()
        return publish(record.cache, record.id, record.commit, record.files, record.revision)

    def missing(self) -> int:
        """Bytes that are still to be fetched."""
        with self._lock:
            sizes = {file.digest: file.size for file in self.record.files}
            return sum(size - self._have.get(digest, 0) for digest, size in sizes.items())

    def _plan(self) -> None:
        asked = self.record
        if is_offline_mode() and not asked.everything and (here := whole_here(asked.cache, asked.id, asked.revision)):
            with self._lock:
                self.record = dataclasses.replace(asked, commit=here[0], files=here[1])
            return
        found = ask_patiently(lambda: read_repository(asked.id, asked.revision), self)
        files = wanted(found.files, asked.everything)
        if not files:
            raise HubNotFound(no_weights(asked.id, found.files))
        with self._lock:
            self.record = dataclasses.replace(asked, commit=found.commit, files=files)

    def _ask_room(self, others: int) -> None:
        missing, free = self.missing(), shutil.disk_usage(self.record.cache).free
        if missing + others <= free:
            return
        beside = f", besides {readable_size(others)} for other downloads" if others else ""
        raise DiskFull(
            f"{self.record.id} needs {readable_size(missing)} more on the disk of {self.record.cache}{beside}, which "
            f"has {readable_size(free)} free. Make room (`assay models delete`), or set hf_cache to a folder elsewhere."
        )

    def _fetch_all(self) -> None:
        """Fetch every blob once, the small ones first. The first failure stops the others and is raised."""
        blobs = {file.digest: file for file in self.record.files}
        todo, failures = deque(sorted(blobs.values(), key=lambda file: file.size)), list[BaseException]()

        def work() -> None:
            while todo and not self.stop.is_set():
                with contextlib.suppress(IndexError):
                    file = todo.popleft()
                    try:
                        self._fetch(file)
                    except BaseException as error:
                        failures.append(error)
                        self.stop.set()

        threads = [threading.Thread(target=work, name="download", daemon=True) for _ in range(FILES_AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for failure in sorted(failures, key=lambda error: isinstance(error, Stopped)):
            raise failure

    def _fetch(self, file: RemoteFile) -> None:
        record = self.record
        with blob_lock(record.cache, record.id, file.digest, self.check):
            blob = record.blobs / file.digest
            if not blob.is_file() or blob.stat().st_size != file.size:
                blob.unlink(missing_ok=True)
                fetch(record.id, record.commit, file, record.blobs, self)
            self.found(file, file.size)

    def check(self) -> None:
        if self.stop.is_set():
            raise Stopped

    def found(self, file: RemoteFile, count: int) -> None:
        with self._lock:
            self._have[file.digest] = count

    def have(self, file: RemoteFile, count: int) -> None:
        with self._lock:
            self._speed.add(max(count - self._have.get(file.digest, 0), 0))
            self._have[file.digest] = count

    def pause(self, seconds: float, why: str) -> None:
        with self._lock:
            self._waits.append(why)
        self.stop.wait(seconds)
        with self._lock:
            self._waits.remove(why)
        self.check()


def no_weights(model_id: str, files: tuple[RemoteFile, ...]) -> str:
    """That a model has nothing that MLX loads, and what it has."""
    endings = sorted(
        {f".{file.name.rpartition('.')[2]}" for file in files if file.size > 1_000_000 and "." in file.name}
    )
    holds = f"it holds {', '.join(endings[:5])}" if endings else "it holds no large file at all"
    return (
        f"{model_id} has no weights that MLX reads (.safetensors or .npz); {holds}. Look for an MLX version: "
        f"`assay models search {model_id.rpartition('/')[2]}`. --all downloads it as it is."
    )


def throw_away(record: Record) -> int:
    """Remove what an unfinished download has fetched and no snapshot uses; returns the bytes. Raises OSError."""
    folder, freed = repository_folder(record.cache, record.id), 0
    used = {link.resolve() for link in (folder / "snapshots").rglob("*")} if (folder / "snapshots").is_dir() else set()
    for file in record.files:
        for blob in (record.blobs / file.digest, draft_of(record.blobs, file)):
            if blob.is_file() and blob.resolve() not in used:
                freed += blob.stat().st_size
                blob.unlink()
    if not used and not any((folder / "blobs").glob("*")):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(record.cache / ".locks" / folder.name, ignore_errors=True)
    return freed
