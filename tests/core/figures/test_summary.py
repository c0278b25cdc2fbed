"""Figures summed up: medians with their spread, and only of what can be compared."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from core.figures.figure import BENCHMARK, Use
from core.figures.summary import Size, Spread, spread, summarise
from tests.core.figures.records import VERSIONS, kept


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([], None),
        ([None], None),
        ([3.0], Spread(3.0, 3.0, 3.0, 1)),
        ([1.0, None, 9.0, 5.0], Spread(5.0, 1.0, 9.0, 3)),
        ([1.0, 2.0, 3.0, 4.0, 100.0], Spread(3.0, 2.0, 4.0, 5)),
    ],
)
def test_a_few_values_have_a_range_and_more_have_quartiles(values: list[float | None], told: Spread | None) -> None:
    assert spread(values) == told


def test_uses_are_told_apart_by_prompt_rows_and_images() -> None:
    summary = summarise(
        [
            kept(use=Use.LOAD, load_s=2.0),
            kept(use=Use.RELOAD, load_s=0.5),
            kept(use=Use.RELOAD, load_s=0.7),
            kept(prompt_tokens=20, ttft_s=0.2, decode_tps=60.0, peak=100),
            kept(prompt_tokens=1000, ttft_s=1.0, prefill_tps=900.0, decode_tps=50.0, peak=300),
            kept(prompt_tokens=8000, prefill_tps=800.0, source=BENCHMARK),
            kept(rows=3, decode_tps=30.0),
            kept(rows=8, decode_tps=15.0),
            kept(use=Use.IMAGE, ttft_s=3.0, decode_tps=58.0),
        ]
    )
    assert summary is not None
    assert {size: one.median for size, one in summary.prefill.items()} == {Size.MIDDLE: 900.0, Size.LONG: 800.0}
    assert {size: one.median for size, one in summary.ttft.items()} == {Size.SHORT: 0.2, Size.MIDDLE: 1.0}
    assert {size: one.median for size, one in summary.decode.items()} == {Size.SHORT: 59.0, Size.MIDDLE: 50.0}
    assert {rows: one.median for rows, one in summary.together.items()} == {4: 30.0, 8: 15.0}
    assert summary.image_ttft == Spread(3.0, 3.0, 3.0, 1)
    assert summary.first_load == Spread(2.0, 2.0, 2.0, 1), "a model is loaded again more quickly"
    assert summary.later_load == Spread(0.6, 0.5, 0.7, 2)
    assert summary.most == 300
    assert (summary.count, summary.benchmarks) == (9, 1)
    assert json.loads(json.dumps(summary.record()))["decode_of_each_row_tokens_per_s"]["8"]["median"] == 15.0


@pytest.mark.parametrize(
    "older",
    [
        {"versions": replace(VERSIONS, mlx="0.31.0")},
        {"precision": "float32"},
        {"machine": "elsewhere"},
        {"revision": "an older one"},
    ],
)
def test_only_what_was_taken_like_the_last_counts(older: dict[str, str]) -> None:
    summary = summarise([kept(decode_tps=1.0, **older), kept(decode_tps=60.0)])
    assert summary is not None
    assert (summary.count, summary.decode[Size.SHORT].median) == (1, 60.0)


def test_another_version_of_assay_alone_changes_nothing() -> None:
    summary = summarise([kept(decode_tps=50.0, versions=replace(VERSIONS, assay="0.0.9")), kept(decode_tps=60.0)])
    assert summary is not None
    assert summary.count == 2


def test_nothing_comes_to_nothing() -> None:
    assert summarise([]) is None
