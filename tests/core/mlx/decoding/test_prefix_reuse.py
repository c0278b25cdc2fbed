"""Whose KV a prompt goes on from, and what a row leaves for later prompts."""

from __future__ import annotations

import time
from typing import Any

import mlx.core as mx
import pytest
from mlx_lm.models.cache import ArraysCache, KVCache, RotatingKVCache

from core.calls.clock import Clock
from core.errors import GenerationFailed
from core.mlx.decoding.output import OutputParser
from core.mlx.decoding.prefix_reuse import WORTH_WAITING, PrefixReuse
from core.mlx.decoding.row import Row
from core.mlx.kv.prefix_cache import PrefixCache
from core.mlx.models.formats import Markers
from tests.core.mlx.decoding.conftest import generation

LONG = list(range(300))


def row(key: list[int], prefilled: int = 0, points: list[int] | None = None) -> Row:
    found = Row(generation("a"), Clock(time.monotonic()), OutputParser(Markers()), None, None, len(key), key=key)
    found.prefilled = prefilled
    found.snapshot_points = points or []
    return found


def kv(tokens: int, window: int | None = None) -> list[Any]:
    layer = KVCache() if window is None else RotatingKVCache(max_size=window)
    values = mx.arange(tokens, dtype=mx.float32).reshape(1, 1, tokens, 1)
    layer.update_and_fetch(values, values)
    return [layer]


def reuse(empty: list[Any], budget: int = 10**9) -> PrefixReuse:
    return PrefixReuse("m", PrefixCache(budget), empty)


def test_a_running_row_that_shares_enough_leads() -> None:
    plain = reuse([KVCache()])
    near, far = row([*LONG[:100], -1, -2]), row([*LONG[:200], -1, -2])
    assert plain.leader(LONG, [near, far]) == (far, 200)
    assert plain.leader(LONG, [row([*LONG[: WORTH_WAITING - 1], -1, -2])]) == (None, 0)
    assert plain.leader(LONG, []) == (None, 0)


def test_what_is_kept_is_better_than_a_row_that_shares_little_more() -> None:
    plain = reuse([KVCache()])
    plain.store(row(LONG), kv(150), LONG[:150])
    assert plain.leader(LONG, [row([*LONG[:200], -1, -2])]) == (None, 0)
    assert plain.leader(LONG, [row([*LONG[:250], -1, -2])])[1] == 250
    cache, held = plain.fetch(LONG)
    assert (held, cache[0].offset if cache else 0) == (150, 150)


def test_of_caches_that_cannot_be_rolled_back_a_snapshot_is_awaited() -> None:
    states = reuse([ArraysCache(1)])
    assert (states.snapshots, states.stops) == (True, True)
    other = row([*LONG[:200], -1, -2], prefilled=40, points=[30, 120, 250])
    assert states.leader(LONG, [other]) == (other, 120)
    other.prefilled = 120
    assert states.leader(LONG, [other]) == (None, 0)
    assert states.stop_points(other) == [30, 120, 250]
    assert reuse([ArraysCache(1)], budget=0).leader(LONG, [row(LONG, points=[120])]) == (None, 0)


def test_a_window_is_rolled_back_to_the_snapshot_point_after_the_chunk() -> None:
    windows = reuse([RotatingKVCache(max_size=64)])
    assert (windows.snapshots, windows.stops) == (True, False)
    reading = row(LONG, points=[50, 90])
    assert windows.stop_points(reading) == []
    windows.store_snapshots(reading, 40, 60, lambda: kv(60, window=64))
    assert len(windows.prefixes) == 1
    cache, held = windows.fetch(LONG)
    assert (held, cache[0].offset if cache else 0) == (50, 50)


@pytest.mark.parametrize(("before", "done"), [(50, 60), (30, 49)])
def test_a_point_that_was_not_passed_leaves_nothing(before: int, done: int) -> None:
    windows = reuse([RotatingKVCache(max_size=64)])
    windows.store_snapshots(row(LONG, points=[50]), before, done, lambda: pytest.fail("copied for nothing"))


def test_a_row_that_failed_leaves_nothing() -> None:
    plain, failed = reuse([KVCache()]), row(LONG)
    failed.error = GenerationFailed("a processor raised")
    plain.store(failed, kv(100), LONG[:100])
    assert len(plain.prefixes) == 0
