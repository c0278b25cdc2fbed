"""Per-row samplers and logits processors: rows of one batch each follow their own temperature, seed and penalties."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import mlx.core as mx
from mlx_lm.sample_utils import greedy_sampler, make_logits_processors

from core.calls.requests import Sampling
from core.errors import InvalidRequest

Sampler = Callable[[mx.array], mx.array]
LogitsProcessor = Callable[[mx.array, mx.array], mx.array]

PENALTY_CONTEXT = 256
"""Tokens that penalties look back on: a paragraph. mlx-lm's default of 20 misses a repeated sentence."""


@dataclass(frozen=True)
class Defaults:
    """What a model's generation_config.json asks for; used where a request says nothing."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float | None = None

    @classmethod
    def from_generation_config(cls, config: Mapping[str, Any]) -> Defaults:
        """Read the fields that are there; do_sample false means greedy."""
        known = {name: config[name] for name in cls.__dataclass_fields__ if config.get(name) is not None}
        defaults = cls(**known)
        if config.get("do_sample") is False:
            defaults = replace(defaults, temperature=0.0)
        return defaults


def resolve(sampling: Sampling, defaults: Defaults) -> Sampling:
    """The sampling that will be in force, whoever asked for it: the request, else the model, else we.

    Only `max_tokens` may be left open: the window sets it.
    """
    return replace(
        sampling,
        temperature=_first(sampling.temperature, defaults.temperature),
        top_p=_first(sampling.top_p, defaults.top_p),
        top_k=int(_first(sampling.top_k, defaults.top_k)),
        min_p=_first(sampling.min_p, defaults.min_p),
        repetition_penalty=_first(sampling.repetition_penalty, defaults.repetition_penalty, 1.0),
        presence_penalty=_first(sampling.presence_penalty, 0.0),
        frequency_penalty=_first(sampling.frequency_penalty, 0.0),
        seed=_first(sampling.seed, secrets.randbits(63)),
    )


def make_sampler(sampling: Sampling) -> Sampler:
    """A sampler over log-probabilities of shape (1, vocabulary) that returns token ids of shape (1,).

    `sampling` has been resolved. Each sampled row holds its own PRNG key, so that a seed gives the same draws alone and
    in a batch.
    """
    temperature, top_p, top_k, min_p = sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p
    assert temperature is not None
    assert top_p is not None
    assert top_k is not None
    assert min_p is not None
    assert sampling.seed is not None
    if temperature == 0 or top_p <= 0:  # top_p 0 leaves one token, even of equals
        shared: Sampler = greedy_sampler  # one object for all: a batch of greedy rows is then sampled in one call
        return shared
    key = mx.random.key(sampling.seed & (2**64 - 1))

    def sample(logprobs: mx.array) -> mx.array:
        nonlocal key
        key, use = mx.random.split(key)
        ids, kept = candidates(logprobs, top_k, top_p, min_p)
        drawn = mx.random.categorical(kept * (1 / temperature), key=use)
        return drawn if ids is None else mx.take_along_axis(ids, drawn[:, None], axis=-1).squeeze(-1)

    return sample


def candidates(logprobs: mx.array, top_k: int, top_p: float, min_p: float) -> tuple[mx.array | None, mx.array]:
    """The tokens that may be drawn, given log-probabilities of shape (1, vocabulary), and theirs; -inf is ruled out.

    Ids are None where they are the positions. What stays is what stays with mlx_lm.sample_utils, one filter after the
    other. Those are compiled with their limits as constants: a value not seen before stops everything for as long as
    the compiler takes, more than a second on a CPU. Here, only the few that top_k leaves are sorted and drawn from.
    """
    ids = None
    if 0 < top_k < logprobs.shape[-1]:
        ids = mx.argpartition(-logprobs, kth=top_k - 1, axis=-1)[..., :top_k]
        logprobs = mx.take_along_axis(logprobs, ids, axis=-1)
    kept = logprobs.astype(mx.float32)
    if top_p < 1:
        ordered = -mx.sort(-kept, axis=-1)
        masses = mx.exp(ordered)
        above = mx.cumsum(masses, axis=-1) - masses  # of the tokens that are likelier
        least = mx.min(mx.where(above < top_p, ordered, mx.inf), axis=-1, keepdims=True)
        kept = mx.where(kept < least, -mx.inf, kept)
    if min_p > 0:
        kept = mx.where(kept < mx.max(kept, axis=-1, keepdims=True) + math.log(min_p), -mx.inf, kept)
    return ids, kept


def make_processors(sampling: Sampling, vocabulary: int) -> list[LogitsProcessor]:
    """Penalties and logit bias of one row, resolved. Raises InvalidRequest for a biased token that does not exist."""
    for token in sampling.logit_bias or {}:
        if not 0 <= token < vocabulary:
            raise InvalidRequest(f"logit_bias names token {token}; this model has {vocabulary} tokens.", "logit_bias")
    processors: list[LogitsProcessor] = make_logits_processors(
        dict(sampling.logit_bias or {}) or None,
        None if sampling.repetition_penalty == 1.0 else sampling.repetition_penalty,
        PENALTY_CONTEXT,
        sampling.presence_penalty or None,
        PENALTY_CONTEXT,
        sampling.frequency_penalty or None,
        PENALTY_CONTEXT,
    )
    return processors


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
