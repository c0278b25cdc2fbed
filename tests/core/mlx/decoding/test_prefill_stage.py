"""On the way into the batch: whose prompt is read next, and what happens to one that ends before it is there."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import pytest
from mlx_lm.models.cache import make_prompt_cache

from core.calls.events import FinishReason
from core.errors import EngineClosed, GenerationFailed
from core.mlx.decoding.batch import Batch
from core.mlx.decoding.prefill_stage import PrefillStage
from core.mlx.decoding.prefill_task import OLDEST_EVERY, PrefillTask, next_alone, next_group
from core.mlx.decoding.prefix_reuse import PrefixReuse
from core.mlx.decoding.scorer import Scorer
from core.mlx.decoding.text_prefill import TextPrefill
from core.mlx.kv.store import KvStore
from core.mlx.models.loading import LoadedWeights
from core.mlx.token_budget import TokenBudget

CHUNK = 64
Read = Callable[[str], PrefillTask]


@pytest.fixture
def stage(weights: LoadedWeights, store: KvStore) -> PrefillStage:
    reuse = PrefixReuse(weights.info.id, store.prefixes, make_prompt_cache(weights.model))
    stream, budget = mx.default_stream(mx.default_device()), TokenBudget(CHUNK, CHUNK, 4 * CHUNK, 0.0)
    batch = Batch(weights.model, weights, reuse, budget, stream, rows=4, joint_rows=4, chunk=4 * CHUNK)
    failure = lambda error: GenerationFailed(repr(error))  # noqa: E731
    scorer = Scorer(weights.model, weights, reuse, budget, stream, rows=4, joint_rows=4)
    return PrefillStage(weights, weights.model, batch, scorer, reuse, store.images, budget, stream, 4, failure)


@pytest.fixture
def begun(weights: LoadedWeights, read: Read) -> Read:
    """Texts to tasks of whose prompts nothing is known yet."""

    def begun(text: str) -> PrefillTask:
        task = read(text)
        task.work = TextPrefill(weights.model, task.inputs, None, 0)
        return task

    return begun


def test_prompts_share_a_chunk_with_their_padding(begun: Read) -> None:
    short, other, long = begun("a"), begun("b"), begun("word " * 200)
    width = short.left
    assert next_group([short, long, other], 2 * width, 4) == [short, other]
    assert next_group([short, long, other], 2 * width - 1, 4) == [short]
    assert next_group([short, long, other], 2 * width, 1) == [short]


def test_the_shortest_rest_goes_first_and_the_oldest_now_and_then(begun: Read) -> None:
    oldest, shorter = begun("word " * 300), begun("word " * 200)
    turns = [next_alone([oldest, shorter], CHUNK, turn) for turn in range(OLDEST_EVERY + 1)]
    assert turns == [oldest, *[shorter] * (OLDEST_EVERY - 1), oldest]
    assert next_alone([begun("a")], CHUNK, 0) is None, "the batch can read it"


@pytest.mark.parametrize("who", ["nobody", "row", "prompt", "model"])
def test_pieces_are_small_on_a_slow_machine_where_others_stand_for_them(
    stage: PrefillStage, read: Read, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    stage._budget = budget = TokenBudget(CHUNK, CHUNK, 4 * CHUNK, 1e-6)
    budget.saw(CHUNK, 1.0)
    assert budget.beside == CHUNK // 4
    monkeypatch.setattr(budget, "saw", lambda tokens, seconds: None)
    if who == "row":
        other = read("short")
        stage.enter([other])
        stage.step()
        while stage._batch.entering:
            stage._batch.step()
        assert len(stage._batch) == 1
    if who == "prompt":
        stage.enter([read("word " * 290)])
    if who == "model":
        stage._beside = lambda: True
    task = read("other " * 250)
    stage.enter([task])
    stage.step()
    assert task.work is not None
    stage.step()
    done = [other.work.done for other in stage.tasks if other.work is not None]
    assert sum(done) == (2 * CHUNK if who == "nobody" else CHUNK // 2)


def test_a_prompt_that_is_cancelled_leaves_what_was_read(stage: PrefillStage, read: Read, store: KvStore) -> None:
    task = read("word " * 200)
    stage.tasks.append(task)
    stage.step()
    stage.step()
    assert stage.cancel(task.row.generation)
    assert not stage.cancel(task.row.generation)
    finished = task.row.generation.result().finished
    assert finished is not None
    assert finished.reason is FinishReason.CANCELLED
    assert store.prefixes.longest("pocket/qwen3", task.row.key) == 2 * CHUNK


def test_a_prompt_over_which_the_model_raises_ends_alone(
    stage: PrefillStage, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = read("word " * 150), read("other " * 150)
    stage.tasks += [bad, good]
    stage.step()
    assert bad.work is not None
    monkeypatch.setattr(bad.work, "step", lambda chunk, boundary: 1 / 0)
    while bad in stage.tasks:
        stage.step()
    assert "ZeroDivisionError" in str(bad.row.generation.error)
    while stage.tasks:
        stage.step()
    assert good.row.uid is not None


def test_closing_ends_everyone_with_the_reason(stage: PrefillStage, read: Read) -> None:
    task = read("word " * 200)
    stage.tasks.append(task)
    stage.fail(EngineClosed("over"))
    assert str(task.row.generation.error) == "over"
    assert len(stage) == 0
