"""Numbers as a person reads them."""

from __future__ import annotations

import pytest

from tui.figures import number, rate, seconds, size, size_in_words


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0B"), (999, "999B"), (84_000, "84K"), (1_250_000_000, "1.2G"), (999_600, "1.0M"), (16_800_000_000, "17G")],
)
def test_sizes(count: int, shown: str) -> None:
    assert size(count) == shown


def test_sizes_with_their_unit() -> None:
    assert [size_in_words(count) for count in (12, 84_000, 16_800_000_000)] == ["12 B", "84 KB", "17 GB"]


@pytest.mark.parametrize(("count", "shown"), [(512, "512"), (32_768, "33K"), (3_000_000, "3.0M"), (27e9, "27B")])
def test_counts(count: float, shown: str) -> None:
    assert number(count) == shown


@pytest.mark.parametrize(("value", "shown"), [(0.21, "0.21 s"), (9.999, "10.0 s"), (12.34, "12.3 s"), (125.2, "2:05")])
def test_times(value: float, shown: str) -> None:
    assert seconds(value) == shown


def test_rates() -> None:
    assert rate(2.46, 16) == "2.5 tok/s"
    assert rate(92.4, 100) == "92 tok/s"


def test_too_few_tokens_have_no_rate() -> None:
    assert rate(705.0, 15) == rate(0.0, 100) == ""
