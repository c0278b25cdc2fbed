"""Requests read: tokens, samplers, constraints, and where their KV will be copied."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from core.calls.clock import Clock
from core.calls.requests import Message, Role, Sampling
from core.errors import ContextOverflow, EngineError, GenerationFailed, InvalidRequest
from core.mlx.decoding.prefill_task import PrefillTask
from core.mlx.decoding.reader import RequestReader
from core.mlx.kv.store import KvStore
from core.mlx.models.loading import LoadedWeights
from core.mlx.models.templates import finished
from tests.core.mlx.decoding.conftest import generation


def failure(error: Exception) -> EngineError:
    return GenerationFailed(str(error))


def read(reader: RequestReader, text: str = "Hi", **changes: object) -> PrefillTask:
    handle = generation(text)
    handle.request = replace(handle.request, **changes)  # type: ignore[arg-type]
    return finished(reader.read(handle, Clock(time.monotonic())))


def test_a_prompt_is_named_by_its_tokens_and_waits_for_all_of_them(reader: RequestReader) -> None:
    task = read(reader, "What is the capital of France?")
    assert task.row.key == task.inputs.tokens
    assert task.row.prompt_tokens == task.inputs.length == task.left + 1
    assert task.work is None
    assert task.row.snapshot_points == []


def test_greedy_rows_share_a_sampler_and_others_do_not(reader: RequestReader) -> None:
    greedy = [read(reader).row.sampler for _ in range(2)]
    drawn = [read(reader, sampling=Sampling(temperature=1.0)).row.sampler for _ in range(2)]
    assert greedy[0] is greedy[1]
    assert drawn[0] is not drawn[1]


def test_a_schema_and_penalties_become_processors(reader: RequestReader) -> None:
    assert read(reader).row.processors == []
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert len(read(reader, json_schema=schema).row.processors) == 1
    assert len(read(reader, json_schema=schema, sampling=Sampling(presence_penalty=1.0)).row.processors) == 2


def test_a_schema_that_no_grammar_can_hold_is_refused_before_the_first_token(reader: RequestReader) -> None:
    with pytest.raises(InvalidRequest, match=r"The JSON schema cannot be used: .*Simplify it there, or leave it out\."):
        read(reader, json_schema={"type": "string", "minLength": 3, "maxLength": 2})


def test_a_prompt_over_the_window_is_refused_with_the_numbers(reader: RequestReader, weights: LoadedWeights) -> None:
    with pytest.raises(ContextOverflow, match=rf"reads at most {weights.context_length}"):
        read(reader, "word " * (weights.context_length + 10))


def test_where_snapshots_are_wanted_they_lie_at_the_system_prompts_end_and_before_the_answer(
    weights: LoadedWeights, store: KvStore
) -> None:
    reader = RequestReader(weights, store.prefixes, True, store.meter, failure)
    system = Message.text(Role.SYSTEM, "You are a helpful assistant. " * 20)
    task = read(reader, messages=(system, Message.text(Role.USER, "Hi")))
    opening, turn = task.row.snapshot_points
    assert 64 <= opening < turn < task.inputs.length


def test_the_first_space_belongs_to_an_answer_that_goes_on(reader: RequestReader, weights: LoadedWeights) -> None:
    begun = (Message.text(Role.USER, "Where?"), Message.text(Role.ASSISTANT, "The capital of"))
    texts = []
    for task in (read(reader), read(reader, messages=begun), read(reader, messages=(), prompt="The capital of")):
        for token in weights.tokenizer.encode(" France", add_special_tokens=False):
            task.row.detokenizer.add_token(token)
        task.row.detokenizer.finalize()
        texts.append(task.row.detokenizer.last_segment)
    assert texts == ["France", " France", " France"]
