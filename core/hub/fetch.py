"""One file from the Hub into the cache's blobs: gone on with where it stopped, and checked before it counts.

huggingface_hub 2 begins each interrupted file anew (a draft of its own for each process, removed when it ends), and
reads as much as a Hub sends. Here the draft is `<digest>.incomplete` for whoever comes next, as huggingface_hub 0 had
it; bytes are on their way to the disk as they come, and one more than was told ends it.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

import httpx2
from huggingface_hub import is_offline_mode

from core.catalog.places import DRAFT
from core.errors import DiskFull, EngineError, HubBroken, HubBusy, HubError, HubOffline, ended
from core.hub import client
from core.hub.disk import free_room
from core.hub.repository import RemoteFile
from core.hub.sentences import told
from core.sizes import readable_size

CHUNK = 1 << 20
"""Bytes that a kill may cost, at most: what is on its way, and what is read at once to be checked."""
TRIES = 5
"""Attempts in a row that bring no new byte before a download stops."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 16.0
PATIENCE_S = 600.0
"""The longest that a busy Hub is waited for without asking the user."""
FULL = (errno.ENOSPC, errno.EDQUOT)
"""What writing to a disk without room raises."""


T = TypeVar("T")


class Watch(Protocol):
    """Whoever wants a download told how it goes, and may end it: they are called on its thread."""

    def check(self) -> None:
        """Raise to end the download where it stands; what has been fetched stays."""

    def found(self, file: RemoteFile, count: int) -> None:
        """So many bytes of a file were on the disk before."""

    def have(self, file: RemoteFile, count: int) -> None:
        """So many bytes of a file are on the disk now, the last ones from the Hub."""

    def pause(self, seconds: float, why: str) -> None:
        """Wait, and raise as `check` does if the download is to end meanwhile. `why` is a clause, or ""."""


def draft_of(blobs: Path, file: RemoteFile) -> Path:
    return blobs / f"{file.digest}{DRAFT}"


def fetch(model_id: str, commit: str, file: RemoteFile, blobs: Path, watch: Watch) -> None:
    """Bring a file into `blobs`, under its digest. One thread at a time may do so for a digest.

    Raises HubError, DiskFull, OSError, and what `watch` raises. A draft that turns out wrong is removed; one that was
    gone on with is fetched once more from its beginning first, since a crash of the machine may have spoilt it.
    """
    for again in (True, False):
        with draft_of(blobs, file).open("a+b", buffering=0) as draft:
            resumed, digest = _read_draft(file, draft, watch)
            try:
                digest = _fill(model_id, commit, file, draft, digest, watch)
            except BaseException:
                if not _size(draft):
                    Path(draft.name).unlink()
                raise
            if digest.hexdigest() == file.digest:
                os.fsync(draft.fileno())
                os.replace(draft.name, blobs / file.digest)
                return
        Path(draft.name).unlink()
        if not (again and resumed):
            break
        watch.found(file, 0)
    raise HubBroken(
        f"{file.name} of {model_id} is not what the Hub said it is: its checksum is {digest.hexdigest()[:12]}… and not "
        f"{file.digest[:12]}…. It was thrown away; download it again, and if this stays so, do not trust the model."
    )


def _new_digest(file: RemoteFile) -> Any:
    """Git's SHA-1 of a blob begins with its length: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects."""
    return hashlib.sha256() if file.large else hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)


def _read_draft(file: RemoteFile, draft: BinaryIO, watch: Watch) -> tuple[int, Any]:
    """How many bytes are there already, and their digest; the file stands at its end."""
    digest, have = _new_digest(file), 0
    if os.fstat(draft.fileno()).st_size > file.size:
        draft.truncate(0)
    draft.seek(0)
    while piece := draft.read(CHUNK):
        watch.check()
        digest.update(piece)
        have += len(piece)
        watch.found(file, have)
    return have, digest


def _fill(model_id: str, commit: str, file: RemoteFile, draft: BinaryIO, digest: Any, watch: Watch) -> Any:
    """Fetch what is missing, over as many connections as it takes; returns the digest of the whole."""
    tries, have = 0, os.fstat(draft.fileno()).st_size
    while have < file.size:
        watch.check()
        try:
            digest = _stream(model_id, commit, file, draft, digest, watch)
            failure: HubError | None = None if _size(draft) == file.size else _short(model_id, file, _size(draft))
        except (httpx2.HTTPError, httpx2.InvalidURL, HubError) as error:
            failure = error if isinstance(error, HubError) else told(error, model_id, client.endpoint(), file=file.name)
            if not _may_pass(failure):
                raise failure from error
        tries = tries + 1 if _size(draft) <= have else 1
        have = _size(draft)
        if failure is None:
            break
        if tries >= TRIES or (isinstance(failure, HubBusy) and failure.retry_after_s > PATIENCE_S):
            raise failure
        if isinstance(failure, HubBusy):
            _wait_for(failure, watch)
        else:
            watch.pause(min(FIRST_PAUSE_S * 2 ** (tries - 1), LONGEST_PAUSE_S), "the connection broke off")
    return digest


def ask_patiently(ask: Callable[[], T], watch: Watch) -> T:
    """What `ask` returns; a busy Hub is waited for as it is for a file. Raises HubError, and what `watch` raises."""
    for _ in range(TRIES - 1):
        try:
            return ask()
        except HubBusy as busy:
            if busy.retry_after_s > PATIENCE_S:
                raise
            _wait_for(busy, watch)
    return ask()


def _wait_for(busy: HubBusy, watch: Watch) -> None:
    wait = max(busy.retry_after_s, FIRST_PAUSE_S)
    watch.pause(wait, f"the Hub is busy and takes requests again in {wait:.0f} s")


def _may_pass(failure: HubError) -> bool:
    """Whether trying again may help: not where the Hub says no, or says what cannot be."""
    return isinstance(failure, HubBusy) or (type(failure) in (HubError, HubOffline) and not is_offline_mode())


def _stream(model_id: str, commit: str, file: RemoteFile, draft: BinaryIO, digest: Any, watch: Watch) -> Any:
    """One connection's worth of a file; the digest returned is of all bytes there. Raises HubError."""
    have = _size(draft)
    headers = client.headers(**({"Range": f"bytes={have}-"} if have else {}))
    with (
        client.asking(model_id, file=file.name),
        client.session().stream("GET", client.file_url(model_id, file.name, commit), headers=headers) as reply,
    ):
        if have and reply.status_code != 206:  # a Hub that knows no ranges begins anew
            draft.truncate(0)
            digest, have = _new_digest(file), 0
            watch.found(file, 0)
        _check_length(model_id, file, reply, have)
        for piece in reply.iter_bytes():
            have += len(piece)
            if have > file.size:
                raise HubBroken(
                    f"The Hub sends more of {file.name} of {model_id} than the {readable_size(file.size)} it said. "
                    "The download was stopped; do not trust the model."
                )
            digest.update(piece)
            _write(draft, piece)
            watch.have(file, have)
            watch.check()
    return digest


def _check_length(model_id: str, file: RemoteFile, reply: Any, have: int) -> None:
    """Raise HubBroken where the answer's own headers tell another length than the Hub's list of files."""
    ranged = reply.headers.get("Content-Range", "")
    start, _, total = ranged.removeprefix("bytes ").partition("/")
    length = reply.headers.get("Content-Length", "")
    if reply.status_code == 206:
        says = int(total) if total.isdigit() else None
        if not start.startswith(f"{have}-"):
            raise HubBroken(f"The Hub was asked for {file.name} of {model_id} from byte {have:,} and sends {ranged!r}.")
    else:
        says = int(length) if length.isdigit() and "Content-Encoding" not in reply.headers else None
    if says is not None and says != file.size:
        raise HubBroken(
            f"The Hub lists {file.name} of {model_id} with {file.size:,} bytes and sends {says:,}. Nothing that it "
            f"sends of this file was kept; do not trust the model: `assay models delete {model_id}` throws away what "
            "else came of it."
        )


def _write(draft: BinaryIO, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        try:
            rest = rest[draft.write(rest) :]
        except OSError as error:
            raise unwritten(error, Path(draft.name), Path(draft.name).parent) from error


def unwritten(error: OSError, place: Path, folder: Path) -> EngineError:
    """Why a place in a folder cannot be written: it is no fault of the Hub's, and trying again would not help."""
    if error.errno not in FULL:
        return EngineError(f"{place} cannot be written: {ended(error.strerror or error)}")
    free = free_room(folder)
    return DiskFull(
        f"The disk of {folder} is full ({readable_size(free)} free). What has been fetched is kept: make room, "
        "then go on with the download."
    )


def _size(draft: BinaryIO) -> int:
    return os.fstat(draft.fileno()).st_size


def _short(model_id: str, file: RemoteFile, have: int) -> HubError:
    return HubError(
        f"The connection to the Hub broke off at {readable_size(have)} of {readable_size(file.size)} of {file.name} of "
        f"{model_id}, {TRIES} times in a row. What has been fetched is kept: go on with the download later."
    )
