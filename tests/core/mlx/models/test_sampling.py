"""Samplers: what may be drawn is what mlx-lm's filters leave, and a seed repeats whatever else is in the batch."""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.sample_utils import apply_min_p, apply_top_k, apply_top_p

from core.calls.requests import Sampling
from core.mlx.models.sampling import Defaults, candidates, make_sampler, resolve

VOCABULARY = 64


def logprobs(seed: int) -> mx.array:
    logits = 3 * mx.random.normal((1, VOCABULARY), key=mx.random.key(seed))
    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)


@pytest.mark.parametrize("top_k", [0, 1, 5, VOCABULARY])
@pytest.mark.parametrize("top_p", [0.01, 0.9, 1.0])
@pytest.mark.parametrize("min_p", [0.0, 0.1, 1.0])
def test_what_may_be_drawn_is_what_the_librarys_filters_leave(top_k: int, top_p: float, min_p: float) -> None:
    for seed in range(3):
        theirs = given = logprobs(seed)
        if 0 < top_p < 1:
            theirs = apply_top_p(theirs, top_p)
        if min_p > 0:
            theirs = apply_min_p(theirs, min_p)
        if 0 < top_k < VOCABULARY:
            theirs = apply_top_k(theirs, top_k)
        ids, kept = candidates(given, top_k, top_p, min_p)
        ours = np.full(VOCABULARY, -np.inf, np.float32)
        ours[np.arange(VOCABULARY) if ids is None else np.array(ids)[0]] = np.array(kept)[0]
        assert np.isfinite(ours).any()
        np.testing.assert_allclose(ours, np.array(theirs)[0], rtol=1e-6)


def test_draws_follow_the_probabilities() -> None:
    given = mx.log(mx.array([[0.5, 0.25, 0.125, 0.125]]))
    sample = make_sampler(resolve(Sampling(temperature=1.0, top_k=2, seed=5), Defaults()))
    drawn = [int(sample(given).item()) for _ in range(600)]
    assert set(drawn) == {0, 1}
    assert drawn.count(0) / len(drawn) == pytest.approx(2 / 3, abs=0.08)


def test_a_masked_token_is_never_drawn_even_when_top_k_has_room() -> None:
    given = mx.array([[-math.inf, 0.0, -math.inf, -math.inf]])
    for options in ({"top_k": 3}, {"top_p": 0.9}, {"min_p": 0.1}, {"top_k": 3, "top_p": 0.9, "min_p": 0.1}):
        sample = make_sampler(resolve(Sampling(temperature=2.0, seed=1, **options), Defaults()))  # type: ignore[arg-type]
        assert {int(sample(given).item()) for _ in range(20)} == {1}


def test_a_seed_repeats_and_another_differs() -> None:
    def draws(seed: int) -> list[int]:
        sample = make_sampler(resolve(Sampling(temperature=1.0, top_p=0.95, seed=seed), Defaults()))
        return [int(sample(logprobs(step)).item()) for step in range(30)]

    assert draws(7) == draws(7)
    assert draws(7) != draws(8)
