"""How texts are packed into batches: bounded, first in first out, as large as time allows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from core.calls.clock import Clock
from core.calls.embedding import Embedding
from core.calls.requests import EmbeddingRequest
from core.catalog import ModelInfo, ModelKind
from core.errors import GenerationFailed
from core.mlx.embeddings import runtime as embedding_runtime
from core.mlx.embeddings.loading import LoadedEmbedder
from core.mlx.embeddings.runtime import STEP_S, EmbeddingRuntime
from core.mlx.models.lexicon import longest_text
from core.mlx.token_budget import TokenBudget
from core.settings import Settings

INFO = ModelInfo("a/b", Path("/none"), "folder", ModelKind.EMBEDDINGS, "bert", context_length=64)


class Tokenizer:
    """A token for each word."""

    calls = 0

    def __call__(self, texts: list[str], **_: Any) -> dict[str, list[list[int]]]:
        self.calls += 1
        return {"input_ids": [[1] * len(text.split()) for text in texts]}


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The lengths of the rows of each batch, as they are embedded."""
    seen: list[list[int]] = []

    def embed(loaded: LoadedEmbedder, rows: list[list[int]]) -> np.ndarray:
        seen.append([len(row) for row in rows])
        return np.array([[len(row), 1.0] for row in rows])

    monkeypatch.setattr(embedding_runtime, "embed", embed)
    return seen


@pytest.fixture
def runtime(settings: Settings) -> EmbeddingRuntime:
    loaded = LoadedEmbedder(INFO, None, Tokenizer(), 64, 0, 2)
    stream = mx.default_stream(mx.default_device())
    made = EmbeddingRuntime(loaded, settings.model_copy(update={"prefill_chunk": 40}), stream)
    made.budget = TokenBudget(40, 32, 40, STEP_S)
    return made


def submit(runtime: EmbeddingRuntime, *lengths: int) -> Embedding:
    embedding = Embedding(EmbeddingRequest("a/b", tuple(" ".join(["w"] * length) for length in lengths)))
    runtime.submit(embedding, Clock(0.0))
    return embedding


def run(runtime: EmbeddingRuntime) -> None:
    while runtime.busy:
        runtime.step()


def test_batches_hold_at_most_the_limit_padding_included(runtime: EmbeddingRuntime, batches: list[list[int]]) -> None:
    one, two = submit(runtime, 20, 3, 5, 60, 4), submit(runtime, 2, 30)
    assert runtime.waiting == 2
    run(runtime)
    assert batches == [[3, 4, 5], [20], [60], [2], [30]]
    assert all(len(batch) * max(batch) <= 40 or len(batch) == 1 for batch in batches)
    assert [vector[0] for vector in one.future.result(0).vectors] == [20, 3, 5, 60, 4]
    assert one.future.result(0).prompt_tokens == 92
    assert [vector[0] for vector in two.future.result(0).vectors] == [2, 30]


def test_small_requests_share_one_step(runtime: EmbeddingRuntime, batches: list[list[int]]) -> None:
    asked = [submit(runtime, 3) for _ in range(10)]
    runtime.step()
    assert batches == [[3] * 10]
    assert all(embedding.done for embedding in asked)
    assert not runtime.busy


def test_a_long_list_is_tokenized_as_it_is_embedded(runtime: EmbeddingRuntime, batches: list[list[int]]) -> None:
    embedding = submit(runtime, *[4] * 320)
    runtime.step()
    assert runtime.running == 1
    assert runtime.loaded.tokenizer.calls == 1
    run(runtime)
    assert runtime.loaded.tokenizer.calls == 10
    assert len(embedding.future.result(0).vectors) == 320


def test_a_cancelled_request_leaves_at_the_next_step(runtime: EmbeddingRuntime, batches: list[list[int]]) -> None:
    first, second = submit(runtime, *[10] * 40), submit(runtime, 7)
    runtime.step()
    assert first.future.cancel()
    runtime.step()
    assert batches == [[10] * 4, [7]]
    assert second.done
    assert not runtime.busy
    third = submit(runtime, 5)
    assert runtime.cancel(third)
    assert third.future.cancelled()
    assert not runtime.cancel(third)


def test_the_batch_follows_the_clock(runtime: EmbeddingRuntime, batches: list[list[int]]) -> None:
    runtime.budget = TokenBudget(80, 32, 400, STEP_S)
    submit(runtime, *[8] * 100)
    runtime.step()
    runtime.step()
    assert len(batches[0]) == 10
    assert len(batches[1]) > 10, "what is embedded here takes no tenth of a second"


def test_what_fails_fails_alone(
    runtime: EmbeddingRuntime, batches: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    good, long, after = submit(runtime, 3), submit(runtime, 4, 65), submit(runtime, 5)
    run(runtime)
    assert good.future.result(0).vectors == [[3.0, 1.0]]
    assert after.future.result(0).vectors == [[5.0, 1.0]]
    with pytest.raises(Exception, match=r"input\[1\] has 65 tokens"):
        long.future.result(0)

    def broken(*_: Any, **__: Any) -> None:
        raise ValueError("no")

    monkeypatch.setattr(Tokenizer, "__call__", broken)
    with pytest.raises(GenerationFailed, match="ValueError: no"):
        (submit(runtime, 3), run(runtime))[0].future.result(0)


def test_positions_that_start_late_shorten_the_window() -> None:
    """XLM-RoBERTa counts positions from its padding token's id: 514 of them hold 512 tokens."""
    roberta = replace(INFO, family="xlm-roberta", context_length=514)
    assert longest_text(roberta, 1, SimpleNamespace(model_max_length=10**30)) == 512
    assert longest_text(replace(INFO, context_length=512), 1, SimpleNamespace(model_max_length=256)) == 256
    assert longest_text(replace(INFO, context_length=None), None, SimpleNamespace(model_max_length=None)) == 512
