"""What a repository on the Hub holds: its files at a commit, checked before anything of it touches a path."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from core.errors import HubBroken, HubNotFound
from core.hub.client import api, asking
from core.hub.layout import COMMIT, SHA256
from core.text_safety import clean

MOST_FILES = 20_000
MOST_BYTES = 1 << 50
"""What no file has; a size beyond it is a lie."""

MLX_FILES = (".json", ".jsonl", ".safetensors", ".npz", ".py", ".model", ".tiktoken", ".txt", ".jinja", ".yaml", ".md")
"""Endings of what mlx-lm, mlx-vlm and mlx-audio read, and the card."""
OTHERS_FOLDERS = ("onnx", "openvino", "coreml", "original", "metal", "tflite", "figures", "assets")
"""Folders that hold the same model for other programs, or pictures."""
WEIGHTS = (".safetensors", ".npz")


@dataclass(frozen=True)
class RemoteFile:
    """A file at a commit. `name` has slashes between its parts and leads nowhere but down; `size` is in bytes."""

    name: str
    size: int
    digest: str
    """SHA-256 of its bytes for a file in large file storage, else git's SHA-1; the cache calls its blob so."""

    @property
    def large(self) -> bool:
        return len(self.digest) == 64


@dataclass(frozen=True)
class Facts:
    """What the Hub's record of a model says, true or not; files say more, and are looked at by core.hub.look.

    `gated` says that a licence has to be accepted before files are sent; `purpose` is the Hub's pipeline tag.
    """

    id: str
    commit: str
    gated: bool = False
    private: bool = False
    downloads: int = 0
    likes: int = 0
    modified: datetime | None = None
    licence: str = ""
    purpose: str = ""


@dataclass(frozen=True)
class Repository:
    """A model's repository at one commit, with all of its files."""

    facts: Facts
    files: tuple[RemoteFile, ...]

    @property
    def id(self) -> str:
        return self.facts.id

    @property
    def commit(self) -> str:
        return self.facts.commit

    def file(self, name: str) -> RemoteFile | None:
        return next((file for file in self.files if file.name == name), None)


def check_id(model_id: str) -> None:
    """Raise HubNotFound for what can be the name of no model, before it becomes part of an address or a path."""
    from huggingface_hub.utils import validate_repo_id

    with asking(model_id):
        validate_repo_id(model_id)


def check_revision(revision: str) -> None:
    """Raise HubNotFound for what can be the name of no branch, tag or commit."""
    parts = revision.split("/")
    if not revision.isprintable() or "\\" in revision or any(part in ("", ".", "..") for part in parts):
        raise HubNotFound(f"{clean(revision)!r} is no name of a revision. Name a branch, a tag or a whole commit.")


def read_repository(model_id: str, revision: str | None = None) -> Repository:
    """What the Hub says of a model at a revision, or its main branch. Raises HubError.

    A file whose name, size or digest cannot be true makes all of it untrustworthy: HubBroken names the file.
    """
    check_id(model_id)
    if revision is not None:
        check_revision(revision)
    with asking(model_id):
        told = api().model_info(model_id, revision=revision, files_metadata=True)
        facts, siblings = read_facts(told, model_id), list(told.siblings or [])
    commit = facts.commit
    if revision is not None and COMMIT.fullmatch(revision) and commit != revision:
        raise HubBroken(f"The Hub was asked for commit {revision[:8]} of {model_id} and answered with {commit[:8]}.")
    if len(siblings) > MOST_FILES:
        raise HubBroken(f"{model_id} has {len(siblings):,} files; more than {MOST_FILES:,} are not looked at.")
    files = {file.name: file for file in (_file(model_id, sibling) for sibling in siblings)}
    folders = {str(folder) for name in files for folder in PurePosixPath(name).parents}
    if both := min(folders & files.keys(), default=""):
        raise HubBroken(
            f"{model_id} holds {both!r} both as a file and as a folder, which no disk can hold. Nothing was downloaded."
        )
    return Repository(facts, tuple(files.values()))


def read_facts(told: Any, model_id: str) -> Facts:
    """The facts in huggingface_hub's record of a model. Raises HubBroken where it names no commit."""
    if not isinstance(told.sha, str) or not COMMIT.fullmatch(told.sha):
        raise HubBroken(f"The Hub names no commit of {clean(model_id)}, so nothing of it can be trusted.")
    return Facts(
        id=model_id,
        commit=told.sha,
        gated=bool(told.gated),
        private=bool(told.private),
        downloads=_count(told.downloads),
        likes=_count(told.likes),
        modified=told.last_modified if isinstance(told.last_modified, datetime) else None,
        licence=_licence(told),
        purpose=clean(told.pipeline_tag) if isinstance(told.pipeline_tag, str) else "",
    )


def _file(model_id: str, sibling: Any) -> RemoteFile:
    name, size = sibling.rfilename, sibling.size
    digest = sibling.lfs.sha256 if sibling.lfs is not None else sibling.blob_id
    size = sibling.lfs.size if sibling.lfs is not None else size
    if not isinstance(name, str) or not is_safe(name):
        shown = clean(str(name))[:80]
        raise HubBroken(
            f"{model_id} holds a file called {shown!r}, which is no name for a file. Nothing was downloaded."
        )
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < MOST_BYTES:
        raise HubBroken(f"The Hub gives {clean(name)} of {model_id} the size {clean(str(size))[:40]}, which cannot be.")
    kind = SHA256 if sibling.lfs is not None else COMMIT
    if not isinstance(digest, str) or not kind.fullmatch(digest):
        raise HubBroken(f"The Hub names no checksum of {clean(name)} of {model_id}, so it could not be checked.")
    return RemoteFile(name, size, digest)


def is_safe(name: str) -> bool:
    """Whether a file's name leads down from where it is joined, on any system, and shows as what it is."""
    parts = name.split("/")
    return (
        name == clean(name)
        and name.isprintable()
        and not any(letter in name for letter in '\\:*?"<>|')
        and len(name) <= 1000
        and all(part not in ("", ".", "..") and len(part.encode()) <= 255 for part in parts)
    )


def wanted(files: tuple[RemoteFile, ...], everything: bool = False) -> tuple[RemoteFile, ...]:
    """The files that MLX's libraries read, or all; empty where there are no weights among them.

    Beside others' weights, "consolidated" files are the same again in Mistral's own form.
    """
    if everything:
        return files
    kept = [file for file in files if _is_read(file.name)]
    weights = [file for file in kept if file.name.endswith(WEIGHTS)]
    if any(not file.name.startswith("consolidated") for file in weights):
        kept = [file for file in kept if not file.name.startswith("consolidated")]
    return tuple(kept) if weights else ()


def _is_read(name: str) -> bool:
    folder, _, rest = name.partition("/")
    if name.startswith(".") or (rest and folder.lower() in OTHERS_FOLDERS):
        return False
    return name.endswith(MLX_FILES) or name.upper().startswith(("LICENSE", "LICENCE", "NOTICE"))


def _licence(told: Any) -> str:
    """A licence's short name out of the tags, else the card; "" where there is none."""
    tags = [tag for tag in told.tags or () if isinstance(tag, str)]
    tag = next((tag.partition(":")[2] for tag in tags if tag.startswith("license:")), "")
    card = getattr(told.card_data, "license", None)
    return clean(tag or (card if isinstance(card, str) else ""))


def _count(value: object) -> int:
    """A number of downloads or likes; 0 for what is none."""
    return value if isinstance(value, int) and value > 0 else 0
