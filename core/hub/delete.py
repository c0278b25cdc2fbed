"""Models thrown away: what that would free is told first, and nothing goes that is in use or nobody named."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub.errors import CacheNotFound

from core.catalog import Catalog, ModelInfo
from core.catalog.in_use import is_held
from core.catalog.places import cache_folder
from core.errors import HubNotFound, InvalidRequest, ModelInUse, ModelNotFound, ended
from core.hub.disk import Disk, Stored, read_disk, scan
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
    stays: int = 0
    """Bytes of it that other revisions use, and that stay."""

    @property
    def done(self) -> str:
        """That it has been deleted, as a clause."""
        return f"Of {self.id}, {self.what} is deleted" if self.commits else f"{self.id} is deleted"


def plan_deletion(catalog: Catalog, model_id: str, revision: str | None = None, own_folder: bool = False) -> Deletion:
    """What deleting a model, or one revision of it, would do.

    A folder of the user's own is only touched with `own_folder`. Raises ModelNotFound, HubNotFound for a revision that
    is not there, InvalidRequest for what must not be deleted.
    """
    settings = catalog.settings
    stored = read_disk(settings).model(model_id)
    downloads = _downloads(settings, model_id, revision)
    if stored is not None:
        return _of_cache(stored, revision, downloads)
    if downloads:
        return Deletion(model_id, cache_folder(settings) / "nothing", 0, "a download that has not begun", (), downloads)
    return _of_folder(catalog.get(model_id), revision, own_folder)


def plan_deletions(catalog: Catalog, disk: Disk, model_id: str) -> tuple[Deletion, ...]:
    """What can be deleted of a model: all of it first, then each revision where there are several. `disk` is as it was
    just read. Raises ModelNotFound and InvalidRequest."""
    stored = disk.model(model_id)
    if stored is None:
        return (plan_deletion(catalog, model_id),)
    single = [one.commit for one in stored.revisions] if len(stored.revisions) > 1 else []
    settings = catalog.settings
    return tuple(_of_cache(stored, one, _downloads(settings, model_id, one)) for one in (None, *single))


def _downloads(settings: Settings, model_id: str, revision: str | None) -> tuple[str, ...]:
    """Keys of the unfinished downloads of a model, or of a revision of it."""
    return tuple(
        record.key
        for record in read_records(settings)
        if record.id == model_id and revision in (None, record.revision, record.commit)
    )


def _ended_with(settings: Settings, deletion: Deletion) -> set[str]:
    """Keys of the downloads that a deletion ends: of a whole model those, too, that began since it was planned."""
    begun = () if deletion.commits else _downloads(settings, deletion.id, None)
    return {*deletion.downloads, *begun}


def _of_cache(stored: Stored, revision: str | None, downloads: tuple[str, ...]) -> Deletion:
    if stored.folder.is_symlink():
        raise InvalidRequest(
            f"{stored.folder} is a link to {stored.folder.resolve()}. What lies out of the cache is not deleted: "
            "remove the link and that folder yourself."
        )
    if revision is None:
        count = len(stored.revisions)
        what = "the model" if count == 1 else f"the model in {count} revisions"
        if not count:
            what = "what has been downloaded of it"
        elif stored.unfinished:
            what += " and an unfinished download"
        return Deletion(stored.id, stored.folder, stored.frees, what, (), downloads)
    meant = [one for one in stored.revisions if one.commit.startswith(revision) or revision in one.refs]
    if len(meant) != 1:
        there = ", ".join(one.commit[:8] for one in stored.revisions) or "none"
        raise HubNotFound(f"{stored.id} has no revision {revision!r} on this disk, or several. There are: {there}.")
    one = meant[0]
    if len(stored.revisions) == 1:
        return Deletion(stored.id, stored.folder, stored.frees, "the model: it has no other revision", (), downloads)
    refs = f" ({', '.join(one.refs)})" if one.refs else ""
    what = f"revision {one.commit[:8]}{refs}"
    return Deletion(stored.id, stored.folder, one.frees, what, (one.commit,), downloads, one.shared)


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
            f"{info.id} lies in a folder of your own, {info.path}, which other programs may use. "
            f"`assay models delete {info.id} --own-folder` deletes it."
        )
    if info.path.is_symlink():
        raise InvalidRequest(f"{info.path} is a link to another folder. Remove it yourself.")
    return Deletion(info.id, info.path, info.size_bytes, f"the folder {info.path}")


def delete(settings: Settings, deletion: Deletion, loaded: frozenset[str] = frozenset()) -> int:
    """Delete what was planned; returns the bytes that were freed.

    Raises ModelInUse for a model that is among the `loaded`, or that another program has loaded or is downloading;
    InvalidRequest where files cannot be removed.
    """
    refuse_in_use(settings, deletion, loaded)
    try:
        cache = cache_folder(settings)
        if deletion.folder.parent == cache:
            _delete_revisions(cache, deletion)
        if not deletion.commits and deletion.folder.is_dir():
            shutil.rmtree(deletion.folder)
        if not deletion.commits:
            shutil.rmtree(cache / ".locks" / deletion.folder.name, ignore_errors=True)
        for key in _ended_with(settings, deletion):
            remove_record(settings, key)
    except OSError as error:
        place = error.filename or deletion.folder
        raise InvalidRequest(f"{place} cannot be removed: {ended(error.strerror or error)}") from error
    return deletion.frees


def _delete_revisions(cache: Path, deletion: Deletion) -> None:
    """Have huggingface_hub delete revisions, or all: it knows which files of the cache's shared store go with them.

    Only in the folder that was meant, since another one may hold the same commit; and no file that links out of the
    cache lead to. Raises OSError.
    """
    try:
        found = scan(cache)
    except (OSError, ValueError, CacheNotFound):  # another model's refs may be odd; a whole folder goes all the same
        if deletion.commits:
            raise
        return
    meant = [one for one in found.repos if one.repo_path.name == deletion.folder.name]
    for repository in meant:
        commits = deletion.commits or tuple(one.commit_hash for one in repository.revisions)
        plan = dataclasses.replace(found, repos=frozenset(meant)).delete_revisions(*commits)
        inside = frozenset(blob for blob in plan.blobs if blob.parent == repository.repo_path / "blobs")
        dataclasses.replace(plan, blobs=inside).execute()


def refuse_in_use(settings: Settings, deletion: Deletion, loaded: frozenset[str] = frozenset()) -> None:
    """Raise ModelInUse for a model that is among the `loaded`, or in use by any program of this machine."""
    commits = deletion.commits or ("*",)
    snapshots = [place for commit in commits for place in deletion.folder.glob(f"snapshots/{commit}")]
    if deletion.id in loaded or any(map(is_held, (deletion.folder, *snapshots))):
        raise ModelInUse(f"{deletion.id} is loaded, here or by another program. Unload it first, then delete it.")
    if any(is_running(settings, key) for key in _ended_with(settings, deletion)):
        raise ModelInUse(f"{deletion.id} is being downloaded. Pause or cancel the download first, then delete it.")
