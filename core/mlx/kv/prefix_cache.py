"""KV that outlives its request: the next turn, or a retry, prefills only what is new.

mlx-lm's LRUPromptCache does not refresh recency on a hit, returns an empty rest on an exact hit (which its own
BatchGenerator refuses), cannot forget one model, and holds a Python dictionary for every token. Entries here are few
and large, so a scan over integer arrays finds the longest common prefix in microseconds.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.models.cache import trim_prompt_cache

from core.mlx.kv.disk import KvDisk
from core.mlx.kv.file_format import Head
from core.mlx.kv.rollback import trimmable

MIN_SHARED = 16
"""Tokens below which prefilling again is cheaper than copying a cache."""

WORTH_READING = 32
"""Reading a token's KV from a disk takes less than such a part of the time of prefilling it."""

SAVE_S = 5.0
"""Seconds that an unload waits for a disk; what is not written by then is prefilled again some day."""


@dataclass(eq=False)
class _Entry:
    model: str
    key: np.ndarray[Any, np.dtype[np.int64]]
    cache: list[Any]
    nbytes: int
    saved: bool = False
    """On disk as well, or on its way there."""
    used: float = field(default_factory=time.time)
    """Seconds since 1970, as files have them."""


class PrefixCache:
    """Caches by model and by key, a token sequence in which images have numbers of their own. Least recent goes first.

    Lives on the MLX thread. `nbytes` never exceeds `budget` (both bytes). With a `disk`, entries are written there when
    somebody calls `save_piece`, and before their model is forgotten: never while a token waits for it. Those that go
    unwritten because memory is short are lost.
    """

    def __init__(self, budget: int, disk: KvDisk | None = None) -> None:
        self.budget = budget
        self.disk = disk
        self.nbytes = 0
        self._entries: list[_Entry] = []  # least recently used first
        self._saving: tuple[_Entry, Generator[None, None, None]] | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def fetch(self, model: str, key: Sequence[int]) -> tuple[list[Any] | None, int]:
        """The cache that shares the longest prefix with `key`, and the length of that prefix.

        The cache is the caller's own copy and holds exactly that prefix, at most all of `key` but its last token
        (which has to be fed to get logits); (None, 0) where nothing fits.
        """
        best = self._best(model, key)
        if best is None:
            return None, 0
        shared, entry = best
        self._entries.remove(entry)
        self._entries.append(entry)
        entry.used = time.time()
        cache = copy.deepcopy(entry.cache)
        if shared < len(entry.key):
            trim_prompt_cache(cache, len(entry.key) - shared)
        return cache, shared

    def longest(self, model: str, key: Sequence[int]) -> int:
        """How many tokens `fetch` would find, without a copy."""
        best = self._best(model, key)
        return best[0] if best else 0

    def _best(self, model: str, key: Sequence[int]) -> tuple[int, _Entry] | None:
        wanted = np.asarray(key[:-1], np.int64)
        best: tuple[int, _Entry] | None = None
        for entry in self._entries:
            if entry.model != model:
                continue
            shared = common_prefix(entry.key, wanted)
            whole = shared == len(entry.key)
            if shared >= MIN_SHARED and (best is None or shared > best[0]) and (whole or trimmable(entry.cache)):
                best = (shared, entry)
        return best

    def recall(self, model: str, key: Sequence[int]) -> Generator[None, None, None]:
        """Bring back from disk what serves `key` better than all that is in memory; yields after each piece read."""
        if self.disk is None:
            return
        wanted, held = np.asarray(key[:-1], np.int64), self.longest(model, key)

        def score(head: Head) -> int:
            shared = common_prefix(head.key, wanted)
            usable = head.nbytes <= self.budget and (head.trims or shared == len(head.key))
            return shared if usable and shared - held >= max(MIN_SHARED, len(head.key) // WORTH_READING) else 0

        found = self.disk.find(model, score)
        cache = (yield from self.disk.read(found)) if found else None
        if found is not None and cache is not None:
            self._put(_Entry(model, found.head.key, cache, sum(layer.nbytes for layer in cache), saved=True))

    def store(self, model: str, key: Sequence[int], cache: list[Any]) -> None:
        """Keep `cache`, which holds the tokens of `key`. Entries that it makes superfluous go."""
        nbytes = sum(layer.nbytes for layer in cache)
        if not key or nbytes > self.budget:
            return
        # Until it is evaluated, a row taken from a batch keeps the whole batch in memory.
        mx.async_eval([layer.state for layer in cache])  # type: ignore[no-untyped-call]
        self._put(_Entry(model, np.asarray(key, np.int64), cache, nbytes))

    def _put(self, entry: _Entry) -> None:
        model, trims = entry.model, trimmable(entry.cache)
        for other in [other for other in self._entries if other.model == model]:
            covered = common_prefix(other.key, entry.key) == len(other.key)
            if covered and (trims or len(other.key) == len(entry.key)):
                self._drop(other)
        self._entries.append(entry)
        self.nbytes += entry.nbytes
        self.shrink(self.budget)

    def forget(self, model: str) -> None:
        """Drop everything of a model that is being unloaded, once it is on disk, if there is one."""
        entries = [entry for entry in self._entries if entry.model == model]
        self._save(entries, SAVE_S)
        for entry in entries:
            if self.disk is not None and entry.saved:
                self.disk.refresh(model, entry.key, entry.used)
            self._drop(entry)

    def shrink(self, nbytes: int, patience_s: float = 0.0) -> None:
        """Drop the least recently used entries until at most `nbytes` are held, all when that is negative.

        Takes up to `patience_s` seconds to write them to disk before.
        """
        leaving, left = [], self.nbytes
        for entry in self._entries:
            if left <= nbytes:
                break
            leaving.append(entry)
            left -= entry.nbytes
        if patience_s:
            self._save(leaving, patience_s)
        for entry in leaving:
            self._drop(entry)

    # -- to disk -----------------------------------------------------------------------------------------------------

    @property
    def unsaved(self) -> bool:
        """Whether there is something for `save_piece` to do."""
        return self.disk is not None and (self._saving is not None or not all(entry.saved for entry in self._entries))

    def save_piece(self) -> None:
        """Write a piece of what is not on disk yet, which takes some ten milliseconds; the most recent goes first."""
        self._save_piece(self._entries)

    def _save(self, entries: list[_Entry], seconds: float) -> None:
        """Write what of `entries` is not on disk yet, for so long at most."""
        end = time.monotonic() + seconds
        while self.disk is not None and time.monotonic() < end:
            under_way = self._saving is not None and self._saving[0] in entries
            if not under_way and all(entry.saved for entry in entries):
                break
            self._save_piece(entries)

    def _save_piece(self, entries: list[_Entry]) -> None:
        if self.disk is None:
            return
        if self._saving is None:
            entry = next((entry for entry in reversed(entries) if not entry.saved), None)
            if entry is None:
                return
            entry.saved = True
            nbytes, trims = entry.nbytes + entry.key.nbytes, trimmable(entry.cache)
            self._saving = entry, self.disk.write(entry.model, entry.key, entry.cache, trims, nbytes, entry.used)
        if next(self._saving[1], self) is self:  # None after a piece, the default at the end
            self._saving = None

    def _drop(self, entry: _Entry) -> None:
        if self._saving is not None and self._saving[0] is entry:
            self._saving[1].close()
            self._saving = None
        self._entries.remove(entry)
        self.nbytes -= entry.nbytes


def common_prefix(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> int:
    """How many numbers two sequences begin with in common."""
    length = min(len(a), len(b))
    differs = np.nonzero(a[:length] != b[:length])[0]
    return int(differs[0]) if len(differs) else length
