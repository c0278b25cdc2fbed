"""The prefix cache: the longest prefix wins, copies are the caller's, the budget holds, and logits do not change."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx_lm.models import gemma3_text, qwen3
from mlx_lm.models.cache import KVCache, make_prompt_cache

from core.mlx.kv import prefix_cache
from core.mlx.kv.prefix_cache import PrefixCache

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "intermediate_size": 48,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "rms_norm_eps": 1e-6,
    "vocab_size": 64,
}


@pytest.fixture(scope="module")
def dense() -> Any:
    mx.random.seed(0)
    more = {"model_type": "qwen3", "max_position_embeddings": 512, "rope_theta": 1e4, "tie_word_embeddings": True}
    return qwen3.Model(qwen3.ModelArgs(**SIZES, **more))


@pytest.fixture(scope="module")
def sliding() -> Any:
    mx.random.seed(0)
    more = {"model_type": "gemma3_text", "sliding_window": 24, "sliding_window_pattern": 2}
    return gemma3_text.Model(gemma3_text.ModelArgs(**SIZES, **more))


def prefill(model: Any, tokens: list[int], cache: list[Any]) -> np.ndarray[Any, Any]:
    return np.array(model(mx.array([tokens]), cache=cache)[0, -1])


def stored(length: int) -> list[Any]:
    cache = KVCache()
    cache.update_and_fetch(mx.zeros((1, 1, length, 4)), mx.zeros((1, 1, length, 4)))
    return [cache]


@pytest.fixture(autouse=True)
def short_prefixes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix_cache, "MIN_SHARED", 1)


tokens = st.lists(st.integers(1, 63), min_size=1, max_size=40)


@settings(max_examples=25, deadline=None)
@given(common=tokens, first=tokens, second=tokens)
def test_a_reused_prefix_gives_the_logits_of_a_fresh_prefill(
    dense: Any, common: list[int], first: list[int], second: list[int]
) -> None:
    held = PrefixCache(10**9)
    cache = make_prompt_cache(dense)
    prefill(dense, common + first, cache)
    held.store("m", common + first, cache)
    prompt = common + second
    found, shared = held.fetch("m", prompt)
    assert len(common) - 1 <= shared < len(prompt)
    reused = prefill(dense, prompt[shared:], found if found is not None else make_prompt_cache(dense))
    fresh = prefill(dense, prompt, make_prompt_cache(dense))
    np.testing.assert_allclose(reused, fresh, atol=2e-4)


def test_a_window_that_has_slid_is_reused_from_its_snapshot_only(sliding: Any) -> None:
    held = PrefixCache(10**9)
    boundary = [1 + i % 60 for i in range(40)]
    cache = make_prompt_cache(sliding)
    prefill(sliding, boundary, cache)
    import copy

    held.store("m", boundary, copy.deepcopy(cache))
    prefill(sliding, [7, 8, 9], cache)
    held.store("m", [*boundary, 7, 8, 9], cache)
    prompt = [*boundary, 50, 51]
    found, shared = held.fetch("m", prompt)
    assert shared == len(boundary)
    assert found is not None
    reused = prefill(sliding, prompt[shared:], found)
    fresh = prefill(sliding, prompt, make_prompt_cache(sliding))
    np.testing.assert_allclose(reused, fresh, atol=2e-4)


def test_an_exact_hit_leaves_the_last_token_to_be_fed() -> None:
    held = PrefixCache(10**9)
    held.store("m", [1, 2, 3, 4], stored(4))
    cache, shared = held.fetch("m", [1, 2, 3, 4])
    assert shared == 3
    assert cache is not None
    assert cache[0].offset == 3


def test_what_is_fetched_is_a_copy() -> None:
    held = PrefixCache(10**9)
    held.store("m", [1, 2, 3, 4], stored(4))
    first, _ = held.fetch("m", [1, 2, 9])
    assert first is not None
    first[0].update_and_fetch(mx.ones((1, 1, 1, 4)), mx.ones((1, 1, 1, 4)))
    second, shared = held.fetch("m", [1, 2, 3, 4, 5])
    assert shared == 4
    assert second is not None
    assert np.array(second[0].keys_and_values()[0]).sum() == 0


def test_models_do_not_share_and_can_be_forgotten() -> None:
    held = PrefixCache(10**9)
    held.store("a", [1, 2, 3], stored(3))
    held.store("b", [1, 2, 3], stored(3))
    assert held.fetch("c", [1, 2, 3, 4])[1] == 0
    held.forget("a")
    assert held.fetch("a", [1, 2, 3, 4])[1] == 0
    assert held.fetch("b", [1, 2, 3, 4])[1] == 3


def test_a_longer_entry_replaces_the_prefixes_it_holds() -> None:
    held = PrefixCache(10**9)
    held.store("m", [1, 2], stored(2))
    held.store("m", [1, 2, 3, 4], stored(4))
    assert len(held) == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 30)), min_size=1, max_size=30))
def test_the_budget_holds_and_the_least_recent_goes_first(steps: list[tuple[int, int]]) -> None:
    one = sum(layer.nbytes for layer in stored(30))
    held = PrefixCache(3 * one)
    for start, length in steps:
        held.store("m", [start * 100 + i for i in range(length)], stored(length))
        assert held.nbytes <= held.budget
        assert held.fetch("m", [start * 100 + i for i in range(length + 1)])[1] == length


def test_a_fetch_refreshes() -> None:
    one = sum(layer.nbytes for layer in stored(30))
    held = PrefixCache(2 * one)
    for start in (1, 2):
        held.store("m", [start] * 30, stored(30))
    held.fetch("m", [1] * 31)
    held.store("m", [3] * 30, stored(30))
    assert held.fetch("m", [1] * 31)[1] == 30
    assert held.fetch("m", [2] * 31)[1] == 0
