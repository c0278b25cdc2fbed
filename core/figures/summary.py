"""What the kept figures of a model come to: a median with its spread, for each sort of use."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.figures.figure import Figure, Use
from core.figures.store import LONG, MIDDLE, SHORT, Kept, Versions

LOADS = (Use.LOAD, Use.RELOAD)
QUARTILES_FROM = 4
"""Values from which on the spread is that of the middle half; of fewer it is their range."""


class Size(StrEnum):
    """How long a prompt was, by the thresholds of the store."""

    SHORT = "short"
    MIDDLE = "about 1k"
    LONG = "about 8k"
    LONGER = "longer"

    @classmethod
    def of(cls, tokens: int) -> Size:
        return next(
            (size for size, most in zip(cls, (SHORT, MIDDLE, LONG), strict=False) if tokens <= most), cls.LONGER
        )


@dataclass(frozen=True)
class Spread:
    """The median of `count` values; `low` and `high` are the quartiles, or the least and the greatest of a few."""

    median: float
    low: float
    high: float
    count: int


def spread(values: Iterable[float | None]) -> Spread | None:
    """Of the values that are there; None where none is."""
    found = sorted(value for value in values if value is not None)
    if not found:
        return None
    low, high = found[0], found[-1]
    if len(found) >= QUARTILES_FROM:
        low, _, high = statistics.quantiles(found, n=4, method="inclusive")
    return Spread(statistics.median(found), low, high, len(found))


@dataclass(frozen=True)
class Summary:
    """What figures of one model on one machine come to. Times are seconds, rates tokens a second, memory bytes.

    Only those count that were taken with the libraries, the revision and the precision of the last one. `ttft`,
    `prefill` and `decode` are of answers alone, by length of the prompt, the first two without images; `image_ttft` is
    with them. `first_load` is of loads that were the first of the model in a program, `later_load` of those after them,
    mostly quicker. `together` is the rate of each of several rows, by how many they were at most: 2, 4, 8, ...
    """

    model: str
    machine: str
    precision: str
    versions: Versions
    count: int
    benchmarks: int
    """How many of them were taken on purpose."""
    last: float
    """When the last was taken, in seconds since the epoch."""
    first_load: Spread | None
    later_load: Spread | None
    ttft: Mapping[Size, Spread]
    image_ttft: Spread | None
    prefill: Mapping[Size, Spread]
    decode: Mapping[Size, Spread]
    together: Mapping[int, Spread]
    peak: Spread | None
    most: int
    """The highest peak, in bytes; 0 where none is known."""

    def record(self) -> dict[str, Any]:
        """As JSON values."""

        def plain(one: Spread | None) -> dict[str, Any] | None:
            return None if one is None else vars(one)

        return {
            "machine": self.machine,
            "precision": self.precision,
            "versions": vars(self.versions),
            "count": self.count,
            "of_benchmarks": self.benchmarks,
            "first_load_s": plain(self.first_load),
            "load_s": plain(self.later_load),
            "ttft_s": {size.value: plain(one) for size, one in self.ttft.items()},
            "ttft_with_images_s": plain(self.image_ttft),
            "prefill_tokens_per_s": {size.value: plain(one) for size, one in self.prefill.items()},
            "decode_tokens_per_s": {size.value: plain(one) for size, one in self.decode.items()},
            "decode_of_each_row_tokens_per_s": {str(rows): plain(one) for rows, one in self.together.items()},
            "peak_bytes": plain(self.peak),
        }


def summarise(kept: Sequence[Kept]) -> Summary | None:
    """What the figures of one model come to, the last of which tells the machine; None where there are none."""
    if not kept:
        return None
    last = kept[-1]

    def alike(one: Kept) -> bool:
        known = (one.figure.machine, one.figure.precision, one.versions.libraries, one.revision)
        return known == (last.figure.machine, last.figure.precision, last.versions.libraries, last.revision)

    figures = [one.figure for one in kept if alike(one)]
    answers = [one for one in figures if one.use not in LOADS]
    alone = [one for one in answers if one.rows == 1]
    text = [one for one in alone if one.use is Use.TEXT]
    peaks = [one.peak for one in answers if one.peak is not None]
    return Summary(
        model=last.figure.model,
        machine=last.figure.machine,
        precision=last.figure.precision,
        versions=last.versions,
        count=len(figures),
        benchmarks=sum(one.benchmark for one in figures),
        last=last.figure.at,
        first_load=spread(one.load_s for one in figures if one.use is Use.LOAD),
        later_load=spread(one.load_s for one in figures if one.use is Use.RELOAD),
        ttft=_by_size(text, lambda one: one.ttft_s),
        image_ttft=spread(one.ttft_s for one in alone if one.use is Use.IMAGE),
        prefill=_by_size(text, lambda one: one.prefill_tps),
        decode=_by_size(alone, lambda one: one.decode_tps),
        together=_by_rows(one for one in answers if one.rows > 1),
        peak=spread(peaks),
        most=max(peaks, default=0),
    )


def _by_size(figures: Iterable[Figure], value: Callable[[Figure], float | None]) -> dict[Size, Spread]:
    found: dict[Size, list[float | None]] = defaultdict(list)
    for one in figures:
        found[Size.of(one.prompt_tokens)].append(value(one))
    return {size: told for size in Size if (told := spread(found[size])) is not None}


def _by_rows(figures: Iterable[Figure]) -> dict[int, Spread]:
    """By the power of two that the number of rows does not exceed."""
    found: dict[int, list[float | None]] = defaultdict(list)
    for one in figures:
        found[1 << (one.rows - 1).bit_length()].append(one.decode_tps)
    return {rows: told for rows in sorted(found) if (told := spread(found[rows])) is not None}
