"""What a model on the Hub is, told by the code that describes a folder, before any of its weights are fetched.

config.json, templates and the headers of its safetensors files are read (the latter by range requests) into a folder
that looks like the model: its other files, and all behind the headers, are holes. It goes when it has been described.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from core.atomic import write_atomically
from core.catalog import ModelInfo, ModelKind
from core.catalog.describe import describe, look
from core.catalog.kept import depends
from core.catalog.places import Found, cache_folder, folder_models
from core.catalog.safetensors import DOWNLOAD_AGAIN, MAX_HEADER_BYTES
from core.compute import on_linux_cpu
from core.errors import HubBroken, HubNotFound, HubRefused
from core.hub.cache import repository_folder, snapshot_folder
from core.hub.client import REPLY_BYTES, read_bytes
from core.hub.job import no_weights
from core.hub.repository import Facts, RemoteFile, Repository, read_repository, wanted
from core.settings import Settings

log = logging.getLogger(__name__)

SOURCE = "hub"
TELL_ITS_MAKER = "take another one, or tell its maker"
"""What helps where a model is broken on the Hub: to download it would not."""
AT_ONCE = 8
"""Models that are looked at side by side."""
FIRST_BYTES = 1 << 17
"""What is read of a weights file at first: most headers are shorter."""
READ = (
    *("config.json", "tokenizer_config.json", "chat_template.json", "chat_template.jinja", "preprocessor_config.json"),
    *("processor_config.json", "model.safetensors.index.json"),
)
TEMPLATES = "additional_chat_templates/"
WHISPER = ("tokenizer.json", "added_tokens.json")
"""What is read as well of a model that transcribes: describe looks for its marks of time there."""


class OnDisk(StrEnum):
    """What of a model on the Hub is on this disk."""

    NO = "no"
    PART = "part"  # a download that has not ended
    OLDER = "older"  # another revision
    YES = "yes"


@dataclass(frozen=True)
class Remote:
    """A model on the Hub. `info` is as of a folder, with `size_bytes` to download and `path` where it would lie."""

    facts: Facts
    info: ModelInfo
    on_disk: OnDisk = OnDisk.NO

    @property
    def id(self) -> str:
        return self.facts.id


class Looker:
    """Looks at several models side by side, and remembers what it saw by commit, over restarts too. For any thread."""

    def __init__(self, settings: Settings, at_once: int = AT_ONCE) -> None:
        self.settings = settings
        self._float32 = settings.cpu_float32 and on_linux_cpu()
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="look")
        self._headers = ThreadPoolExecutor(at_once, thread_name_prefix="headers")
        self._seen: dict[tuple[str, str], ModelInfo] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Looker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up what has not been begun."""
        for pool in (self._pool, self._headers):
            pool.shutdown(wait=False, cancel_futures=True)

    def look(self, model_id: str, revision: str | None = None) -> Remote:
        """Look at one model, and wait for it. Raises HubError; a model that cannot be read has a problem instead."""
        repository = read_repository(model_id, revision)
        return self._remote(repository.facts, self._known(repository.facts) or self._describe(repository))

    def begin(self, facts: Facts) -> Future[Remote]:
        """Look at a model that a search found, on a thread of the pool."""
        return self._pool.submit(self._look_at, facts)

    def look_at(self, found: Iterable[Facts]) -> Iterator[Remote]:
        """Look at models that a search found, side by side: as they are done, in any order. Raises HubError."""
        for future in as_completed([self.begin(facts) for facts in found]):
            yield future.result()

    def _look_at(self, facts: Facts) -> Remote:
        info = self._known(facts)
        if info is None:
            try:
                info = self._describe(read_repository(facts.id, facts.commit))
            except (HubBroken, HubNotFound, HubRefused) as error:
                info = self._unknown(facts, 0, error.message)
        return self._remote(facts, info)

    def _remote(self, facts: Facts, info: ModelInfo) -> Remote:
        return Remote(facts, info, on_disk(self.settings, facts))

    def _describe(self, repository: Repository) -> ModelInfo:
        facts, files = repository.facts, wanted(repository.files)
        if not files:
            return self._unknown(facts, 0, no_weights(facts.id, repository.files), foreign=True)
        size = sum(file.size for file in files)
        try:
            info = self._described(facts, files)
        except HubRefused as error:  # gated: what it is may be seen by those who accepted its licence
            return self._unknown(facts, size, error.message)
        self._keep(facts, info)
        return info

    def _described(self, facts: Facts, files: tuple[RemoteFile, ...]) -> ModelInfo:
        with TemporaryDirectory(prefix="assay-look-") as name:
            folder = Path(name)
            try:
                begun = [self._headers.submit(_stand_in, folder, facts, file) for file in files]
                wait(begun)  # all of them: what fails is raised when nobody writes there any more
                for future in begun:
                    future.result()
                config = (folder / "config.json").read_bytes() if (folder / "config.json").is_file() else b""
                if b'"whisper"' in config:
                    tuple(map(partial(_stand_in, folder, facts, read=WHISPER), files))
                found = Found(facts.id, folder, SOURCE, revision=facts.commit)
                allowed = frozenset(self.settings.allow_code)
                info = describe(found, look(folder), allowed, self.settings.prefill_chunk, self._float32)
            except OSError as error:
                raise HubBroken(f"{facts.id} cannot be looked at in {folder}: {error.strerror or error}.") from error
        path = snapshot_folder(cache_folder(self.settings), facts.id, facts.commit)
        problem = info.problem and info.problem.replace(DOWNLOAD_AGAIN, TELL_ITS_MAKER)
        return dataclasses.replace(info, path=path, size_bytes=sum(file.size for file in files), problem=problem)

    def _unknown(self, facts: Facts, size: int, problem: str, foreign: bool = False) -> ModelInfo:
        path = snapshot_folder(cache_folder(self.settings), facts.id, facts.commit)
        kind, revision = ModelKind.UNKNOWN, facts.commit
        return ModelInfo(
            facts.id, path, SOURCE, kind, "", None, None, None, size, revision, problem=problem, foreign=foreign
        )

    def _known(self, facts: Facts) -> ModelInfo | None:
        key = (facts.id, facts.commit)
        with self._lock:
            if key in self._seen:
                return self._seen[key]
        try:
            kept = _FORMAT.validate_json(self._file(facts).read_bytes())
        except (OSError, ValidationError):
            return None
        if kept.depends != depends(self.settings, self._float32) or kept.info.id != facts.id:
            return None
        with self._lock:
            self._seen[key] = kept.info
        return kept.info

    def _keep(self, facts: Facts, info: ModelInfo) -> None:
        with self._lock:
            self._seen[facts.id, facts.commit] = info
        file = self._file(facts)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, _FORMAT.dump_json(_Kept(depends(self.settings, self._float32), info)))
        except (OSError, ValueError) as error:
            log.info("what %s is, is not kept: %s", facts.id, error)

    def _file(self, facts: Facts) -> Path:
        return self.settings.cache_dir / "hub" / f"{quote(facts.id, safe='')}@{facts.commit}.json"


@dataclass(frozen=True)
class _Kept:
    """What was seen of a model at a commit, and on what that depends."""

    depends: str
    info: ModelInfo


_FORMAT = TypeAdapter(_Kept)


def _stand_in(folder: Path, facts: Facts, file: RemoteFile, read: tuple[str, ...] = READ) -> None:
    """Put a file into the folder: what describe reads of it, and holes. Raises HubError, OSError."""
    if read is WHISPER and file.name not in WHISPER:
        return
    place = folder.joinpath(*file.name.split("/"))
    place.parent.mkdir(parents=True, exist_ok=True)
    content = b""
    if (file.name in read or file.name.startswith(TEMPLATES)) and file.size <= REPLY_BYTES:
        content = read_bytes(facts.id, file.name, facts.commit)
    elif file.name.endswith(".safetensors") and "/" not in file.name:
        content = _header(facts, file)
    with place.open("wb") as handle:
        handle.write(content[: file.size])
        os.truncate(handle.fileno(), file.size)


def _header(facts: Facts, file: RemoteFile) -> bytes:
    """A safetensors file's header and the length before it; whatever stands there instead, where it is no such file."""
    content = read_bytes(facts.id, file.name, facts.commit, 0, FIRST_BYTES - 1)
    end = 8 + int.from_bytes(content[:8], "little")
    if len(content) < end <= min(file.size, MAX_HEADER_BYTES, REPLY_BYTES):
        content += read_bytes(facts.id, file.name, facts.commit, len(content), end - 1)
    return content[:end]


def on_disk(settings: Settings, facts: Facts) -> OnDisk:
    """What of a model lies in the cache, or in the user's folders, where nothing tells the revision."""
    cache = cache_folder(settings)
    folder = repository_folder(cache, facts.id)
    own = (root.expanduser() for root in (*settings.model_folders, settings.own_models))
    if snapshot_folder(cache, facts.id, facts.commit).is_dir() or any(
        any(folder_models(root, facts.id)) for root in own
    ):
        return OnDisk.YES
    if any(path.is_dir() for path in (folder / "snapshots").glob("*")):
        return OnDisk.OLDER
    return OnDisk.PART if any((folder / "blobs").glob("*")) else OnDisk.NO
