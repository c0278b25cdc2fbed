"""One row: its tokens become events, its end is told, and what raises in it is its own."""

from __future__ import annotations

import gc
import time
from dataclasses import replace
from weakref import ref

import mlx.core as mx
import pytest

from core.calls.clock import Clock
from core.calls.events import Finished, FinishReason, TextDelta
from core.calls.requests import Sampling
from core.errors import EngineError, GenerationFailed, InvalidRequest
from core.mlx.decoding.output import OutputParser
from core.mlx.decoding.row import Row
from core.mlx.models.loading import LoadedWeights
from tests.core.mlx.decoding.conftest import generation


def make(weights: LoadedWeights, stop: tuple[str, ...] = (), logprobs: int | None = None) -> Row:
    handle = generation("Hi")
    handle.request = replace(handle.request, sampling=Sampling(stop=stop, logprobs=logprobs))
    tokenizer = weights.tokenizer
    parser = OutputParser(weights.markers, stop=stop)
    return Row(
        handle, Clock(time.monotonic()), parser, weights.spelling, tokenizer.detokenizer, 5, key=[1, 2, 3, -9, -9]
    )


@pytest.fixture
def row(weights: LoadedWeights) -> Row:
    return make(weights)


def say(row: Row, weights: LoadedWeights, text: str, ends: str | None = None) -> list[bool]:
    tokens = weights.tokenizer.encode(text, add_special_tokens=False)
    scores = mx.log(mx.full((weights.vocabulary,), 1 / weights.vocabulary))
    last = len(tokens) - 1
    return [row.token(token, scores, ends if place == last else None, 2) for place, token in enumerate(tokens)]


def test_tokens_become_text_and_the_end_is_told(row: Row, weights: LoadedWeights) -> None:
    assert not any(say(row, weights, "Paris is in France.", ends="length"))
    row.finish(FinishReason.LENGTH)
    result = row.generation.result()
    assert result.text == "Paris is in France."
    assert result.finished is not None
    assert result.finished.reason is FinishReason.LENGTH
    assert (result.finished.usage.prompt_tokens, result.finished.usage.completion_tokens) == (5, row.completion_tokens)
    assert result.finished.timing.batch_size == 2
    assert result.finished.timing.ttft_s > 0


def test_a_stop_string_is_cut_and_named(weights: LoadedWeights) -> None:
    row = make(weights, stop=("France",))
    stopped = say(row, weights, "Paris is in France. And more.")
    assert stopped[-1]
    row.finish(FinishReason.STOP)
    result = row.generation.result()
    assert result.text == "Paris is in "
    assert result.finished is not None
    assert result.finished.stop_sequence == "France"


def test_each_token_is_scored_if_that_is_asked(weights: LoadedWeights) -> None:
    row = make(weights, logprobs=2)
    say(row, weights, "Paris.")
    events = [event for event in row.generation.drain() if isinstance(event, TextDelta)]
    scored = [one for event in events for one in event.logprobs]
    assert "".join(one.text for one in scored).strip() == "Paris."
    assert all(len(one.top) == 2 and one.logprob == pytest.approx(-7.3, abs=0.5) for one in scored)


@pytest.mark.parametrize("raised", [ValueError("bad"), InvalidRequest("no such token")])
def test_what_a_processor_raises_is_kept_and_it_is_not_asked_again(row: Row, raised: Exception) -> None:
    asked = []

    def broken(context: mx.array, logits: mx.array) -> mx.array:
        asked.append(1)
        raise raised

    guarded = row.guarded(broken, lambda error: GenerationFailed(f"failed: {error}"))
    logits = mx.zeros((1, 4))
    assert guarded(mx.array([1]), logits) is logits
    assert guarded(mx.array([1]), logits) is logits
    assert len(asked) == 1
    assert isinstance(row.error, EngineError)
    assert str(raised) in str(row.error)


def test_the_key_names_images_in_the_prompt_and_tokens_after_it(row: Row) -> None:
    assert row.tokens_key([1, 2, 3, 70, 70, 8, 9]) == [1, 2, 3, -9, -9, 8, 9]
    assert row.tokens_key([1, 2, 3, 70]) == [1, 2, 3, -9]


def test_a_row_that_ends_before_its_first_token_has_no_rates(row: Row) -> None:
    row.finish(FinishReason.CANCELLED)
    (last,) = row.generation.drain()
    assert isinstance(last, Finished)
    assert (last.timing.decode_tps, last.timing.ttft_s) == (0.0, 0.0)


def test_a_row_goes_with_all_it_holds_and_not_when_the_collector_comes(weights: LoadedWeights) -> None:
    class Heavy:
        def __call__(self, context: mx.array, logits: mx.array) -> mx.array:
            return logits

    heavy, row = Heavy(), make(weights)
    row.processors = [row.guarded(heavy, lambda error: GenerationFailed(f"failed: {error}"))]
    gone = ref(heavy)
    gc.disable()
    try:
        del heavy, row
        assert gone() is None
    finally:
        gc.enable()
