"""Requests for vectors in the queue: what goes into a batch, what is refused, and when a request is over."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from core.calls.clock import Clock
from core.calls.embedding import Embedding
from core.calls.requests import EmbeddingRequest
from core.catalog import ModelInfo, ModelKind
from core.errors import ContextOverflow, EngineClosed, GenerationFailed, InvalidRequest
from core.mlx.embeddings.loading import LoadedEmbedder
from core.mlx.embeddings.queue import CHARACTERS_AT_ONCE, TOKENIZED_AT_ONCE, Job, TextQueue

INFO = ModelInfo("a/b", Path("/none"), "folder", ModelKind.EMBEDDINGS, "bert", context_length=64)


class Tokenizer:
    """A token for each word; "!" cannot be read."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, texts: list[str], **_: Any) -> dict[str, list[list[int]]]:
        self.asked.append(len(texts))
        if "!" in texts:
            raise ValueError("no such character")
        return {"input_ids": [[1] * len(text.split()) for text in texts]}


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Tokenizer()


@pytest.fixture
def queue(tokenizer: Tokenizer) -> TextQueue:
    return TextQueue(LoadedEmbedder(INFO, None, tokenizer, 64, 0, 2), lambda error: GenerationFailed(repr(error)))


def add(queue: TextQueue, *texts: str, dimensions: int | None = None) -> Embedding:
    embedding = Embedding(EmbeddingRequest("a/b", texts, dimensions=dimensions))
    queue.add(embedding, Clock(time.monotonic()))
    return embedding


def answer(batch: list[tuple[Job, int]]) -> None:
    for job, place in batch:
        job.take(place, [float(place), 1.0])


def test_a_batch_takes_the_shortest_first_and_goes_over_the_requests(queue: TextQueue) -> None:
    add(queue, "w w w w", "w", "w w")
    add(queue, "w w w")
    sizes = [(len(job.tokens[place]), place) for job, place in queue.batch(12)]
    assert sizes == [(1, 1), (2, 2), (4, 0)]
    assert [len(job.tokens[place]) for job, place in queue.batch(12)] == [3]
    assert queue.batch(12) == []


def test_texts_are_tokenized_some_at_a_time(queue: TextQueue, tokenizer: Tokenizer) -> None:
    add(queue, *["w"] * (TOKENIZED_AT_ONCE + 5))
    queue.batch(1)
    assert tokenizer.asked == [TOKENIZED_AT_ONCE]
    queue.batch(10_000)
    assert tokenizer.asked == [TOKENIZED_AT_ONCE, 5]


def test_long_texts_are_tokenized_fewer_at_a_time(queue: TextQueue, tokenizer: Tokenizer) -> None:
    add(queue, *["w" * (CHARACTERS_AT_ONCE // 2), "w" * CHARACTERS_AT_ONCE, "w"])
    queue.batch(10_000)
    assert [count for count in tokenizer.asked if count > 1] == [2]


def test_a_text_far_over_the_window_is_not_tokenized_to_its_end(queue: TextQueue, tokenizer: Tokenizer) -> None:
    embedding = add(queue, "w " * 10_000_000)
    assert queue.batch(64) == []
    with pytest.raises(ContextOverflow, match=r"input\[0\] has more than 8192 tokens and a/b reads at most 64"):
        embedding.future.result()
    assert tokenizer.asked == [1]


def test_a_request_is_answered_in_the_order_of_its_inputs_once_all_are_done(queue: TextQueue) -> None:
    embedding = add(queue, "w w w", "w")
    answer(queue.batch(3))
    queue.finish()
    assert not embedding.done
    answer(queue.batch(3))
    queue.finish()
    result = embedding.future.result(0)
    assert result.vectors == [[0.0, 1.0], [1.0, 1.0]]
    assert result.prompt_tokens == 4
    assert len(queue) == 0


@pytest.mark.parametrize(
    ("text", "dimensions", "kind", "said"),
    [
        ("!", None, GenerationFailed, "no such character"),
        ("w " * 65, None, ContextOverflow, "65 tokens and a/b reads at most 64"),
        (" ", None, InvalidRequest, "comes to no tokens"),
        ("w", 3, InvalidRequest, "dimensions is 3; the vectors of a/b have 2 numbers"),
    ],
)
def test_what_cannot_be_read_ends_its_own_request(
    queue: TextQueue, text: str, dimensions: int | None, kind: type[Exception], said: str
) -> None:
    bad, good = add(queue, text, dimensions=dimensions), add(queue, "w")
    assert [job.embedding for job, _ in queue.batch(100)] == [good]
    with pytest.raises(kind, match=said):
        bad.future.result(0)
    assert len(queue) == 1


def test_who_has_cancelled_is_forgotten_and_the_others_end_with_the_reason(queue: TextQueue) -> None:
    first, second, third = add(queue, "w"), add(queue, "w"), add(queue, "w")
    first.future.cancel()
    queue.finish()
    assert queue.remove(second)
    assert not queue.remove(second)
    queue.fail(queue, EngineClosed("over"))
    with pytest.raises(EngineClosed, match="over"):
        third.future.result(0)
    assert len(queue) == 0
