"""Which caches can be cut back to a part of what they hold, so that another continuation of it can be appended."""

from __future__ import annotations

from typing import Any

WHOLE = frozenset({"KVCache", "RopeOffset"})
"""Caches that hold every token for as long as they live. Windows slide, chunks drop what lies before them, and a
recurrent state never had tokens."""


def always_cuttable(cache: Any) -> bool:
    """Whether a layer's cache can be cut back to any length, however long it has become."""
    parts = getattr(cache, "caches", None)
    return all(map(always_cuttable, parts)) if parts is not None else type(cache).__name__ in WHOLE


def can_cut(cache: list[Any]) -> bool:
    """Whether a row's caches, as they are, can be cut back to any length.

    A ChunkedKVCache says that it can always be trimmed, even where the chunk to be continued is gone (mlx-lm 0.32.2).
    """
    return all(layer.is_trimmable() and not getattr(layer, "start_position", 0) for layer in _flat(cache))


def _flat(cache: list[Any]) -> list[Any]:
    return [part for layer in cache for part in getattr(layer, "caches", None) or [layer]]
