"""KV that outlives its request: the next turn, or a retry, prefills only what is new.

mlx-lm's LRUPromptCache does not refresh recency on a hit, returns an empty rest on an exact hit (which its own
BatchGenerator refuses), cannot forget one model, and holds a Python dictionary for every token. Entries here are few
and large, so a scan over integer arrays finds the longest common prefix in microseconds.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mlx_lm.models.cache import trim_prompt_cache

from core.mlx.cutting import can_cut

MIN_SHARED = 16
"""Tokens below which prefilling again is cheaper than copying a cache."""


@dataclass(eq=False)
class _Entry:
    model: str
    key: np.ndarray[Any, np.dtype[np.int64]]
    cache: list[Any]
    nbytes: int


class PrefixCache:
    """Caches by model and by key, a token sequence in which images have numbers of their own. Least recent goes first.

    Lives on the MLX thread. `nbytes` never exceeds `budget` (both bytes).
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.nbytes = 0
        self._entries: list[_Entry] = []  # least recently used first

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
            if shared >= MIN_SHARED and (best is None or shared > best[0]) and (whole or can_cut(entry.cache)):
                best = (shared, entry)
        return best

    def store(self, model: str, key: Sequence[int], cache: list[Any]) -> None:
        """Keep `cache`, which holds the tokens of `key`. Entries that it makes superfluous go."""
        nbytes = sum(layer.nbytes for layer in cache)
        if not key or nbytes > self.budget:
            return
        entry = _Entry(model, np.asarray(key, np.int64), cache, nbytes)
        trims = can_cut(cache)
        for other in [other for other in self._entries if other.model == model]:
            covered = common_prefix(other.key, entry.key) == len(other.key)
            if covered and (trims or len(other.key) == len(entry.key)):
                self._drop(other)
        self._entries.append(entry)
        self.nbytes += nbytes
        self.shrink(self.budget)

    def forget(self, model: str) -> None:
        """Drop everything of a model that is being unloaded."""
        for entry in [entry for entry in self._entries if entry.model == model]:
            self._drop(entry)

    def shrink(self, nbytes: int) -> None:
        """Drop the least recently used entries until at most `nbytes` are held."""
        while self.nbytes > nbytes:
            self._drop(self._entries[0])

    def _drop(self, entry: _Entry) -> None:
        self._entries.remove(entry)
        self.nbytes -= entry.nbytes


def common_prefix(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> int:
    """How many numbers two sequences begin with in common."""
    length = min(len(a), len(b))
    differs = np.nonzero(a[:length] != b[:length])[0]
    return int(differs[0]) if len(differs) else length
