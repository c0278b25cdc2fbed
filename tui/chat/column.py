"""A column of things of different heights, some of which are only estimated: where each of them stands."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate


class Column:
    """Heights in lines, from the top. Positions are lines from the top of the column."""

    def __init__(self) -> None:
        self._heights: list[int] = []
        self._exact: list[bool] = []
        self._tops: list[int] = [0]
        """Of each thing, and at last the end; those from _sound on are out of date."""
        self._sound = 0

    def __len__(self) -> int:
        return len(self._heights)

    @property
    def height(self) -> int:
        """All of it."""
        self._reckon()
        return self._tops[-1]

    def extend(self, estimates: Iterable[int]) -> None:
        """More things at the end."""
        heights = list(estimates)
        self._sound = min(self._sound, len(self._heights))
        self._heights += heights
        self._exact += [False] * len(heights)

    def cut(self, length: int) -> None:
        """Keep the first `length` things."""
        del self._heights[length:], self._exact[length:]
        self._sound = min(self._sound, length)

    def set(self, index: int, height: int, exact: bool = True) -> None:
        """How high a thing is."""
        self._exact[index] = exact
        if self._heights[index] != height:
            self._heights[index] = height
            self._sound = min(self._sound, index)

    def is_exact(self, index: int) -> bool:
        """Whether the height is known."""
        return self._exact[index]

    def top(self, index: int) -> int:
        """Where a thing begins; of the number of things, where the column ends."""
        self._reckon()
        return self._tops[index]

    def height_of(self, index: int) -> int:
        return self._heights[index]

    def at(self, position: int) -> int:
        """Which thing is at a position; the first or the last one beyond the ends."""
        self._reckon()
        return max(0, min(bisect_right(self._tops, position) - 1, len(self._heights) - 1))

    def between(self, top: int, bottom: int) -> range:
        """The things of which something lies in the lines from `top` up to `bottom`."""
        return range(self.at(top), self.at(max(top, bottom - 1)) + 1) if self._heights else range(0)

    def _reckon(self) -> None:
        if len(self._tops) == len(self._heights) + 1 and self._sound >= len(self._heights):
            return
        del self._tops[self._sound + 1 :]
        self._tops += list(accumulate(self._heights[self._sound :], initial=self._tops[self._sound]))[1:]
        self._sound = len(self._heights)
