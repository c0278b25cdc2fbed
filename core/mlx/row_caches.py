"""The caches of a batch: those that the model itself makes while there is one row, merged ones while there are more.

mlx-lm's merged caches keep an array of offsets and a mask, for rows of different lengths. A row that is alone needs
neither, and every operation saved counts: a decode step of a small model is bound by their number. Some caches have no
merged form (llama4's chunks), and some models cannot work with it (gemma2 shapes its attention scores as no batch's
mask is shaped): their rows are always alone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import mlx.core as mx


class RowCaches:
    """All caches of all rows, as the only member of BatchGenerator's cache list."""

    def __init__(self, layers: list[Any], merged: bool = False) -> None:
        self.layers = layers
        self.merged = merged

    @classmethod
    def merge(cls, members: Sequence[Self]) -> Self:
        if len(members) == 1:
            return members[0]
        rows = [member.layers for member in members]
        return cls([layers[0].merge(list(layers)) for layers in zip(*rows, strict=True)], merged=True)

    def _merge(self) -> list[Any]:
        if not self.merged:
            self.layers = [layer.merge([layer]) for layer in self.layers]
            self.merged = True
        return self.layers

    def extend(self, other: Self) -> None:
        for layer, more in zip(self._merge(), other._merge(), strict=True):
            layer.extend(more)

    def filter(self, keep: Sequence[int]) -> None:
        """Keep these rows. One that is left alone gets caches of its own again."""
        if not self.merged:
            return
        if len(keep) == 1:
            self.layers = [layer.extract(keep[0]) for layer in self.layers]
            self.merged = False
            return
        for layer in self.layers:
            layer.filter(keep)

    def extract(self, index: int) -> Self:
        if self.merged:
            return type(self)([layer.extract(index) for layer in self.layers])
        return type(self)(copy.deepcopy(self.layers))  # arrays share their memory until one of them is written

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """BatchGenerator copies a batch to split it: the rows of the copy leave the original. A row that is alone
        leaves nothing behind, so that its caches need no copy."""
        return type(self)(copy.deepcopy(self.layers, memo) if self.merged else self.layers, self.merged)

    def prepare(self, **padding: Any) -> None:
        """Rows of different lengths are about to be read; one row is never padded."""
        for layer in self.layers if self.merged else ():
            layer.prepare(**padding)

    def finalize(self) -> None:
        """The padding that `prepare` announced has been read."""
        for layer in self.layers if self.merged else ():
            layer.finalize()

    @property
    def state(self) -> list[Any]:
        return [layer.state for layer in self.layers]

    @property
    def nbytes(self) -> int:
        return sum(layer.nbytes for layer in self.layers if not layer.empty())


class RowsDecoder:
    """A language model that BatchGenerator drives with `packed` caches."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder

    def __call__(self, tokens: mx.array, cache: list[RowCaches]) -> mx.array:
        logits: mx.array = self._decoder(tokens, cache=cache[0].layers)
        return logits


def packed(layers: list[Any]) -> list[RowCaches]:
    """One row's caches as BatchGenerator takes them."""
    return [RowCaches(layers)]


def unpacked(cache: list[RowCaches]) -> list[Any]:
    """The caches of a row that BatchGenerator gave back."""
    return list(cache[0].layers)
