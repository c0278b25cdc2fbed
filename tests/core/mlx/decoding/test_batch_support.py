"""What models may do together is found by trying, and what caches may lose is told by what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx_lm import load
from mlx_lm.models.cache import ArraysCache, CacheList, ChunkedKVCache, KVCache, RotatingKVCache

from core.mlx.decoding.batch_support import Batching, find_batching
from core.mlx.kv.rollback import always_trimmable, trimmable
from tests.tiny.text_shapes import VOCABULARY
from tests.tiny.texts import make_text_model


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("qwen3_next", Batching.ALWAYS),
        ("gpt_oss", Batching.ALWAYS),
        ("nemotron_h", Batching.DECODE),  # reads padding into its state
        ("rwkv7", Batching.DECODE),
        ("gemma2", Batching.NEVER),  # takes rows for heads
        ("llama4", Batching.NEVER),  # chunks cannot be merged
    ],
)
def test_each_model_is_asked_what_its_rows_may_share(name: str, found: Batching, tmp_path: Path) -> None:
    model = load(str(make_text_model(name, tmp_path / name)))[0]
    assert find_batching(model, VOCABULARY) is found


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
