"""What the models add up to, in a line that is as long as there is room."""

from __future__ import annotations

from collections.abc import Sequence

from core.catalog import ModelInfo
from tui.figures import size, size_in_words
from tui.models.on_disk import OnDisk


def totals(shown: Sequence[ModelInfo], models: Sequence[ModelInfo], on_disk: OnDisk | None, room: int) -> str:
    """How many models are shown and in all, and their sizes; what the cache takes, and what is free on its disk.

    The longest way to say it that fits `room` cells.
    """
    some, every = sum(info.size_bytes for info in shown), sum(info.size_bytes for info in models)
    parts = len(shown) < len(models)
    count = f"{len(shown):,} of {len(models):,}" if parts else f"{len(models):,}"
    counted = f"{count} model{'s' * (len(models) != 1)}"
    in_words = f"{counted}, {size_in_words(some)}{f' of {size_in_words(every)}' if parts else ''}"
    short = f"{counted} {size(some)}{f' of {size(every)}' if parts else ''}"
    ways = [[in_words], [short], [f"{count} · {size(some)}"]]
    if on_disk is not None:
        taken, free = on_disk.disk.size_bytes, on_disk.disk.free
        cache = [f"cache {size(taken)}"] if taken else []
        whole = [f"the cache takes {size_in_words(taken)}"] if taken else []
        left, left_short = f"{size_in_words(free)} free", f"{size(free)} free"
        ways = [[in_words, *whole, left], [short, *cache, left_short], [short, left_short], *ways]
        ways.insert(3, [f"{count} · {size(some)}", left_short])
    lines = [" · ".join(way) for way in ways]
    return next((line for line in lines if len(line) <= room), lines[-1])
