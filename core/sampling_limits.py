"""The ranges of sampling values, checked before a model is touched."""

from __future__ import annotations

from core.errors import InvalidRequest
from core.requests import Sampling


def check_sampling(sampling: Sampling) -> None:
    """Raise InvalidRequest, with the value and what is allowed, for a field out of range."""
    ranges: list[tuple[str, float, float]] = [
        ("temperature", 0.0, 2.0),
        ("top_p", 0.0, 1.0),
        ("min_p", 0.0, 1.0),
        ("repetition_penalty", 0.01, 10.0),
        ("presence_penalty", -2.0, 2.0),
        ("frequency_penalty", -2.0, 2.0),
    ]
    for name, low, high in ranges:
        value = getattr(sampling, name)
        if value is not None and not low <= value <= high:
            raise InvalidRequest(f"{name} is {value}; it must lie between {low:g} and {high:g}.", name)
    for name in ("top_k", "logprobs"):
        value = getattr(sampling, name)
        if value is not None and value < 0:
            raise InvalidRequest(f"{name} is {value}; it must not be negative.", name)
    if sampling.logprobs is not None and sampling.logprobs > 20:
        raise InvalidRequest(f"logprobs is {sampling.logprobs}; at most 20 alternatives are reported.", "logprobs")
    if sampling.max_tokens is not None and sampling.max_tokens < 1:
        raise InvalidRequest(f"max_tokens is {sampling.max_tokens}; it must be at least 1.", "max_tokens")
    if any(not text for text in sampling.stop):
        raise InvalidRequest("A stop string is empty; leave it out.", "stop")
