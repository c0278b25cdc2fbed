"""What the models add up to, in a line that is as long as there is room."""

from __future__ import annotations

from dataclasses import dataclass

from tui.figures import size, size_in_words
from tui.models.on_disk import OnDisk


@dataclass(frozen=True)
class Sum:
    """So many models, and the bytes that they take."""

    models: int
    size_bytes: int


def totals(shown: Sum, every: Sum, on_disk: OnDisk | None, room: int) -> str:
    """How many models are shown and in all, and their sizes; what the cache takes, and what is free on its disk.

    The longest way to say it that fits `room` cells.
    """
    some, whole = size_in_words(shown.size_bytes), size_in_words(every.size_bytes)
    parts = shown.models < every.models
    count = f"{shown.models:,} of {every.models:,}" if parts else f"{every.models:,}"
    counted = f"{count} model{'s' * (every.models != 1)}"
    in_words = f"{counted}, {some}{f' of {whole}' if parts else ''}"
    short = f"{counted} {size(shown.size_bytes)}{f' of {size(every.size_bytes)}' if parts else ''}"
    shortest = f"{count} · {size(shown.size_bytes)}"
    ways = [[in_words], [short], [shortest]]
    if on_disk is not None:
        taken, free = on_disk.disk.size_bytes, on_disk.disk.free
        left, left_short = f"{size_in_words(free)} free", f"{size(free)} free"
        cache, cache_short = f"the cache takes {size_in_words(taken)}", f"cache {size(taken)}"
        ways = [[in_words, cache, left], [short, cache_short, left_short], [short, left_short], [shortest, left_short]]
        ways = [[part for part in way if taken or part not in (cache, cache_short)] for way in ways] + [[shortest]]
    lines = [" · ".join(way) for way in ways]
    return next((line for line in lines if len(line) <= room), lines[-1])
