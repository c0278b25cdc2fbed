"""The list of models: pocket models, the Hugging Face cache, and the user's folders."""

from __future__ import annotations

import builtins
import dataclasses
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from core.catalog.describe import Files, describe, look
from core.catalog.kept import Described, read_kept, write_kept
from core.catalog.model_info import ModelInfo
from core.catalog.places import Found, cache_folder, cached_models, folder_models, pocket_models
from core.compute import on_linux_cpu
from core.errors import ModelNotFound
from core.settings import Settings
from core.text_safety import alternatives

SCAN_SHARE = 9
"""Times as long as a scan of everything takes that nobody's wrong name can bring about the next one."""


class Catalog:
    """Scans at the first question, then answers from memory until `refresh`. Safe to call from any thread.

    Before it says that a model is not there, or cannot be used, it looks at the disk again: models are downloaded while
    a server runs. It always looks where a model of that id would lie, and everywhere as often as SCAN_SHARE allows.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._models: dict[str, ModelInfo] | None = None
        self._scan_s = 0.0
        self._scan_ended = 0.0
        self._described: dict[Found, tuple[Files, ModelInfo]] | None = None
        self._kept: Described = {}
        self._float32 = settings.cpu_float32 and on_linux_cpu()

    def list(self, all: bool = False) -> builtins.list[ModelInfo]:
        """Every model, pocket models first, then by id; with `all`, also what is no MLX model, with the reason."""
        with self._lock:
            return [info for info in self._scanned().values() if all or not info.foreign]

    def get(self, model_id: str) -> ModelInfo:
        """The model of exactly that id. Raises ModelNotFound with the nearest names."""
        with self._lock:
            models = self._scanned()
            if _is_missing(models, model_id):
                self._look_for(model_id, models)
            if _is_missing(models, model_id) and self._may_look_again():
                self._models = None
                models = self._scanned()
        if model_id in models:
            return models[model_id]
        known = [info.id for info in models.values() if not info.foreign]
        near = _nearest(model_id, known)
        raise ModelNotFound(" ".join((_not_found(model_id, len(known), near), *self.notes())), near)

    def on_disk(self, model_id: str) -> ModelInfo:
        """The model of that id, about to be read: its folder is there now. Raises ModelNotFound."""
        info = self.get(model_id)
        if info.path.is_dir():
            return info
        self.refresh()
        try:
            return self.get(model_id)
        except ModelNotFound:
            raise ModelNotFound(
                f"{model_id} is not on this machine any more: since it was listed its folder was removed or renamed, "
                "or its disk unplugged. Choose another model."
            ) from None

    def refresh(self) -> builtins.list[ModelInfo]:
        """Look at the disk again; a model none of whose files changed is not read again."""
        with self._lock:
            self._models = None
            self._scanned()
        return self.list()

    def _may_look_again(self) -> bool:
        """Whether a scan would take no more than a small part of the time, however often it is asked for."""
        return time.monotonic() - self._scan_ended > SCAN_SHARE * self._scan_s

    def notes(self) -> tuple[str, ...]:
        """A sentence for each folder of the settings that is not there, as when a disk is unplugged."""
        folders = (folder.expanduser() for folder in self.settings.model_folders)
        return tuple(told for folder in folders if (told := _absence(folder)))

    def _scanned(self) -> dict[str, ModelInfo]:
        if self._models is not None:
            return self._models
        began, looked_ns = time.monotonic(), time.time_ns()
        self._known()
        described: dict[Found, tuple[Files, ModelInfo]] = {}
        models: dict[str, ModelInfo] = {}
        for found in _unique(self._places()):
            described[found] = self._look(found)
            models[found.id] = described[found][1]
        self._described = described
        self._kept = write_kept(self.settings, self._float32, described, looked_ns, self._kept)
        self._models = _sorted(models)
        self._scan_ended = time.monotonic()
        self._scan_s = self._scan_ended - began
        return self._models

    def _known(self) -> dict[Found, tuple[Files, ModelInfo]]:
        """What was read before, by this program or another."""
        if self._described is None:
            self._kept = read_kept(self.settings, self._float32)
            self._described = dict(self._kept)
        return self._described

    def _look(self, found: Found) -> tuple[Files, ModelInfo]:
        """A model's description with the fingerprint of its files; it is read again only if they have changed."""
        listing = look(found.path)
        known = self._known().get(found)
        if known is not None and known[0] == listing.fingerprint:
            return known
        allowed = frozenset(self.settings.allow_code)
        info = describe(found, listing, allowed, self.settings.prefill_chunk, self._float32)
        return listing.fingerprint, info

    def _look_for(self, model_id: str, models: dict[str, ModelInfo]) -> None:
        """Look at the places where a model of that id would lie, and at the place where it lay."""
        known = (found for found in self._known() if found.id == model_id)
        found = next(self._places(model_id), None) or next(known, None)
        if found is not None:
            self._known()[found] = self._look(found)
            models[model_id] = self._known()[found][1]
            self._models = _sorted(models)

    def _places(self, wanted: str | None = None) -> Iterator[Found]:
        """Where models lie, or where the one of the id `wanted` would."""
        yield from (found for found in pocket_models() if wanted in (None, found.id))
        yield from cached_models(cache_folder(self.settings), wanted=wanted)
        for folder in self.settings.model_folders:
            yield from folder_models(folder.expanduser(), wanted)
        yield from folder_models(self.settings.own_models, wanted)


def _is_missing(models: dict[str, ModelInfo], model_id: str) -> bool:
    return model_id not in models or models[model_id].problem is not None


def _sorted(models: dict[str, ModelInfo]) -> dict[str, ModelInfo]:
    return dict(sorted(models.items(), key=lambda item: (item[1].source != "pocket", item[0].lower())))


def _unique(places: Iterator[Found]) -> Iterator[Found]:
    """Give each place an id of its own: the first keeps the plain one, later ones say which folder they are in."""
    taken: set[str] = set()
    for found in places:
        model_id, number = found.id, 1
        while model_id in taken:
            number += 1
            model_id = f"{found.path.parent.name}/{found.path.name}" if number == 2 else f"{found.id}-{number - 1}"
        taken.add(model_id)
        yield dataclasses.replace(found, id=model_id)


def _absence(folder: Path) -> str:
    """That a model folder cannot be looked into, and why; "" for one that can."""
    try:
        os.scandir(folder).close()
    except FileNotFoundError:
        return f"The model folder {folder} does not exist."
    except NotADirectoryError:
        return f"The model folder {folder} is a file."
    except OSError as error:
        return f"The model folder {folder} cannot be read: {error.strerror}."
    return ""


def _nearest(model_id: str, known: builtins.list[str]) -> builtins.list[str]:
    from rapidfuzz import process

    same = [name for name in known if name.lower() == model_id.lower()]
    scored = process.extract(model_id, known, processor=str.lower, limit=3)
    return same or [name for name, score, _ in scored if score >= 60]


def _not_found(model_id: str, known: int, near: builtins.list[str]) -> str:
    if near:
        return f"There is no model {model_id!r} on this machine. Did you mean {alternatives(near)}?"
    return (
        f"There is no model {model_id!r} on this machine. It has {known} others: `assay models list` names them. "
        f"To fetch one from the Hugging Face Hub: `assay models download ORGANISATION/MODEL`."
    )
