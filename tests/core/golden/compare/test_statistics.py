"""The exact tests and intervals, held against a library's and against brute force."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.golden.compare.statistics import fisher, mcnemar, paired_interval
from core.golden.rates import Z


@pytest.mark.parametrize(("fell", "rose"), [(0, 0), (1, 0), (5, 0), (6, 0), (0, 6), (7, 3), (4, 4), (30, 12)])
def test_mcnemar_is_a_binomial_test_of_the_cases_that_differ(fell: int, rose: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    wanted = stats.binomtest(fell, fell + rose, 0.5).pvalue if fell + rose else 1.0
    assert mcnemar(fell, rose) == pytest.approx(wanted)
    assert mcnemar(fell, rose) == mcnemar(rose, fell)


@pytest.mark.parametrize("table", [(4, 4, 2, 4), (10, 10, 3, 10), (0, 5, 0, 5), (8, 8, 0, 8), (3, 9, 5, 6)])
def test_fishers_test_is_that_of_the_library(table: tuple[int, int, int, int]) -> None:
    stats = pytest.importorskip("scipy.stats")
    passes, tries, others, other_tries = table
    wanted = stats.fisher_exact([[passes, tries - passes], [others, other_tries - others]]).pvalue
    assert fisher(*table) == pytest.approx(wanted)


def brute_score(fell: int, rose: int, cases: int, delta: float) -> float:
    """The score of `delta` with the share that falls found on a fine grid instead of by a formula."""

    def likelihood(share: float) -> float:
        up, same = share + delta, 1 - 2 * share - delta
        parts = ((fell, share), (rose, up), (cases - fell - rose, same))
        if any(chance < 0 or (count and chance == 0) for count, chance in parts):
            return -math.inf
        return sum(count * math.log(chance) for count, chance in parts if count)

    low, high = max(0.0, -delta), (1 - delta) / 2
    grid = [low + (high - low) * step / 3000 for step in range(3001)]
    share = max(grid, key=likelihood)
    return (rose - fell - cases * delta) / math.sqrt(cases * (2 * share + delta - delta * delta))


@pytest.mark.parametrize(("fell", "rose", "cases"), [(2, 12, 50), (12, 2, 50), (6, 0, 11), (3, 4, 9)])
def test_the_interval_ends_where_the_score_is_as_far_off_as_it_may_be(fell: int, rose: int, cases: int) -> None:
    low, high = paired_interval(fell, rose, cases)
    assert brute_score(fell, rose, cases, low) == pytest.approx(Z, abs=0.01)
    assert brute_score(fell, rose, cases, high) == pytest.approx(-Z, abs=0.01)


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_difference_and_turns_with_the_sides(counts: tuple[int, int, int]) -> None:
    fell, rose, cases = counts
    if fell + rose > cases:
        return
    low, high = paired_interval(fell, rose, cases)
    assert -1 <= low <= (rose - fell) / cases <= high <= 1
    assert paired_interval(rose, fell, cases) == pytest.approx((-high, -low), abs=1e-6)
    assert low < high


def test_there_is_no_interval_without_cases() -> None:
    with pytest.raises(ValueError, match="without cases"):
        paired_interval(0, 0, 0)
