"""Downloads, several at once in a queue, that go on where they stopped: paused, broken off, or killed.

Every call returns at once, but `restore`, `wait` and `close`. How things stand is plain data (`all`); who wants to be
told of changes registers with `listen`.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from huggingface_hub import is_offline_mode

from core.catalog.places import cache_folder
from core.errors import EngineError, HubError, HubNotFound, HubOffline, ModelInUse, ended
from core.hub.cache import is_whole
from core.hub.fetch import FULL, unwritten
from core.hub.job import Job, Stopped, throw_away
from core.hub.progress import Progress, Stage
from core.hub.records import (
    Record,
    alone,
    has_record,
    is_running,
    read_records,
    records_folder,
    remove_record,
    write_record,
)
from core.hub.repository import check_id, check_revision
from core.settings import Settings

log = logging.getLogger(__name__)

AT_ONCE = 2
"""Models that are fetched side by side; more would only share the line."""

Listener = Callable[[Progress], None]


class Downloads:
    """The queue of one program. Safe to call from any thread.

    `goes_on` is for a program that people open again: what moves or waits when it ends goes on with `restore`, unless
    another program is at it by then.
    """

    def __init__(self, settings: Settings, at_once: int = AT_ONCE, goes_on: bool = False) -> None:
        self.settings = settings
        self._at_once = at_once
        self._goes_on = goes_on
        self._jobs: dict[str, Job] = {}
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._listeners: list[Listener] = []
        self._closed = False

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have `listener` called at each change of stage, on a download's thread; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def restore(self) -> tuple[Progress, ...]:
        """Find the unfinished downloads of earlier days, as paused ones but for those that go on. Reads the disk."""
        found, moved = read_records(self.settings), []
        with self._lock:
            for record in found:
                if record.key not in self._jobs:
                    job = self._jobs[record.key] = Job(record, self._tell)
                    job.kept = True
                    job.stage = Stage.FAILED if record.problem else Stage.PAUSED
                    if self._goes_on and record.goes_on and not record.problem:
                        moved.append(record.key)
        for key in moved:
            if not is_running(self.settings, key):
                self.resume(key)
        return self.all()

    def look_again(self) -> tuple[Progress, ...]:
        """Take off the list what other programs have ended or thrown away since it stood still here. Reads the disk."""
        with self._lock:
            still = [job for job in self._jobs.values() if job.stands_still]
        for job in still:
            whole = is_whole(job.record.cache, job.record.id, job.record.commit, job.record.files)
            job.look_at_disk()
            if not whole and not (job.kept and not has_record(self.settings, job.record.key)):
                continue
            with self._lock:
                if job.stands_still and self._jobs.get(job.record.key) is job:
                    del self._jobs[job.record.key]
            if whole:
                remove_record(self.settings, job.record.key)
        return self.all()

    def add(self, model_id: str, revision: str | None = None, everything: bool = False) -> str:
        """Put a model in the queue, or go on with its download; returns its key.

        `everything` also fetches files that MLX does not read. Raises HubNotFound for what can be no name.
        """
        check_id(model_id)
        if revision is not None:
            check_revision(revision)
        record = Record(model_id, revision, everything, cache_folder(self.settings))
        with self._lock:
            job = self._jobs.get(record.key)
            ended_before = job is None or job.stage in (Stage.DONE, Stage.CANCELLED)
            if ended_before or (job is not None and job.record.everything != everything and not job.stage.moves):
                self._jobs[record.key] = Job(record, self._tell)
        self.resume(record.key)
        return record.key

    def pause(self, key: str) -> None:
        """Stop a download where it stands; `resume` goes on with it."""
        self._stop(key, Stage.PAUSED)

    def cancel(self, key: str) -> None:
        """Stop a download and throw away what it has fetched."""
        self._stop(key, Stage.CANCELLED)

    def resume(self, key: str) -> None:
        """Let a paused or failed download wait for its turn again. Of one that moves or is done, nothing changes."""
        with self._lock:
            job = self._jobs[key]
            winding_down = job.stage.moves and job.stop.is_set()
            if self._closed or (job.stage.moves and not winding_down) or job.stage is Stage.DONE:
                return
            if job.thread is None:
                self._note(job, goes_on=True)
            job.become(Stage.QUEUED)
            self._start_next()

    def forget(self, key: str) -> None:
        """Take a download that has ended, or was cancelled, off the list."""
        with self._lock:
            if key in self._jobs and self._jobs[key].stage in (Stage.DONE, Stage.CANCELLED, Stage.FAILED):
                del self._jobs[key]

    def all(self) -> tuple[Progress, ...]:
        """How every download stands, in the order in which they were asked for."""
        with self._lock:
            jobs = list(self._jobs.values())
        return tuple(job.progress() for job in jobs)

    def get(self, key: str) -> Progress:
        """How one stands. Raises KeyError."""
        with self._lock:
            job = self._jobs[key]
        return job.progress()

    def wait(self, key: str, timeout: float | None = None) -> Progress:
        """Wait until a download stands still, or for `timeout` seconds; returns how it stands then."""
        with self._changed:
            job = self._jobs[key]
            self._changed.wait_for(lambda: not job.stage.moves and job.thread is None, timeout)
        return self.get(key)

    def close(self, timeout: float = 5.0) -> None:
        """Pause everything. What moves is found again by the next program's `restore`."""
        with self._lock:
            self._closed = True
            jobs = list(self._jobs.values())
        for job in jobs:
            self._stop(job.record.key, Stage.PAUSED)
        for job in jobs:
            if job.thread is not None:
                job.thread.join(timeout)

    def _stop(self, key: str, then: Stage) -> None:
        with self._lock:
            job = self._jobs[key]
            if job.thread is not None and job.thread.is_alive():
                job.then = then
                job.stop.set()
                if job.stage.moves:
                    job.become(Stage.PAUSED)
                return
            if then is Stage.PAUSED and not job.stage.moves:
                return
            if then is Stage.CANCELLED:
                job.thread = threading.Thread(target=self._throw_away, args=(job,), name="cancel", daemon=True)
                job.thread.start()
                return
            if not self._closed:
                self._note(job, goes_on=False)
        job.become(then)

    def _start_next(self) -> None:
        with self._lock:
            if self._closed:
                return
            busy = sum(1 for job in self._jobs.values() if job.thread is not None and job.thread.is_alive())
            for job in self._jobs.values():
                if busy >= self._at_once:
                    return
                if job.stage is Stage.QUEUED and (job.thread is None or not job.thread.is_alive()):
                    job.stop.clear()
                    job.then = Stage.PAUSED
                    job.thread = threading.Thread(target=self._run, args=(job,), name="downloads", daemon=True)
                    job.thread.start()
                    busy += 1

    def _run(self, job: Job) -> None:
        key = job.record.key
        try:
            with alone(self.settings, key):
                job.run(lambda record: self._keep(job, record), lambda: self._others_need(job))
                remove_record(self.settings, key)
            self._end(job, Stage.DONE)
        except Stopped:
            if job.then is Stage.CANCELLED:
                self._throw_away(job)
            else:
                self._end(job, Stage.PAUSED)
        except ModelInUse as error:  # what is there is another program's
            self._end(job, Stage.FAILED, error)
        except HubNotFound as error:  # a commit can vanish: next time the Hub is asked anew
            job.record = dataclasses.replace(job.record, commit="", files=())
            self._fail(job, error)
        except EngineError as error:
            self._fail(job, error)
        except OSError as error:
            if error.errno in FULL:
                self._fail(job, unwritten(error, job.record.blobs, job.record.blobs))
            else:
                self._fail(job, HubError(f"{key} could not be downloaded: {ended(_reason(error))}"))
        except Exception as error:
            log.exception("the download of %s", key)
            self._fail(job, HubError(f"{key} could not be downloaded: {type(error).__name__}: {ended(error)}"))

    def _keep(self, job: Job, record: Record) -> None:
        try:
            write_record(self.settings, dataclasses.replace(record, problem="", goes_on=self._goes_on))
        except OSError as error:
            folder = records_folder(self.settings)
            raise unwritten(error, folder, folder) from error
        job.kept = True

    def _note(self, job: Job, goes_on: bool) -> None:
        """Write down whether a download that nobody is at goes on by itself, where that is asked for."""
        if not self._goes_on:
            return
        try:
            write_record(self.settings, dataclasses.replace(job.record, goes_on=goes_on))
            job.kept = True
        except OSError as error:
            log.info("the record of %s: %s", job.record.key, error)

    def _fail(self, job: Job, failure: EngineError) -> None:
        """A download of which nothing has come leaves nothing behind: there is nothing to go on with.

        HF_HUB_OFFLINE is true of this program and not of the download: what would have gone on does so without it.
        """
        record, forbidden = job.record, isinstance(failure, HubOffline) and is_offline_mode()
        if forbidden:
            record = dataclasses.replace(record, problem="", goes_on=record.goes_on or self._goes_on)
        else:
            record = dataclasses.replace(record, problem=failure.message)
        try:
            if any(map(record.on_disk, record.files)) or (forbidden and job.record.goes_on):
                write_record(self.settings, record)
            else:
                throw_away(job.record)
                remove_record(self.settings, job.record.key)
                job.kept = False
        except OSError as error:
            log.info("the record of %s: %s", job.record.key, error)
        self._end(job, Stage.FAILED, failure)

    def _throw_away(self, job: Job) -> None:
        failure: EngineError | None = None
        try:
            with alone(self.settings, job.record.key):
                throw_away(job.record)
                remove_record(self.settings, job.record.key)
        except EngineError as error:
            failure = error
        except OSError as error:
            failure = HubError(f"What was fetched of {job.record.key} could not be removed: {ended(_reason(error))}")
        self._end(job, Stage.FAILED if failure else Stage.CANCELLED, failure)

    def _end(self, job: Job, stage: Stage, failure: EngineError | None = None) -> None:
        """The last that a download's thread does, but to make room for the next one."""
        with self._lock:
            again = job.stage is Stage.QUEUED and stage is Stage.PAUSED
            job.thread = None
            if stage is Stage.PAUSED and not again and not self._closed:
                self._note(job, goes_on=False)
        if not again:
            job.look_at_disk()
            job.become(stage, failure.message if failure else "", failure.code if failure else "")
        self._start_next()

    def _others_need(self, job: Job) -> int:
        with self._lock:
            return sum(
                other.missing() for other in self._jobs.values() if other is not job and other.stage is Stage.RUNNING
            )

    def _tell(self, job: Job) -> None:
        with self._changed:
            self._changed.notify_all()
        progress = job.progress()
        for listener in list(self._listeners):
            try:
                listener(progress)
            except Exception:
                log.exception("a listener to downloads")


def _reason(error: OSError) -> str:
    named = f"{error.filename}: " if error.filename else ""
    return f"{named}{error.strerror or error}"


@contextmanager
def downloading(settings: Settings) -> Iterator[Downloads]:
    """The queue, with the unfinished downloads of earlier days; paused when the block ends."""
    downloads = Downloads(settings)
    try:
        downloads.restore()
        yield downloads
    finally:
        downloads.close()
