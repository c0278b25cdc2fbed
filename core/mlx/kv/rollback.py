"""Which caches can be rolled back (mlx-lm: trimmed) to a part of what they hold, so that it can be continued anew."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

WHOLE = frozenset({"KVCache", "RopeOffset"})
"""Caches that hold every token for as long as they live. Windows slide, chunks drop what lies before them, and a
recurrent state never had tokens."""


WINDOW = "RotatingKVCache"
"""Drops what has slid out of the window only when the next tokens come in: right after these, all are still there that
the first of them looked back on."""


def always_trimmable(cache: list[Any]) -> bool:
    """Whether a row's caches can be rolled back to any length, however long they have become."""
    return all(type(layer).__name__ in WHOLE for layer in _flat(cache))


def trimmable_after_prefill(cache: list[Any]) -> bool:
    """Whether `roll_back` can be used on a row's caches."""
    return all(type(layer).__name__ in {*WHOLE, WINDOW} for layer in _flat(cache))


def roll_back(cache: list[Any], count: int) -> None:
    """Take the last `count` tokens out of caches, fewer than they were given last, and those in one go."""
    for layer in _flat(cache):
        if type(layer).__name__ == WINDOW:
            layer._idx -= count
            layer.offset -= count
            # `trim` would leave them in the arrays, where a window that has slid takes them for its oldest.
            layer.keys = mx.contiguous(layer.keys[..., : layer._idx, :])
            layer.values = mx.contiguous(layer.values[..., : layer._idx, :])
        else:
            layer.trim(count)


def trimmable(cache: list[Any]) -> bool:
    """Whether a row's caches, as they are, can be rolled back to any length.

    A ChunkedKVCache says that it can always be trimmed, even where the chunk to be continued is gone (mlx-lm 0.32.2).
    """
    return all(layer.is_trimmable() and not getattr(layer, "start_position", 0) for layer in _flat(cache))


def _flat(cache: list[Any]) -> list[Any]:
    return [part for layer in cache for part in getattr(layer, "caches", None) or [layer]]
