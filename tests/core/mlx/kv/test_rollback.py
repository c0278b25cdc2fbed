"""Caches of windows are cut back right after a prefill, as if it had ended there."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx_lm.models.cache import ArraysCache, CacheList, ChunkedKVCache, KVCache, RotatingKVCache
from mlx_vlm.models.cache import KVCache as VisionKVCache
from mlx_vlm.models.cache import RotatingKVCache as VisionRotatingKVCache

from core.mlx.kv.rollback import always_trimmable, roll_back, trimmable, trimmable_after_prefill

WINDOW = 8
FAMILIES = {"mlx-lm": (KVCache, RotatingKVCache), "mlx-vlm": (VisionKVCache, VisionRotatingKVCache)}


def read(cache: list[Any], tokens: range) -> list[list[float]]:
    """Give every layer these tokens in one go; returns what its attention is handed."""
    keys = mx.array(list(tokens), mx.float32)[None, None, :, None]
    return [layer.update_and_fetch(keys, -keys)[0].flatten().tolist() for layer in cache]


@settings(max_examples=80, deadline=None)
@given(
    family=st.sampled_from(sorted(FAMILIES)),
    before=st.lists(st.integers(1, 20), max_size=3),
    last=st.integers(2, 30),
    data=st.data(),
)
def test_it_is_as_if_the_prompt_had_ended_there(family: str, before: list[int], last: int, data: st.DataObject) -> None:
    whole, window = FAMILIES[family]
    ours, theirs = ([whole(), window(max_size=WINDOW)] for _ in range(2))
    start = 0
    for count in before:
        for cache in (ours, theirs):
            read(cache, range(start, start + count))
        start += count
    count = data.draw(st.integers(1, last - 1))
    read(ours, range(start, start + last))
    roll_back(ours, count)
    kept = start + last - count
    for token in range(start, kept):  # one by one or at once: what is handed to attention later is the same
        read(theirs, range(token, token + 1))
    assert [layer.offset for layer in ours] == [layer.offset for layer in theirs] == [kept, kept]
    for length in (1, 3, 1):
        for mine, other in zip(
            read(ours, range(kept, kept + length)), read(theirs, range(kept, kept + length)), strict=True
        ):
            seen = min(WINDOW, kept + length)
            assert sorted(mine)[-seen:] == sorted(other)[-seen:] == [float(n) for n in range(kept + length)][-seen:]
        kept += length


@pytest.mark.parametrize(
    ("cache", "possible"),
    [
        ([KVCache(), RotatingKVCache(WINDOW)], True),
        ([VisionKVCache(), VisionRotatingKVCache(WINDOW)], True),
        ([KVCache(), ArraysCache(2)], False),
    ],
)
def test_states_cannot_be_cut(cache: list[Any], possible: bool) -> None:
    assert trimmable_after_prefill(cache) is possible


def filled(cache: Any, tokens: int) -> Any:
    for _ in range(tokens):
        if hasattr(cache, "maybe_trim_front"):
            cache.maybe_trim_front()
        cache.update_and_fetch(mx.zeros((1, 1, 1, 4)), mx.zeros((1, 1, 1, 4)))
    return cache


@pytest.mark.parametrize(
    ("cache", "now", "always"),
    [
        (filled(KVCache(), 20), True, True),
        (CacheList(filled(KVCache(), 20), filled(KVCache(), 20)), True, True),
        (filled(RotatingKVCache(max_size=16), 9), True, False),
        (filled(RotatingKVCache(max_size=16), 20), False, False),
        (filled(ChunkedKVCache(16), 9), True, False),
        (filled(ChunkedKVCache(16), 20), False, False),
        (CacheList(ArraysCache(2), filled(KVCache(), 20)), False, False),
    ],
)
def test_a_cache_is_cut_only_where_it_holds_what_lies_before(cache: Any, now: bool, always: bool) -> None:
    assert trimmable([cache]) is now
    assert always_trimmable([cache]) is always
