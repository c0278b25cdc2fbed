"""The caches of a batch: those that the model itself makes while there is one row, merged ones while there are more.

mlx-lm's merged caches keep an array of offsets and a mask, for rows of different lengths. A row that is alone needs
neither, and every operation saved counts: a decode step of a small model is bound by their number. Some caches have no
merged form (llama4's chunks), and some models cannot work with it (gemma2 shapes its attention scores as no batch's
mask is shaped): their rows are always alone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Self

import mlx.core as mx


@dataclass
class _Part:
    """Caches of one row as the model makes them, or of several rows in merged form."""

    layers: list[Any]
    rows: int = 1

    @property
    def merged(self) -> bool:
        return self.rows > 1

    def extract(self, index: int) -> list[Any]:
        """A copy of one row's caches."""
        if self.merged:
            return [layer.extract(index) for layer in self.layers]
        return copy.deepcopy(self.layers)  # arrays share their memory until one of them is written


class RowCaches:
    """All caches of all rows, as the only member of BatchGenerator's cache list.

    Rows that come together stay apart until the model is called: BatchGenerator lets prompts in beside rows that are
    about to leave, and what is merged with a long row is padded to its length for good.
    """

    def __init__(self, parts: list[_Part]) -> None:
        self._parts = parts
        self._shared = False  # another batch is about to take some of these rows

    @classmethod
    def merge(cls, members: Sequence[Self]) -> Self:
        return cls([part for member in members for part in member._parts])

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self._parts)

    @property
    def layers(self) -> list[Any]:
        """What the model is given: a list with a member for each of its layers, of all rows."""
        if len(self._parts) > 1:
            self._parts = [_Part(self._join(), self.rows)]
        return self._parts[0].layers

    def _join(self) -> list[Any]:
        batches: list[list[Any]] = []
        for merged, parts in groupby(self._parts, key=lambda part: part.merged):
            if merged:
                batches += [part.layers for part in parts]
            else:
                batches.append(merge_rows([part.layers for part in parts]))
        first, *others = batches
        for other in others:
            for layer, more in zip(first, other, strict=True):
                layer.extend(more)
        return first

    def extend(self, other: Self) -> None:
        self._parts = self._parts + other._parts

    def filter(self, keep: Sequence[int]) -> None:
        """Keep these rows, given in ascending order. One that is left alone gets caches of its own again."""
        left: list[_Part] = []
        start = 0
        for part in self._parts:
            here = [index - start for index in keep if start <= index < start + part.rows]
            start += part.rows
            if len(here) == part.rows:
                left.append(part)
            elif len(here) == 1:
                left.append(_Part(part.extract(here[0])))
            elif here:
                layers = copy.deepcopy(part.layers) if self._shared else part.layers
                for layer in layers:
                    layer.filter(here)
                left.append(_Part(layers, len(here)))
        self._parts = left
        self._shared = False

    def extract(self, index: int) -> Self:
        for part in self._parts:
            if index < part.rows:
                return type(self)([_Part(part.extract(index))])
            index -= part.rows
        raise IndexError(index)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """BatchGenerator copies a batch to split it, whereupon each half keeps its own rows: nothing is copied yet."""
        copied = type(self)(list(self._parts))
        self._shared = copied._shared = True
        return copied

    def prepare(self, **padding: Any) -> None:
        """Rows of different lengths are about to be read."""
        for layer in self.layers:
            layer.prepare(**padding)

    def finalize(self) -> None:
        """The padding that `prepare` announced has been read."""
        for layer in self.layers:
            layer.finalize()

    @property
    def state(self) -> list[Any]:
        return [layer.state for part in self._parts for layer in part.layers]

    @property
    def nbytes(self) -> int:
        return sum(layer.nbytes for part in self._parts for layer in part.layers if not layer.empty())


class RowsDecoder:
    """A language model that BatchGenerator drives with `packed` caches."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder

    def __call__(self, tokens: mx.array, cache: list[RowCaches]) -> mx.array:
        logits: mx.array = self._decoder(tokens, cache=cache[0].layers)
        return logits


def merge_rows(rows: Sequence[list[Any]]) -> list[Any]:
    """The caches of several rows, each as the model makes them, in merged form."""
    return [layers[0].merge(list(layers)) for layers in zip(*rows, strict=True)]


def packed(layers: list[Any]) -> list[RowCaches]:
    """One row's caches as BatchGenerator takes them."""
    return [RowCaches([_Part(layers)])]


def unpacked(cache: list[RowCaches]) -> list[Any]:
    """The caches of a row that BatchGenerator gave back."""
    return list(cache[0].layers)
