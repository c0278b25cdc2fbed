"""The Hugging Face cache as huggingface_hub lays it out, written so that no reader ever sees half a model.

Layout: models--<org>--<name>/{refs/<branch>, snapshots/<commit>/<links>, blobs/<digest>}; see
https://huggingface.co/docs/huggingface_hub/guides/manage-cache.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import Timeout
from huggingface_hub.file_download import are_symlinks_supported, repo_folder_name
from huggingface_hub.utils import WeakFileLock

from core.atomic import write_atomically
from core.catalog.describe import describe, look
from core.catalog.places import DRAFT, Found
from core.hub.layout import COMMIT, REF_BYTES, SHA256
from core.hub.repository import RemoteFile
from core.regular_files import read_text

WORK = ".assay"
"""A folder of a repository's in which snapshots are put together; readers of the layout look past it."""
POLL_S = 0.2


def repository_folder(cache: Path, model_id: str) -> Path:
    """Where a model's files lie in a cache. The id has been checked before (`check_id`)."""
    return cache / str(repo_folder_name(repo_id=model_id, repo_type="model"))


def snapshot_folder(cache: Path, model_id: str, commit: str) -> Path:
    return repository_folder(cache, model_id) / "snapshots" / commit


@contextmanager
def blob_lock(cache: Path, model_id: str, digest: str, check: Callable[[], None]) -> Iterator[None]:
    """The lock that huggingface_hub takes for a blob, too; while another program has it, `check` is called."""
    file = cache / ".locks" / repository_folder(cache, model_id).name / f"{digest}.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    while True:
        check()
        try:
            lock = WeakFileLock(file, timeout=POLL_S)
            lock.__enter__()
        except Timeout:
            continue
        try:
            yield
        finally:
            lock.__exit__(None, None, None)
        return


def publish(cache: Path, model_id: str, commit: str, files: tuple[RemoteFile, ...], revision: str | None) -> Path:
    """Make a model whose blobs are all there visible, in one step; returns its snapshot's folder.

    What a snapshot of that commit held before stays in it. `revision` is the branch or tag that now means this commit.
    """
    folder = repository_folder(cache, model_id)
    snapshot = folder / "snapshots" / commit
    if not all(_is_there(_place(snapshot, file), folder / "blobs" / file.digest) for file in files):
        _put_together(folder, snapshot, files, links=are_symlinks_supported(cache))
    if revision is None or not COMMIT.fullmatch(revision):
        ref = folder.joinpath("refs", *(revision or "main").split("/"))
        ref.parent.mkdir(parents=True, exist_ok=True)
        _write(ref, commit)
    return snapshot


def is_whole(cache: Path, model_id: str, commit: str, files: tuple[RemoteFile, ...]) -> bool:
    """Whether a snapshot shows all of these files, each as long as it has to be; never without a commit and files."""
    if not commit or not files:
        return False
    snapshot = snapshot_folder(cache, model_id, commit)
    try:
        return all(_place(snapshot, file).stat().st_size == file.size for file in files)
    except OSError:
        return False


def whole_here(cache: Path, model_id: str, revision: str | None) -> tuple[str, tuple[RemoteFile, ...]] | None:
    """The commit and the files of a revision that the cache alone can tell to be whole; None where it cannot.

    A snapshot is trusted that describes itself as a model, whose files are links to blobs, and beside which no file is
    half downloaded.
    """
    folder = repository_folder(cache, model_id)
    try:
        commit = revision or "main"
        if not COMMIT.fullmatch(commit):
            commit = read_text(folder.joinpath("refs", *commit.split("/")), REF_BYTES, "a ref").strip()
        snapshot = folder / "snapshots" / commit
        if not COMMIT.fullmatch(commit) or any((folder / "blobs").glob(f"*{DRAFT}")):
            return None
        if describe(Found(model_id, snapshot, "cache", revision=commit), look(snapshot)).problem is not None:
            return None
        places = [place for place in sorted(snapshot.rglob("*")) if not place.is_dir()]
        files = tuple(
            RemoteFile(str(place.relative_to(snapshot)), place.stat().st_size, place.readlink().name)
            for place in places
        )
    except (OSError, ValueError):
        return None
    named = all(COMMIT.fullmatch(file.digest) or SHA256.fullmatch(file.digest) for file in files)
    return (commit, files) if files and named else None


def _put_together(folder: Path, snapshot: Path, files: tuple[RemoteFile, ...], links: bool) -> None:
    """Make a snapshot of what it held before and these files, beside its place, and move it there."""
    work = folder / WORK
    draft, before = work / snapshot.name, work / f"{snapshot.name}-before"
    for left in (draft, before):
        shutil.rmtree(left, ignore_errors=True)
    if snapshot.is_dir():
        shutil.copytree(snapshot, draft, symlinks=True)
    for file in files:
        place, blob = _place(draft, file), folder / "blobs" / file.digest
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        if links:  # relative to where the folder will be, which is as deep
            place.symlink_to(os.path.relpath(blob, place.parent))
        else:
            shutil.copyfile(blob, place)
    snapshot.parent.mkdir(exist_ok=True)
    if snapshot.is_dir():
        snapshot.rename(before)
    draft.rename(snapshot)
    shutil.rmtree(before, ignore_errors=True)
    with contextlib.suppress(OSError):  # another revision may be put together there
        work.rmdir()


def _place(snapshot: Path, file: RemoteFile) -> Path:
    return snapshot.joinpath(*file.name.split("/"))


def _is_there(place: Path, blob: Path) -> bool:
    """Whether a snapshot's file is a blob; of copies, where there are no links, nothing is believed."""
    try:
        return place.samefile(blob)
    except OSError:
        return False


def _write(file: Path, text: str) -> None:
    if not file.is_file() or file.read_text() != text:
        write_atomically(file, text.encode())
