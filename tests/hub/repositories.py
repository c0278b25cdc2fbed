"""What the Hub of the tests holds: repositories with commits, and how a file of theirs misbehaves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from core.pocket import POCKET_MODELS

LFS = (".safetensors", ".npz", ".bin", ".gguf", ".onnx", "tokenizer.json")
"""Endings of files that lie in large file storage, as the Hub's .gitattributes has them."""


@dataclass
class File:
    """A file of a repository. `says_size` and `says_sha256` are what the Hub tells where that is not the truth."""

    content: bytes
    lfs: bool = False
    says_size: int | None = None
    says_sha256: str | None = None

    @property
    def size(self) -> int:
        return len(self.content) if self.says_size is None else self.says_size

    @cached_property
    def blob_id(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def etag(self) -> str:
        return (self.says_sha256 or self.sha256) if self.lfs else self.blob_id


@dataclass
class Fault:
    """How requests for a path go wrong: `times` of them, or all."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    code: str = ""
    """The X-Error-Code that the Hub's answer bears."""
    cut_after: int | None = None
    """Close the connection after so many bytes of the body."""
    pace: tuple[int, float] | None = None
    """Bytes, and the seconds before the next ones."""
    endless: bool = False
    """After the file come zeros without an end, and no length is told."""
    corrupt: bool = False
    """The first byte of what is sent is another one."""
    no_ranges: bool = False
    times: int | None = None


@dataclass
class Repository:
    """A model on the Hub: its commits, the newest last, each with all of its files."""

    id: str
    commits: list[dict[str, File]]
    downloads: int = 0
    likes: int = 0
    modified: str = "2026-01-02T03:04:05.000Z"
    tags: tuple[str, ...] = ("mlx",)
    pipeline_tag: str | None = None
    licence: str | None = None
    gated: str | bool = False
    private: bool = False
    says: dict[str, Any] = field(default_factory=dict)
    """Fields of its record that are other than the truth."""

    def sha(self, number: int = -1) -> str:
        """The id of a commit."""
        files = self.commits[number]
        position = number % len(self.commits)
        about = repr((self.id, position, sorted((name, file.etag) for name, file in files.items())))
        return hashlib.sha1(about.encode("utf-8", "surrogatepass")).hexdigest()

    def revision(self, name: str) -> dict[str, File] | None:
        """The files of a branch or commit."""
        if name == "main":
            return self.commits[-1]
        return next((files for number, files in enumerate(self.commits) if self.sha(number) == name), None)

    def record(self, files: dict[str, File], sizes: bool) -> dict[str, Any]:
        """What the Hub's API says of it."""
        number = next(number for number, other in enumerate(self.commits) if other is files)
        tags = [*self.tags, *([f"license:{self.licence}"] if self.licence else [])]
        return {
            "_id": "0",
            "id": self.id,
            "modelId": self.id,
            "author": self.id.partition("/")[0],
            "sha": self.sha(number),
            "lastModified": self.modified,
            "createdAt": self.modified,
            "private": self.private,
            "gated": self.gated,
            "disabled": False,
            "downloads": self.downloads,
            "likes": self.likes,
            "tags": tags,
            "library_name": "mlx",
            **({"pipeline_tag": self.pipeline_tag} if self.pipeline_tag else {}),
            **({"cardData": {"license": self.licence}} if self.licence else {}),
            "siblings": [_sibling(name, file, sizes) for name, file in files.items()],
            **self.says,
        }


def _sibling(name: str, file: File, sizes: bool) -> dict[str, Any]:
    if not sizes:
        return {"rfilename": name}
    told: dict[str, Any] = {"rfilename": name, "size": file.size, "blobId": file.blob_id}
    if file.lfs:
        told["lfs"] = {"sha256": file.etag, "size": file.size, "pointerSize": 134}
    return told


def files_of(folder: Path) -> dict[str, File]:
    """The files of a folder, as they would lie on the Hub."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): File(path.read_bytes(), lfs=path.name.endswith(LFS)) for path in paths}


def pocket_repository(name: str = "qwen3", account: str = "mlx-community", **more: Any) -> Repository:
    """A pocket model as somebody would have uploaded it, with a card and files that MLX has no use for."""
    (model,) = [model for model in POCKET_MODELS if model.id == f"pocket/{name}"]
    extras = {
        "README.md": File(f"---\nlicense: mit\n---\n# {name}\nA model of *{account}*.\n".encode()),
        ".gitattributes": File(b"*.safetensors filter=lfs\n"),
        "pytorch_model.bin": File(b"\0" * 5000, lfs=True),
        "onnx/model.onnx": File(b"\0" * 4000, lfs=True),
    }
    return Repository(f"{account}/{name}", [files_of(model.folder) | extras], **more)
