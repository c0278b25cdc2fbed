"""Models thrown away: what that would free is told first, and nothing goes that is in use or nobody named."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import scan_cache_dir

from core.catalog import Catalog, ModelInfo
from core.catalog.in_use import is_held
from core.catalog.places import cache_folder
from core.errors import HubNotFound, InvalidRequest, ModelInUse, ModelNotFound, ended
from core.hub.disk import Stored, read_disk
from core.hub.records import is_running, read_records, remove_record
from core.settings import Settings


@dataclass(frozen=True)
class Deletion:
    """What would be deleted. `commits` names single revisions; without, all of `folder` goes. `frees` is in bytes."""

    id: str
    folder: Path
    frees: int
    what: str
    """In words: "the model and its 2 revisions"."""
    commits: tuple[str, ...] = ()
    downloads: tuple[str, ...] = ()
    """Keys of unfinished downloads whose records go as well."""


def plan_deletion(catalog: Catalog, model_id: str, revision: str | None = None, own_folder: bool = False) -> Deletion:
    """What deleting a model, or one revision of it, would do.

    A folder of the user's own is only touched with `own_folder`. Raises ModelNotFound, HubNotFound for a revision that
    is not there, InvalidRequest for what must not be deleted.
    """
    settings = catalog.settings
    stored = read_disk(settings).model(model_id)
    downloads = tuple(
        record.key
        for record in read_records(settings)
        if record.id == model_id and revision in (None, record.revision, record.commit)
    )
    if stored is not None:
        return _of_cache(stored, revision, downloads)
    if downloads:
        return Deletion(model_id, cache_folder(settings) / "nothing", 0, "a download that has not begun", (), downloads)
    return _of_folder(catalog.get(model_id), revision, own_folder)


def _of_cache(stored: Stored, revision: str | None, downloads: tuple[str, ...]) -> Deletion:
    if revision is None:
        count = len(stored.revisions)
        what = "the model" if count == 1 else f"the model in {count} revisions"
        if not count:
            what = "what has been downloaded of it"
        elif stored.unfinished:
            what += " and an unfinished download"
        return Deletion(stored.id, stored.folder, stored.size_bytes, what, (), downloads)
    meant = [one for one in stored.revisions if one.commit.startswith(revision) or revision in one.refs]
    if len(meant) != 1:
        there = ", ".join(one.commit[:8] for one in stored.revisions) or "none"
        raise HubNotFound(f"{stored.id} has no revision {revision!r} on this disk, or several. There are: {there}.")
    if len(stored.revisions) == 1:
        return Deletion(
            stored.id, stored.folder, stored.size_bytes, "the model: it has no other revision", (), downloads
        )
    what = f"revision {meant[0].commit[:8]}; what other revisions use stays"
    return Deletion(stored.id, stored.folder, meant[0].frees, what, (meant[0].commit,), downloads)


def _of_folder(info: ModelInfo, revision: str | None, own_folder: bool) -> Deletion:
    if info.source == "pocket":
        raise InvalidRequest(f"{info.id} is built in and stays.")
    if info.source != "folder" or revision is not None:
        raise ModelNotFound(f"{info.id} has no revisions that could be deleted one by one.")
    if info.revision is not None:
        raise InvalidRequest(
            f"{info.id} lies in another Hugging Face cache, {info.path.parents[2]}. ASSAY_HF_CACHE names the cache to "
            "delete from."
        )
    if not own_folder:
        raise InvalidRequest(
            f"{info.id} lies in a folder of your own, {info.path}, which other programs may use. --own-folder deletes "
            "it."
        )
    if info.path.is_symlink():
        raise InvalidRequest(f"{info.path} is a link to another folder. Remove it yourself.")
    return Deletion(info.id, info.path, info.size_bytes, f"the folder {info.path}")


def delete(settings: Settings, deletion: Deletion, loaded: frozenset[str] = frozenset()) -> int:
    """Delete what was planned; returns the bytes that were freed.

    Raises ModelInUse for a model that is among the `loaded`, or that another program has loaded or is downloading;
    InvalidRequest where files cannot be removed.
    """
    _refuse_in_use(settings, deletion, loaded)
    try:
        if deletion.commits:
            scan_cache_dir(cache_folder(settings)).delete_revisions(*deletion.commits).execute()
        elif deletion.folder.is_dir():
            shutil.rmtree(deletion.folder)
            locks = cache_folder(settings) / ".locks" / deletion.folder.name
            shutil.rmtree(locks, ignore_errors=True)
        for key in deletion.downloads:
            remove_record(settings, key)
    except OSError as error:
        place = error.filename or deletion.folder
        raise InvalidRequest(f"{place} cannot be removed: {ended(error.strerror or error)}") from error
    return deletion.frees


def _refuse_in_use(settings: Settings, deletion: Deletion, loaded: frozenset[str]) -> None:
    commits = deletion.commits or ("*",)
    snapshots = [place for commit in commits for place in deletion.folder.glob(f"snapshots/{commit}")]
    if deletion.id in loaded or any(map(is_held, (deletion.folder, *snapshots))):
        raise ModelInUse(f"{deletion.id} is loaded, here or by another program. Unload it first, then delete it.")
    if any(is_running(settings, key) for key in deletion.downloads):
        raise ModelInUse(f"{deletion.id} is being downloaded. Pause or cancel the download first, then delete it.")
