"""A runtime step by step, driven by hand: who waits for whom, what a cancel costs, whose fault is whose."""

from __future__ import annotations

import time
from typing import Any

import mlx.core as mx
import pytest

from core.calls.clock import Clock
from core.calls.events import Event, Finished, FinishReason, Prefill, Queued, TextDelta
from core.calls.generation import Generation
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.catalog import Catalog
from core.errors import GenerationFailed, InvalidRequest
from core.media.images import ImageData
from core.mlx.budget import memory_budget
from core.mlx.decoding.batch_support import Batching
from core.mlx.decoding.runtime import Runtime
from core.mlx.kv.image_embeddings import ImageEmbeddings
from core.mlx.kv.prefix_cache import PrefixCache
from core.mlx.kv.store import KvStore
from core.mlx.models.loading import LoadedWeights
from core.settings import Settings
from tests.core.mlx.decoding.conftest import MODEL
from tests.core.mlx.loaded import load
from tests.pictures import png

CHUNK = 64


class Bench:
    """A runtime on this thread, and the events of its generations as each step brings them."""

    def __init__(self, weights: LoadedWeights, settings: Settings) -> None:
        self.settings = settings
        store = KvStore(PrefixCache(10**9), ImageEmbeddings(10**8), memory_budget(settings))
        self.runtime = Runtime(weights, settings, mx.default_stream(mx.default_device()), store, Batching.ALWAYS)

    def submit(self, text: str, *images: ImageData, **sampling: Any) -> Generation:
        options = {"temperature": 0.0, "max_tokens": 200} | sampling
        request = GenerationRequest(
            MODEL, (Message.text(Role.USER, text, *images),), thinking=False, sampling=Sampling(**options)
        )
        generation = Generation(request, lambda _: None)
        self.runtime.submit(generation, Clock(time.monotonic()))
        return generation

    def step(self, *generations: Generation) -> list[list[Event]]:
        self.runtime.step()
        return [generation.drain() for generation in generations]

    def until(self, generation: Generation, kind: type[Event]) -> None:
        for _ in range(500):
            if any(isinstance(event, kind) for event in self.step(generation)[0]):
                return
        raise AssertionError(f"no {kind.__name__} in 500 steps")


@pytest.fixture
def bench(weights: LoadedWeights, settings: Settings) -> Bench:
    return Bench(weights, settings.model_copy(update={"prefill_chunk": CHUNK, "max_batch": 4}))


def test_a_long_prompt_costs_a_running_stream_one_chunk_a_step(bench: Bench) -> None:
    running = bench.submit("Count from 1 to 60.", logprobs=0)
    bench.until(running, TextDelta)
    long = bench.submit("word " * 900)
    prefilled, tokens, steps = 0, 0, 0
    while not long.admitted or prefilled < 800:
        of_running, of_long = bench.step(running, long)
        steps += 1
        done = [event.done for event in of_long if isinstance(event, Prefill)]
        assert not done or max(done) - prefilled <= CHUNK
        prefilled = max([prefilled, *done])
        tokens += sum(len(event.logprobs) for event in of_running if isinstance(event, TextDelta))
        assert steps < 100
    assert tokens >= steps - 2  # a space is held back until a word follows; no step passes the stream by


def test_where_chunks_are_quick_a_step_takes_more_and_larger_ones(weights: LoadedWeights, settings: Settings) -> None:
    changes = {"prefill_chunk": CHUNK, "prefill_ms": 60_000, "max_batch": 4}
    bench = Bench(weights, settings.model_copy(update=changes))
    long = bench.submit("word " * 900)
    done = [event.done for event in bench.step(long)[0] if isinstance(event, Prefill)]
    assert done[:3] == [0, CHUNK, 5 * CHUNK]
    assert done[-1] > 800
    bench.runtime.cancel(long)
    together = [bench.submit(f"{word} " * 50, max_tokens=1) for word in ("red", "blue", "green", "word")]
    steps = 0
    while not all(handle.done for handle in together):
        bench.step()
        steps += 1
    assert steps == 3, "apart, the last would end three steps after the first"


def test_a_short_request_does_not_wait_for_a_long_prompt(bench: Bench) -> None:
    long = bench.submit("word " * 900)
    bench.step(long)
    short = bench.submit("What is the capital of France? Answer in one word.")
    steps = 1
    while not any(isinstance(event, TextDelta) for event in bench.step(short, long)[0]):
        steps += 1
    assert steps <= 4
    assert not long.done


def test_several_long_prompts_cost_one_chunk_a_step_together(bench: Bench) -> None:
    handles = [bench.submit(f"{word} " * 150) for word in ("red", "blue", "green", "word")]
    done = [0] * len(handles)
    while sum(done) < 200:
        before = sum(done)
        for index, events in enumerate(bench.step(*handles)):
            done[index] = max([done[index], *[event.done for event in events if isinstance(event, Prefill)]])
        assert sum(done) - before <= CHUNK


def test_a_short_request_waits_for_no_further_chunk(bench: Bench) -> None:
    long = bench.submit("word " * 900)
    bench.step(long)
    short = bench.submit("What is the capital of France? Answer in one word.")
    chunks = 0
    while True:
        of_short, of_long = bench.step(short, long)
        chunks += sum(isinstance(event, Prefill) for event in of_long)
        if any(isinstance(event, TextDelta) for event in of_short):
            break
    assert chunks <= 1  # of the step in which its first token came
    assert not long.done


def test_no_stream_of_short_requests_keeps_a_long_prompt_waiting(bench: Bench) -> None:
    long = bench.submit("word " * 900, max_tokens=1)
    short: list[Generation] = []
    for step in range(200):
        if sum(not handle.done for handle in short) < 2:
            short.append(bench.submit(f"Hello {step}!", max_tokens=2))
        bench.step()
        if long.done:
            break
    assert long.done
    assert len(short) > 10


def test_images_are_read_one_a_step(catalog: Catalog, settings: Settings) -> None:
    bench = Bench(load(catalog, "pocket/qwen2-vl"), settings)
    handles = [bench.submit("What do you see?", png(colour)) for colour in ("red", "green", "blue")]
    for admitted in (1, 2, 3):
        bench.step()
        assert sum(handle.admitted for handle in handles) == admitted


def test_who_waits_for_a_shared_prefill_holds_nobody_else_up(bench: Bench) -> None:
    text = "word " * 900
    alike = [bench.submit(text + ending) for ending in ("one", "two")]
    other = bench.submit("What is the capital of France? Answer in one word.")
    bench.until(other, TextDelta)
    assert all(handle.admitted for handle in alike)
    while not all(handle.done for handle in alike):
        bench.step()
    usages = [handle.result().finished.usage for handle in alike]  # type: ignore[union-attr]
    assert usages[1].cached_tokens >= usages[0].prompt_tokens - 16


def test_a_prompt_cancelled_between_two_chunks_is_resumed(bench: Bench) -> None:
    first = bench.submit("word " * 900)
    while not any(event.done > 4 * CHUNK for event in bench.step(first)[0] if isinstance(event, Prefill)):
        pass
    assert bench.runtime.cancel(first)
    assert not bench.runtime.busy
    again = bench.submit("word " * 900, max_tokens=1)
    while not again.done:
        bench.step()
    assert again.result().finished.usage.cached_tokens > 4 * CHUNK  # type: ignore[union-attr]


def test_a_cancel_frees_the_row_before_the_next_step(bench: Bench) -> None:
    generation = bench.submit("Count from 1 to 60.")
    bench.until(generation, TextDelta)
    assert bench.runtime.cancel(generation)
    assert bench.runtime.running == 0
    assert generation.done
    assert not bench.runtime.busy


def test_requests_are_admitted_first_in_first_out(bench: Bench) -> None:
    running = [bench.submit("Count from 1 to 60.") for _ in range(4)]
    bench.step()
    waiting = [bench.submit(f"Hello! {number}") for number in range(3)]
    places = [[event.position for event in handle.drain() if isinstance(event, Queued)] for handle in waiting]
    assert places == [[1], [2], [3]]
    for handle in running[:1]:
        bench.runtime.cancel(handle)
    bench.step()
    assert [handle.admitted for handle in waiting] == [True, False, False]
    moved = [[event.position for event in handle.drain() if isinstance(event, Queued)] for handle in waiting]
    assert moved[1:] == [[1], [2]]


def test_a_long_queue_is_told_its_places_sparingly_and_at_its_head_exactly(bench: Bench) -> None:
    handles = [bench.submit(f"Hello! {number}", max_tokens=1) for number in range(120)]
    while bench.runtime.busy:
        bench.step()
    told = [[event.position for event in handle.drain() if isinstance(event, Queued)] for handle in handles]
    last = told[-1]
    assert last == sorted(last, reverse=True)
    assert last[0] == len(handles)
    assert len(last) < 40
    assert [place for place in last if place < 10] == sorted({place for place in last if place < 10}, reverse=True)
    assert min(last) <= 4


def test_a_processor_that_raises_ends_its_own_row_only(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy = bench.submit("Count from 1 to 20.")
    bench.until(healthy, TextDelta)

    def broken(*_: Any) -> list[Any]:
        def processor(context: mx.array, logits: mx.array) -> mx.array:
            raise InvalidRequest("this row is cursed")

        return [processor]

    with monkeypatch.context() as patch:
        patch.setattr("core.mlx.decoding.reader.make_processors", broken)
        cursed = bench.submit("Count from 1 to 20.")
        for _ in range(5):
            bench.step()
    with pytest.raises(InvalidRequest, match="cursed"):
        cursed.result()
    while not healthy.done:
        bench.step()
    assert healthy.error is None


def test_a_step_that_raises_fails_its_batch_and_the_next_request_works(
    bench: Bench, weights: LoadedWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    victims = [bench.submit("Count from 1 to 20.") for _ in range(2)]
    bench.until(victims[0], TextDelta)

    def broken(*_: Any, **__: Any) -> mx.array:
        raise RuntimeError("the GPU has gone fishing")

    with monkeypatch.context() as patch:
        patch.setattr(type(weights.model), "__call__", broken)
        bench.step()
    for victim in victims:
        with pytest.raises(GenerationFailed, match="gone fishing"):
            victim.result()
    again = bench.submit("What is the capital of France? Answer in one word.")
    while not again.done:
        bench.step()
    assert again.result().text == "Paris"


def test_a_thousand_queued_requests_take_little_memory(bench: Bench) -> None:
    import tracemalloc

    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    handles = [bench.submit("Count from 1 to 20. " * 20) for _ in range(1000)]
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 50e6
    for handle in handles:
        assert bench.runtime.cancel(handle)
        assert [type(event) for event in handle.drain()][-1] is Finished
    assert not bench.runtime.busy


def test_a_seed_gives_the_same_tokens_whoever_shares_the_batch(bench: Bench) -> None:
    def run(*texts: str) -> str:
        handles = [bench.submit(text, temperature=1.2, seed=11, max_tokens=20) for text in texts]
        while not all(handle.done for handle in handles):
            bench.step()
        return handles[0].result().text

    alone = run("Tell me a story.")
    assert run("Tell me a story.", "Count from 1 to 20.", "Hello!") == alone


def test_the_end_of_the_window_ends_the_answer(weights: LoadedWeights, settings: Settings) -> None:
    from dataclasses import replace

    bench = Bench(replace(weights, context_length=60), settings)
    generation = bench.submit("Count from 1 to 60.", max_tokens=None)
    while not generation.done:
        bench.step()
    finished = generation.result().finished
    assert finished is not None
    assert finished.reason is FinishReason.LENGTH
    assert finished.usage.prompt_tokens + finished.usage.completion_tokens == 60


def test_requests_that_begin_alike_share_one_prefill(bench: Bench) -> None:
    text = "word " * 300
    handles = [bench.submit(text + "Hello!", temperature=1.0, seed=seed, max_tokens=4) for seed in range(3)]
    handles.append(bench.submit(text + "What is the capital of France?", max_tokens=4))
    prefilled = 0
    while not all(handle.done for handle in handles):
        bench.step()
        assert bench.runtime.running <= 4
    usages = [handle.result().finished.usage for handle in handles]  # type: ignore[union-attr]
    prefilled = sum(usage.prompt_tokens - usage.cached_tokens for usage in usages)
    assert usages[0].cached_tokens == 0
    assert prefilled < usages[0].prompt_tokens + 60


def test_a_shared_prefill_changes_no_answer(bench: Bench) -> None:
    text = "My name is Ludmila. " * 20 + "Count from 1 to 20."
    together = [bench.submit(text, max_tokens=60) for _ in range(3)]
    while not all(handle.done for handle in together):
        bench.step()
    fresh = Bench(bench.runtime.loaded, bench.settings)
    alone = fresh.submit(text, max_tokens=60)
    while not alone.done:
        fresh.step()
    expected = alone.result().text
    assert [handle.result().text for handle in together] == [expected] * 3
