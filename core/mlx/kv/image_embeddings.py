"""What the vision tower made of images seen lately, so that it runs once for an image and not once for a turn."""

from __future__ import annotations

from collections import OrderedDict

import mlx.core as mx


class ImageEmbeddings:
    """The embedding rows of images, by model and by the number that stands for the image in the prefix cache's keys.

    `nbytes` never exceeds `budget` (both bytes, of all models together); the least recently used rows go first.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.nbytes = 0
        self._rows: OrderedDict[tuple[str, int], mx.array] = OrderedDict()

    def get(self, model: str, image: int) -> mx.array | None:
        """The rows of shape (tokens, hidden), or None."""
        rows = self._rows.get((model, image))
        if rows is not None:
            self._rows.move_to_end((model, image))
        return rows

    def put(self, model: str, image: int, rows: mx.array) -> None:
        """Keep rows that are no part of a larger array, which would stay in memory with them."""
        self._drop((model, image))
        self._rows[model, image] = rows
        self.nbytes += rows.nbytes
        self.shrink(self.budget)

    def forget(self, model: str) -> None:
        """Drop everything of a model that is being unloaded."""
        for name in [name for name in self._rows if name[0] == model]:
            self._drop(name)

    def shrink(self, nbytes: int) -> None:
        """Drop the least recently used rows until at most `nbytes` are held."""
        while self.nbytes > nbytes:
            self._drop(next(iter(self._rows)))

    def _drop(self, name: tuple[str, int]) -> None:
        rows = self._rows.pop(name, None)
        if rows is not None:
            self.nbytes -= rows.nbytes
