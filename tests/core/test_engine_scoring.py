"""Answers that are given and scored: the probabilities are the model's own, however they are computed."""

from __future__ import annotations

import gc
import time
from concurrent.futures import CancelledError
from dataclasses import replace

import mlx.core as mx
import numpy as np
import pytest

from core.calls.events import TextDelta
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.calls.scoring import Conditions, Score, ScoreRequest
from core.catalog import Catalog
from core.engine import Engine
from core.errors import ContextOverflow, InvalidRequest, ModelNotFound, ModelUnloaded, OutOfMemory, UnsupportedInput
from core.media.images import ImageData
from core.mlx.decoding import scorer
from core.mlx.pool import CONTEXT_FOR_FIT
from core.settings import Settings
from tests import pictures, raw_logits

TEXT, QUICK, FULL = "pocket/qwen3", "pocket/qwen2-vl", "pocket/gemma3"
COPY = "tiny/gemma3-4bit"
ASK = "What shape and color do you see?"
SQUARE = pictures.shape("square", (0, 160, 0), (40, 90, 150, 200))
CAPITAL = "What is the capital of France?"
LONE = Conditions(rows=1, kept=False)


def asked(model: str, text: str, *images: ImageData, **sampling: object) -> GenerationRequest:
    options = {"temperature": 0.0, "max_tokens": 40, "logprobs": 0} | sampling
    messages = (Message.text(Role.USER, text, *images),)
    return GenerationRequest(model, messages, thinking=False, sampling=Sampling(**options))  # type: ignore[arg-type]


def written(engine: Engine, request: GenerationRequest) -> tuple[int, ...]:
    return tuple(token.token_id for token in engine.generate(request).result().logprobs)


def score(engine: Engine, request: GenerationRequest, answer: str | tuple[int, ...], **more: object) -> Score:
    return engine.score(ScoreRequest(request, answer, **more)).result(60)  # type: ignore[arg-type]


def values(score: Score) -> list[float]:
    return [token.logprob for token in score.tokens]


def test_a_text_answers_probabilities_ranks_and_alternatives_are_those_of_the_raw_logits(engine: Engine) -> None:
    request = asked(TEXT, CAPITAL)
    prompt = list(engine.tokenize(request).result(60).tokens)
    answer = (*written(engine, request)[:-2], 7, 300)  # ends as no model would
    ours = score(engine, request, answer, top=3)
    raw = raw_logits.of_text(engine.catalog.get(TEXT).path, prompt, list(answer))
    assert [token.token_id for token in ours.tokens] == list(answer)
    chosen = [row[token] for row, token in zip(raw, answer, strict=True)]
    assert np.allclose(values(ours), chosen, atol=2e-3)
    assert [token.rank for token in ours.tokens] == [
        int((row > row[token]).sum()) + 1 for row, token in zip(raw, answer, strict=True)
    ]
    assert ours.tokens[-1].rank > 1
    for token, row in zip(ours.tokens, raw, strict=True):
        assert token.top[0].token_id == int(row.argmax())
        assert np.allclose([other.logprob for other in token.top], np.sort(row)[::-1][:3], atol=2e-3)
    assert ours.prompt_tokens == len(prompt)


@pytest.mark.parametrize("model", [QUICK, FULL])
def test_an_answer_to_an_image_is_scored_with_the_image_in_sight(engine: Engine, model: str) -> None:
    request = asked(model, ASK, SQUARE)
    answer = written(engine, request)
    ours = score(engine, request, answer)
    raw = raw_logits.of_vision(engine.catalog.get(model).path, ASK, SQUARE, list(answer))
    assert np.allclose(values(ours), [row[token] for row, token in zip(raw, answer, strict=True)], atol=2e-3)
    blind = score(engine, asked(model, ASK), answer)
    assert sum(values(ours)) > sum(values(blind)) + 1


@pytest.mark.parametrize(("model", "images"), [(TEXT, ()), (QUICK, (SQUARE,)), (FULL, (SQUARE,))])
def test_it_is_the_same_in_chunks_in_company_and_with_a_known_prompt(
    engine: Engine, model: str, images: tuple[ImageData, ...]
) -> None:
    request = asked(model, ASK, *images)
    answer = "It is a green triangle, says who?"
    alone = score(engine, request, answer, conditions=LONE)
    assert (alone.cached_tokens, alone.rows) == (0, 1)
    kept = score(engine, request, answer, conditions=Conditions(rows=1))
    assert kept.cached_tokens == alone.prompt_tokens - 1
    beside = score(engine, request, answer, conditions=Conditions(rows=4))
    assert beside.rows == 4
    paced = [score(engine, request, answer, conditions=Conditions(rows=1, pace=pace)) for pace in (1, 3)]
    for other in (kept, beside, *paced):
        assert np.allclose(values(other), values(alone), atol=2e-3)
    assert min(token.logprob for token in alone.tokens) < -3


def test_answers_of_unlike_lengths_share_their_passes(engine: Engine) -> None:
    answers = ["Paris", "The capital of France is Paris.", "Berlin, of course", "The capital"]
    alone = [score(engine, asked(TEXT, CAPITAL), answer, conditions=LONE) for answer in answers]
    futures = [engine.score(ScoreRequest(asked(TEXT, CAPITAL), answer)) for answer in answers]
    together = [future.result(60) for future in futures]
    assert max(score.rows for score in together) > 1
    for one, other in zip(alone, together, strict=True):
        assert np.allclose(values(one), values(other), atol=2e-3)


def test_few_logits_are_held_at_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []
    real = scorer._logprobs

    def seen(logits: object) -> object:
        shapes.append(logits.shape)  # type: ignore[attr-defined]
        return real(logits)  # type: ignore[arg-type]

    request = asked(TEXT, CAPITAL)
    whole = score(engine, request, "Paris, or is it London? " * 8, conditions=LONE)
    monkeypatch.setattr(scorer, "_logprobs", seen)
    monkeypatch.setattr(scorer, "SCORED_BYTES", 5 * 4 * 1536 + 100)  # the model has 1,536 tokens
    cut = score(engine, request, "Paris, or is it London? " * 8, conditions=LONE)
    assert {shape[-1] for shape in shapes} == {1536}
    assert max(shape[0] for shape in shapes) == 5
    assert np.allclose(values(whole), values(cut), atol=2e-3)


def test_a_running_answer_goes_on_beside_a_long_one_that_is_scored(engine: Engine) -> None:
    talk = replace(asked(TEXT, "Count.", max_tokens=300), ignore_eos=True)
    generation = engine.generate(talk)
    events = iter(generation)
    next(event for event in events if isinstance(event, TextDelta))
    slow = ScoreRequest(asked(TEXT, CAPITAL), "Paris is it. " * 60, conditions=Conditions(rows=1, pace=2))
    future = engine.score(slow)
    deltas = 0
    while not future.done():
        deltas += isinstance(next(events, None), TextDelta)
    assert deltas > 20
    assert len(future.result().tokens) > 100
    generation.cancel()
    generation.wait(30)


def test_one_that_is_cancelled_ends_and_so_does_one_whose_model_leaves(engine: Engine) -> None:
    slow = ScoreRequest(asked(TEXT, CAPITAL), "Paris is it. " * 100, conditions=Conditions(rows=1, pace=1))
    future = engine.score(slow)
    other = engine.score(slow)
    assert future.cancel()
    with pytest.raises(CancelledError):
        future.result(0)
    engine.unload(TEXT, cancel=True).result(30)
    with pytest.raises(ModelUnloaded):
        other.result(30)
    deadline = time.monotonic() + 30
    while engine.status().running and time.monotonic() < deadline:
        engine.ready().result(30)
    assert engine.status().running == 0


def test_what_cannot_be_scored_is_refused_in_a_sentence(engine: Engine) -> None:
    request = asked(TEXT, CAPITAL)
    with pytest.raises(InvalidRequest, match="The answer is empty"):
        engine.score(ScoreRequest(request, ""))
    with pytest.raises(InvalidRequest, match="0 to 20 alternatives"):
        engine.score(ScoreRequest(request, "x", top=21))
    with pytest.raises(InvalidRequest, match="1 to 64 are computed side by side"):
        engine.score(ScoreRequest(request, "x", conditions=Conditions(rows=65)))
    with pytest.raises(InvalidRequest, match="held against itself"):
        engine.score(ScoreRequest(request, "x", against=TEXT))
    with pytest.raises(ModelNotFound):
        engine.score(ScoreRequest(request, "x", against="nobody/here"))
    with pytest.raises(UnsupportedInput, match="cannot see images"):
        engine.score(ScoreRequest(asked(QUICK, ASK, SQUARE), "x", against=TEXT))
    with pytest.raises(InvalidRequest, match="5000 is no token of pocket/qwen3"):
        engine.score(ScoreRequest(request, (5000,))).result(60)
    with pytest.raises(ContextOverflow, match="and the answer"):
        engine.score(ScoreRequest(request, (5,) * 100_000)).result(60)
    with pytest.raises(InvalidRequest, match="do not share a vocabulary"):
        engine.score(ScoreRequest(asked(FULL, ASK, SQUARE), "It is a square.", against=QUICK)).result(60)


def test_two_models_diverge_as_their_raw_logits_do(quantised_engine: Engine) -> None:
    request = asked(COPY, ASK, SQUARE)
    ours = score(quantised_engine, request, "It is a green triangle, says who?", against=FULL)
    assert ours.against is not None
    answer = [token.token_id for token in ours.tokens]
    p, q = (raw_logits.of_vision(quantised_engine.catalog.get(name).path, ASK, SQUARE, answer) for name in (FULL, COPY))
    divergences = (np.exp(p) * (p - q)).sum(axis=-1)
    assert np.allclose(ours.kl, divergences, atol=2e-3)
    assert max(ours.kl) > 0.01
    assert np.allclose(values(ours), [row[token] for row, token in zip(q, answer, strict=True)], atol=2e-3)
    assert np.allclose(values(ours.against), [row[token] for row, token in zip(p, answer, strict=True)], atol=2e-3)
    assert (ours.model, ours.against.model) == (COPY, FULL)
    assert ours.vocabulary_sha256 == ours.against.vocabulary_sha256


def test_a_pair_in_chunks_diverges_as_in_one(quantised_engine: Engine) -> None:
    request = asked(COPY, ASK, SQUARE)
    whole = score(quantised_engine, request, "It is a green triangle.", against=FULL)
    paced = score(quantised_engine, request, "It is a green triangle.", against=FULL, conditions=Conditions(pace=2))
    assert len(whole.kl) == len(paced.kl) == len(whole.tokens)
    assert np.allclose(whole.kl, paced.kl, atol=2e-3)


def test_half_of_a_pair_that_is_unloaded_ends_both(quantised_engine: Engine) -> None:
    slow = ScoreRequest(
        asked(COPY, ASK, SQUARE), "It is a green triangle. " * 30, against=FULL, conditions=Conditions(pace=1)
    )
    future = quantised_engine.score(slow)
    quantised_engine.unload(FULL, cancel=True).result(30)
    with pytest.raises(ModelUnloaded):
        future.result(30)
    assert score(quantised_engine, slow.prompt, "It is.").tokens


def test_two_models_that_do_not_fit_together_are_refused_with_the_numbers(quantised_settings: Settings) -> None:
    gc.collect()
    catalog = Catalog(quantised_settings)
    memory = catalog.get(FULL).memory
    assert memory is not None
    budget = (memory.total(CONTEXT_FOR_FIT) + mx.get_active_memory() + 500_000) / 1e9
    with Engine(quantised_settings.model_copy(update={"memory_budget_gb": budget, "cache_budget_gb": 0.0})) as engine:
        request = asked(FULL, ASK, SQUARE)
        with pytest.raises(OutOfMemory, match="needs about"):
            score(engine, request, "It is a square.", against=COPY)
        assert len(score(engine, request, "It is a square.").tokens) > 3


def test_copies_of_a_row_are_counted_before_they_are_made(settings: Settings) -> None:
    gc.collect()
    memory = Catalog(settings).get(TEXT).memory
    assert memory is not None
    budget = (memory.total(CONTEXT_FOR_FIT) + mx.get_active_memory() + 1_000_000) / 1e9
    with Engine(settings.model_copy(update={"memory_budget_gb": budget, "cache_budget_gb": 0.0})) as engine:
        request = asked(TEXT, "Paris. " * 300)
        with pytest.raises(OutOfMemory, match="The KV cache of a prompt"):
            score(engine, request, "Yes.", conditions=Conditions(rows=64))
        assert score(engine, request, "Yes.", conditions=Conditions(rows=2)).rows == 2
