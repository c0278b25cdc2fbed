"""The batch by itself: rows go in, decode, and leave their KV behind however they end."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import pytest
from mlx_lm.models.cache import make_prompt_cache

from core.calls.events import Finished, Prefill
from core.errors import GenerationFailed
from core.mlx.decoding.batch import Batch
from core.mlx.decoding.prefill_task import PrefillTask
from core.mlx.decoding.prefix_reuse import PrefixReuse
from core.mlx.decoding.text_prefill import TextPrefill
from core.mlx.kv.store import KvStore
from core.mlx.models.loading import LoadedWeights
from core.mlx.token_budget import TokenBudget

Insert = Callable[..., PrefillTask]


@pytest.fixture
def batch(weights: LoadedWeights, store: KvStore) -> Batch:
    reuse = PrefixReuse(weights.info.id, store.prefixes, make_prompt_cache(weights.model))
    stream = mx.default_stream(mx.default_device())
    budget = TokenBudget(64, 64, 256, 0.0)
    return Batch(weights.model, weights, reuse, budget, stream, rows=4, joint_rows=4, chunk=256)


@pytest.fixture
def insert(batch: Batch, weights: LoadedWeights, read: Callable[[str], PrefillTask]) -> Insert:
    """Let a request in, after `done` tokens of its prompt have been read."""

    def insert(text: str, done: int = 0) -> PrefillTask:
        task = read(text)
        work = task.work = TextPrefill(weights.model, task.inputs, None, 0)
        if done:
            work.step(done)
        batch.insert(task)
        return task

    return insert


def test_a_row_decodes_from_wherever_its_prompt_was_read_to(batch: Batch, insert: Insert) -> None:
    whole, rest = insert("What is the capital of France?"), insert("What is the capital of France?", done=8)
    assert (len(batch), batch.entering, batch.reading) == (2, True, True)
    while len(batch):
        batch.step()
    texts = [task.row.generation.result().text for task in (whole, rest)]
    assert texts[0] == texts[1] != ""
    done = [event.done for event in whole.row.generation.drain() if isinstance(event, Prefill)]
    assert done == sorted(done)


def test_a_row_that_is_taken_out_leaves_its_kv(batch: Batch, insert: Insert, store: KvStore) -> None:
    task = insert("Count from 1 to 20.")
    while batch.entering:
        batch.step()
    assert batch.find(task.row.generation) is task.row
    cache, held = batch.cache_of(task.row)
    assert held >= task.inputs.length
    assert cache[0].offset == held
    batch.remove(task.row)
    batch.remove(task.row)  # again: nothing happens
    assert len(batch) == 0
    assert batch.find(task.row.generation) is None
    assert store.prefixes.longest("pocket/qwen3", task.row.key) == task.inputs.length - 1


def test_a_failed_step_leaves_nothing_and_the_next_row_works(batch: Batch, insert: Insert, store: KvStore) -> None:
    task = insert("Count from 1 to 20.")
    batch.step()
    batch.fail(GenerationFailed("a step raised"))
    batch.restart()
    assert str(task.row.generation.error) == "a step raised"
    assert len(store.prefixes) == 0
    other = insert("What is the capital of France?")
    while len(batch):
        batch.step()
    assert isinstance(other.row.generation.drain()[-1], Finished)
