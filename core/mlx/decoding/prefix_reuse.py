"""KV that a prompt need not compute, from an earlier request or a running row; and what rows leave for later ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from core.mlx.decoding.row import Row
from core.mlx.kv.prefix_cache import PrefixCache, common_prefix
from core.mlx.kv.rollback import always_trimmable, roll_back, trimmable_after_prefill

WORTH_WAITING = 64
"""Prompt tokens in common with a running row for which its prefill is awaited rather than done again."""


class PrefixReuse:
    """One model's part of the prefix cache; `empty` are caches as it makes them for a row, before the first token.

    Sliding windows and recurrent states cannot be rolled back to where another prompt branches off: with `snapshots`,
    copies are kept at the rows' `snapshot_points`. Windows can be rolled back while a prompt is read, so that only
    states make prefill stop (`stops`) where the copy is made.
    """

    def __init__(self, model: str, prefixes: PrefixCache, empty: list[Any]) -> None:
        self.snapshots = not always_trimmable(empty)
        self.stops = not trimmable_after_prefill(empty)
        self.prefixes = prefixes
        self._model = model

    def stop_points(self, row: Row) -> list[int]:
        """Prompt tokens, ascending, after which the row's prefill has to stop for a snapshot."""
        return row.snapshot_points if self.stops else []

    def leader(self, key: list[int], running: Iterable[Row]) -> tuple[Row | None, int]:
        """The running row whose KV begins as `key` does, further than any in the prefix cache, and how far.

        Where caches cannot be rolled back, how far it shares is where it will leave a snapshot.
        """
        rows = list(running)
        if not rows or (self.snapshots and not self.prefixes.budget):
            return None, 0
        wanted, leader = np.asarray(key[:-1], np.int64), None
        best = self.prefixes.longest(self._model, key) + WORTH_WAITING
        for row in rows:
            shared = common_prefix(np.asarray(row.key[:-1], np.int64), wanted)
            if self.snapshots:
                shared = max((end for end in row.snapshot_points if row.prefilled < end <= shared), default=0)
            if shared >= best:
                leader, best = row, shared
        return leader, best if leader else 0

    def fetch(self, key: list[int]) -> tuple[list[Any] | None, int]:
        """A copy of the cache that holds the most of the first tokens of `key`, and how many; (None, 0) without one."""
        return self.prefixes.fetch(self._model, key)

    def store(self, row: Row, cache: list[Any], key: list[int]) -> None:
        """Keep a row's cache, which holds the tokens of `key`, unless an error has ended the row."""
        if row.error is None:
            self.prefixes.store(self._model, key, cache)

    def store_snapshots(self, row: Row, before: int, done: int, copied: Callable[[], list[Any]]) -> None:
        """Keep the KV up to each snapshot point that the row's prefill has passed since it held `before` tokens.

        `copied` makes copies of the cache, which holds `done` tokens.
        """
        for end in row.snapshot_points:
            if before < end <= done and (end == done or not self.stops):
                cache = copied()
                if done > end:
                    roll_back(cache, done - end)
                self.store(row, cache, row.key[:end])
