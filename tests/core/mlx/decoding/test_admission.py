"""Prompts and memory: what is kept gives way, a prompt that does not fit yet waits, one that never will is refused."""

from __future__ import annotations

import gc
import time

import mlx.core as mx
import pytest

from core.calls.clock import Clock
from core.calls.events import Finished
from core.calls.generation import Generation
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.errors import OutOfMemory
from core.mlx.decoding.admission import ANSWER_FOR_FIT
from core.mlx.decoding.batch_support import Batching
from core.mlx.decoding.runtime import Runtime
from core.mlx.kv.image_embeddings import ImageEmbeddings
from core.mlx.kv.prefix_cache import PrefixCache
from core.mlx.kv.store import KvStore
from core.mlx.models.loading import LoadedWeights
from core.settings import Settings
from tests.core.mlx.decoding.conftest import MODEL

ONE, TWO, THREE = (f"{start} " + "word " * 500 for start in "abc")


class Tight:
    """A runtime with memory for the KV of so many tokens beside what is in use."""

    def __init__(self, weights: LoadedWeights, settings: Settings, tokens: int) -> None:
        assert weights.info.memory is not None
        gc.collect()  # what earlier tests left would be freed in the middle, and make room
        mx.synchronize()
        self.per_token = weights.info.memory.kv_per_token
        self.store = KvStore(
            PrefixCache(10**9), ImageEmbeddings(10**8), mx.get_active_memory() + tokens * self.per_token
        )
        self.runtime = Runtime(weights, settings, mx.default_stream(mx.default_device()), self.store, Batching.ALWAYS)

    def submit(self, text: str, max_tokens: int = 8) -> Generation:
        sampling = Sampling(temperature=0.0, max_tokens=max_tokens)
        turns = (Message.text(Role.USER, text),)
        generation = Generation(GenerationRequest(MODEL, turns, thinking=False, sampling=sampling), lambda _: None)
        self.runtime.submit(generation, Clock(time.monotonic()))
        return generation

    def run(self) -> None:
        while self.runtime.busy:
            self.runtime.step()


def test_a_prompt_that_cannot_fit_is_refused_with_the_numbers(weights: LoadedWeights, settings: Settings) -> None:
    tight = Tight(weights, settings, 600)
    refused, small = tight.submit("word " * 900), tight.submit("Hello!")
    tight.run()
    said = r"prompt of \d+ tokens and an answer of 8 takes about \d\.\d MB, and \d\.\d MB of the budget of .*Shorten"
    with pytest.raises(OutOfMemory, match=said):
        refused.result()
    assert small.result().text


def test_of_an_endless_answer_a_part_is_counted(weights: LoadedWeights, settings: Settings) -> None:
    tight = Tight(weights, settings, ANSWER_FOR_FIT)
    refused = tight.submit("Hello!", max_tokens=10**6)
    tight.run()
    with pytest.raises(OutOfMemory, match=f"an answer of {ANSWER_FOR_FIT} "):
        refused.result()


def test_a_prompt_waits_for_the_memory_of_a_running_one(weights: LoadedWeights, settings: Settings) -> None:
    tight = Tight(weights, settings, 800)
    first, second = tight.submit(ONE), tight.submit(TWO)
    order = []
    while tight.runtime.busy:
        tight.runtime.step()
        assert tight.runtime.running <= 1
        order += [name for name, one in (("first", first), ("second", second)) if _ended(one)]
    assert order == ["first", "second"]


def test_a_cancelled_prompt_no_longer_waits(weights: LoadedWeights, settings: Settings) -> None:
    tight = Tight(weights, settings, 800)
    tight.submit(ONE)
    second, third = tight.submit(TWO), tight.submit(THREE)
    tight.runtime.step()
    tight.runtime.cancel(second)
    tight.run()
    assert _ended(second)
    assert third.result().finished is not None


def test_kept_kv_gives_way_to_a_prompt(weights: LoadedWeights, settings: Settings) -> None:
    tight = Tight(weights, settings, 2600)
    for text in (ONE, TWO, THREE, "d " + "word " * 500):
        tight.submit(text)
        tight.run()
        mx.synchronize()
        assert mx.get_active_memory() <= tight.store.memory
    assert len(tight.store.prefixes) < 4
    assert len(tight.store.prefixes) > 0


def _ended(generation: Generation) -> bool:
    return any(isinstance(event, Finished) for event in generation.drain())
