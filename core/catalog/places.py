"""Where models may lie: the built-in folder, Hugging Face caches, and the user's folders. Finds them, opens none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.catalog.apple_double import is_apple_double
from core.catalog.config import read_json
from core.pocket import POCKET_MODELS
from core.regular_files import is_folder, read_regular
from core.settings import Settings

DRAFT = ".incomplete"
"""How the names end of files that are being downloaded."""
MAX_REF_BYTES = 1000
"""Of refs/main, which holds the name of a commit."""
_WEIGHTS = (".safetensors", ".gguf", ".npz", ".bin")


@dataclass(frozen=True)
class Found:
    """A place that claims to be a model. `problem` is set when it can be no model from the outside already, with
    `unfinished` because its download has not ended."""

    id: str
    path: Path
    source: str
    revision: str | None = None
    partial_downloads: int = 0
    summary: str = ""
    problem: str | None = None
    unfinished: bool = False


def cache_folder(settings: Settings) -> Path:
    """The Hugging Face cache: the setting, else where huggingface_hub looks (HF_HUB_CACHE, HF_HOME)."""
    if settings.hf_cache is not None:
        return settings.hf_cache.expanduser()
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def pocket_models() -> Iterator[Found]:
    """The built-in models, those whose files are missing too."""
    for model in POCKET_MODELS:
        missing = not (model.folder / "config.json").is_file()
        problem = "incomplete: its files are not in this installation; install mlx-assay again" if missing else None
        yield Found(model.id, model.folder, "pocket", summary=model.summary, problem=problem)


def cached_models(cache: Path, source: str = "cache", wanted: str | None = None) -> Iterator[Found]:
    """The models of a Hugging Face cache, or the `wanted` one of them.

    Layout: models--<org>--<name>/{refs/<branch>, snapshots/<commit>/<links>, blobs/<hash>}; see
    https://huggingface.co/docs/huggingface_hub/guides/manage-cache. Of several snapshots, the one that refs/main names
    is the model, or else the newest. Reading the layout takes a fraction of `scan_cache_dir`, which stats every blob.
    """
    for repo in _folders(cache):
        kind, _, name = repo.name.partition("--")
        model_id = name.replace("--", "/", 1)
        if kind != "models" or not name or wanted not in (None, model_id):
            continue
        blobs = [entry.name for entry in _entries(repo / "blobs")]
        drafts = [name for name in blobs if name.endswith(DRAFT)]
        snapshot = _snapshot(repo)
        if snapshot is None:
            if blobs:
                problem = (
                    f"incomplete: its download has not ended; unless one is under way, "
                    f"`assay models download {model_id}` goes on with it, or says what is wrong with it"
                )
                yield Found(model_id, repo, source, partial_downloads=len(drafts), problem=problem, unfinished=True)
            continue
        coming = _coming(repo, snapshot.name, drafts, set(blobs))
        told = f"incomplete: {coming} of its files are still coming, or their download has stopped" if coming else None
        yield Found(model_id, snapshot, source, snapshot.name, len(drafts), problem=told, unfinished=coming > 0)


def _coming(repo: Path, commit: str, drafts: list[str], blobs: set[str]) -> int:
    """How many of a commit's files have a draft and no blob yet.

    huggingface_hub shows each file as soon as it is whole, and keeps in trees/<commit>.json which files there will be.
    Its drafts are called <digest>.<something>.incomplete. Drafts of other commits, or left over beside whole files, do
    not count. Without such a list nothing is told.
    """
    if not drafts:
        return 0
    try:
        files = (read_json(repo / "trees" / f"{commit}.json") or {}).get("files")
    except ValueError:
        return 0
    entries = [entry for entry in files.values() if isinstance(entry, dict)] if isinstance(files, dict) else []
    digests = {entry.get("lfs_sha256") or entry.get("blob_id") for entry in entries}
    return len({name.partition(".")[0] for name in drafts} & digests - blobs)


def _snapshot(repo: Path) -> Path | None:
    try:
        commit = read_regular(repo / "refs" / "main", MAX_REF_BYTES, "a branch").decode().strip()
    except (OSError, UnicodeDecodeError):
        commit = ""
    if commit and "/" not in commit and (repo / "snapshots" / commit).is_dir():
        return repo / "snapshots" / commit
    snapshots = _folders(repo / "snapshots")
    return max(snapshots, key=lambda path: path.stat().st_mtime, default=None)


def folder_models(root: Path, wanted: str | None = None) -> Iterator[Found]:
    """A folder that is a model, or whose sub-folders are: <name> or <org>/<name>. A cache is read as one.

    With `wanted`, no other sub-folder is looked into than those on the way to the model of that id. It is compared with
    what lies there and never joined to a path: it may come from anybody.
    """
    if _is_model(root):
        if wanted in (None, root.name):
            yield Found(root.name, root, "folder")
        return
    children = _folders(root)
    if any(child.name.startswith("models--") for child in children):
        yield from cached_models(root, "folder", wanted)
        return
    for child in children:
        if wanted is not None and wanted.partition("/")[0] != child.name:
            continue
        if _is_model(child):
            if wanted in (None, child.name):
                yield Found(child.name, child, "folder")
            continue
        for grandchild in _folders(child):
            model_id = f"{child.name}/{grandchild.name}"
            if wanted in (None, model_id) and _is_model(grandchild):
                yield Found(model_id, grandchild, "folder")


def _is_model(folder: Path) -> bool:
    return any(
        entry.name in ("config.json", "model_index.json", "adapter_config.json") or entry.name.endswith(_WEIGHTS)
        for entry in _entries(folder)
        if not is_apple_double(entry.name)
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(Path(entry.path) for entry in _entries(folder) if not entry.name.startswith(".") and is_folder(entry))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What a folder holds; nothing when it is missing or closed to us."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
