"""Exact tests for few cases, and intervals that hold for few."""

from __future__ import annotations

import math
from collections.abc import Callable

from core.golden.rates import Z

SIGNIFICANT = 0.05
"""A chance below which a difference is not put down to luck."""
HALVINGS = 60
"""Of the range in which a limit lies, until it is known to the last digit that counts."""


def mcnemar(fell: int, rose: int) -> float:
    """The chance of a split at least as uneven as this one among the cases that differ, if each could have gone either
    way: McNemar's test with the exact binomial distribution, two-sided (McNemar 1947; Agresti 2013, 11.1). 1 where no
    case differs.
    """
    differ = fell + rose
    tail = sum(math.comb(differ, count) for count in range(min(fell, rose) + 1))
    return min(2.0 * tail / float(2**differ), 1.0)


def fisher(passes: int, tries: int, other_passes: int, other_tries: int) -> float:
    """The chance of rates at least as far apart as these two, if there were one rate behind both: Fisher's exact test,
    two-sided, over all tables that are no likelier than this one (Fisher 1935)."""
    both = passes + other_passes
    low, high = max(0, both - other_tries), min(both, tries)

    def ways(count: int) -> int:
        return math.comb(tries, count) * math.comb(other_tries, both - count)

    here = ways(passes)
    tables = [ways(count) for count in range(low, high + 1)]
    return sum(count for count in tables if count <= here) / sum(tables)


def paired_interval(fell: int, rose: int, cases: int) -> tuple[float, float]:
    """The 95 % interval of (rose - fell) / cases, a difference of two shares of the same cases: Tango's score interval
    (Tango 1998, Statistics in Medicine 17:891), which holds for few cases, and where none differs.

    Raises ValueError without cases.
    """
    if cases < 1:
        raise ValueError("there is no interval without cases")

    def score(delta: float) -> float:
        """How many standard deviations the difference lies over `delta`."""
        spread = cases * (2 * _share_fell(fell, rose, cases, delta) + delta * (1 - delta))
        above = rose - fell - cases * delta
        return above / math.sqrt(spread) if spread > 0 else math.copysign(math.inf, above) if above else 0.0

    middle = (rose - fell) / cases
    return _where(lambda delta: score(delta) > Z, -1.0, middle), _where(lambda delta: score(delta) >= -Z, middle, 1.0)


def _share_fell(fell: int, rose: int, cases: int, delta: float) -> float:
    """The likeliest share of cases that fall, were the difference `delta`: the root of a square equation."""
    a = 2 * cases
    b = -rose - fell + (2 * cases - rose + fell) * delta
    c = -fell * delta * (1 - delta)
    return (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)


def _where(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Where what holds at first ceases to."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return high
