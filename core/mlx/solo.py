"""Models that cannot share a batch: one row at a time, through the caches that the model itself makes.

mlx-lm merges the caches of a batch's rows into others, which have an array of offsets and masks of their own. Some
caches have no such counterpart (llama4's chunks), and some models cannot work with it (gemma2 shapes its attention
scores as no batch's mask is shaped). Here BatchGenerator drives a batch of one whose caches stay as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import mlx.core as mx


class SoloCache:
    """All caches of one row as a single member of BatchGenerator's cache list."""

    def __init__(self, caches: list[Any]) -> None:
        self.caches = caches

    @classmethod
    def merge(cls, members: Sequence[Self]) -> Self:
        if len(members) != 1:
            raise ValueError(f"this model decodes one row at a time, not {len(members)}")
        return members[0]

    def extend(self, other: Self) -> None:
        raise ValueError("this model decodes one row at a time")

    def filter(self, keep: Any) -> None:
        """There is but one row, and an empty batch has no caches."""

    def extract(self, index: int) -> Self:
        return type(self)(copy.deepcopy(self.caches))  # arrays share their memory until one of them is written

    def prepare(self, **_: Any) -> None:
        """One row is never padded."""

    def finalize(self) -> None:
        """As `prepare`."""

    def size(self) -> int:
        return max((cache.size() for cache in self.caches if hasattr(cache, "size")), default=0)

    def empty(self) -> bool:
        return all(cache.empty() for cache in self.caches)

    @property
    def state(self) -> list[Any]:
        return [cache.state for cache in self.caches]

    @property
    def nbytes(self) -> int:
        return sum(cache.nbytes for cache in self.caches if not cache.empty())


class SoloDecoder:
    """A language model whose row BatchGenerator can drive, given `packed` caches."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder

    def __call__(self, tokens: mx.array, cache: list[SoloCache]) -> mx.array:
        logits: mx.array = self._decoder(tokens, cache=cache[0].caches)
        return logits


def packed(cache: list[Any]) -> list[Any]:
    """A row's caches as SoloDecoder takes them."""
    return [SoloCache(cache)]


def unpacked(cache: list[Any]) -> list[Any]:
    """The caches of a row that BatchGenerator gave back, whoever drove it."""
    return list(cache[0].caches) if cache and isinstance(cache[0], SoloCache) else cache
