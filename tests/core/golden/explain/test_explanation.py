"""What is told of two answers is what raw logits say: where they part, by how much, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.calls.events import TokenLogprob
from core.calls.scoring import ScoredToken, ScoreRequest
from core.catalog import Catalog
from core.engine import Engine
from core.golden.explain.asking import Ask, CannotExplain, Trace, trace
from core.golden.explain.divergence import Kind, Side, first_divergence
from core.golden.explain.explanation import explain
from core.golden.explain.likelihood import BLOCKS, LEVELS, level, likelihoods
from core.golden.explain.noise import NoiseFloor, measure
from core.golden.models import from_disk
from core.golden.plan import RunOptions, make_plan
from core.golden.reading import load_suite
from core.golden.results import Attempt
from core.golden.routes import InProcess
from core.golden.run import GoldenRun
from core.media.images import read_image
from core.tiers import Tier
from tests import raw_logits
from tests.core.golden.conftest import WriteSuite
from tests.core.golden.explain.conftest import COPY, FULL, QUESTION

TALK = """images = "red_square.png"
temperature = 0.0
max_tokens = 12
[[turns]]
user = "What color is it?"
"""
ODD = "It is a green triangle, says who?"
"""What neither model would say."""


@pytest.fixture
def raw(quantised_engine: Engine, picture: Path) -> Callable[..., raw_logits.Matrix]:
    """Log-probabilities before each token of an answer, from the bare library."""
    image = read_image(picture)
    catalog: Catalog = quantised_engine.catalog
    return lambda model, ids, rows=1: raw_logits.of_vision(catalog.get(model).path, QUESTION, image, list(ids), rows)


def as_if(trace: Trace, ask: Ask, text: str) -> Trace:
    """The same question, answered with a text of our own."""
    score = ask(ScoreRequest(trace.request, text))
    return replace(trace, tokens=tuple(token.token_id for token in score.tokens))


def test_two_models_answers_part_where_their_raw_logits_say_and_by_as_much(
    ask: Ask, attempt: Callable[..., Attempt], traced: Callable[[Attempt], Trace], raw: Callable[..., raw_logits.Matrix]
) -> None:
    left = traced(attempt(FULL))
    right = as_if(traced(attempt(COPY)), ask, ODD)
    found = first_divergence(ask, left, right)
    assert left.tokens is not None
    assert right.tokens is not None
    place = next(at for at, (one, two) in enumerate(zip(left.tokens, right.tokens, strict=False)) if one != two)
    assert (found.kind, found.position) == (Kind.PARTED, place)
    assert found.sides is not None
    for side, own, model, other in zip(
        found.sides, (left.tokens, right.tokens), (FULL, COPY), (right.tokens, left.tokens), strict=True
    ):
        there = raw(model, own)[place]
        assert side.margin == pytest.approx(there[own[place]] - there[other[place]], abs=5e-3)
        assert side.said.rank == int((there > there[own[place]]).sum()) + 1
        assert side.candidates[0].token_id == int(there.argmax())
    assert not found.within_noise
    assert found.verdict.endswith("the models differ here.")


def test_the_noise_floor_is_what_a_batch_of_the_same_changes_in_the_raw_logits(
    ask: Ask, attempt: Callable[..., Attempt], traced: Callable[[Attempt], Trace], raw: Callable[..., raw_logits.Matrix]
) -> None:
    trace = as_if(traced(attempt(COPY)), ask, ODD)
    assert trace.tokens is not None
    _, floor = measure(ask, trace.request, trace.answer, 8)
    assert set(floor.by) == {"prefix kept", "batch of 8", "token by token"}
    alone, beside = (raw(COPY, trace.tokens, rows) for rows in (1, 8))
    best = np.argsort(-alone, axis=-1)[:, :2]
    margins = [np.take_along_axis(table, best, axis=-1) for table in (alone, beside)]
    changes = np.abs(np.diff(margins[0]) - np.diff(margins[1]))
    assert floor.by["batch of 8"] == pytest.approx(float(changes.max()), abs=1e-4)
    assert floor.nats < 1e-3


def test_an_answers_likelihood_and_divergence_are_those_of_the_raw_logits(
    ask: Ask, attempt: Callable[..., Attempt], traced: Callable[[Attempt], Trace], raw: Callable[..., raw_logits.Matrix]
) -> None:
    trace = as_if(traced(attempt(FULL)), ask, ODD)
    assert trace.tokens is not None
    own, copy = likelihoods(ask, trace.request, ODD, trace.tokens, [FULL, COPY])
    p, q = (raw(model, trace.tokens) for model in (FULL, COPY))
    for found, table in ((own, p), (copy, q)):
        nats = -sum(row[token] for row, token in zip(table, trace.tokens, strict=True))
        assert found.bits_per_byte == pytest.approx(nats / math.log(2) / len(ODD), rel=1e-3)
        ranks = [(row > row[token]).sum() for row, token in zip(table, trace.tokens, strict=True)]
        assert found.elsewhere == next(place for place, rank in enumerate(ranks) if rank)
    divergences = (np.exp(p) * (p - q)).sum(axis=-1)
    assert copy.kl is not None
    assert np.allclose(copy.kl, divergences, atol=2e-3)
    assert copy.mean_kl == pytest.approx(float(divergences.mean()), abs=1e-3)
    assert max(divergences) > 0.005
    assert "".join(text for text, _ in copy.pieces) == ODD
    assert own.kl is None


def test_models_of_other_vocabularies_are_told_in_bits_per_byte_and_by_character(
    ask: Ask, attempt: Callable[..., Attempt], traced: Callable[[Attempt], Trace]
) -> None:
    left = traced(attempt(FULL))
    found = explain(ask, left, traced(attempt("pocket/qwen2-vl")), under=[COPY])
    assert found.divergence is not None
    assert found.divergence.kind is Kind.UNLIKE
    assert [one.model for one in found.likelihoods] == [FULL, "pocket/qwen2-vl", COPY]
    own, other, copy = found.likelihoods
    assert own.as_written
    assert not other.as_written
    assert other.kl is None
    assert "".join(character for character, _ in other.pieces) == left.attempt.answer
    assert copy.kl is not None
    told = found.to_json()
    assert told["first_divergence"]["kind"] == "unlike"
    assert [one["bits_per_byte"] for one in told["likelihood"]["models"]] == [
        own.bits_per_byte,
        other.bits_per_byte,
        copy.bits_per_byte,
    ]


def test_the_same_answer_is_the_same_token_for_token_and_one_cut_short_is_told(
    ask: Ask, attempt: Callable[..., Attempt], traced: Callable[[Attempt], Trace]
) -> None:
    whole, cut = traced(attempt(FULL)), traced(attempt(FULL, max_tokens=3))
    assert first_divergence(ask, whole, whole).kind is Kind.SAME
    found = first_divergence(ask, whole, cut)
    assert (found.kind, found.position) == (Kind.CUT, 3)


def test_one_model_that_drew_another_token_is_told_so(
    ask: Ask, attempt: Callable[..., Attempt], traced: Callable[[Attempt], Trace]
) -> None:
    drawn = as_if(traced(attempt(FULL, temperature=1.0)), ask, ODD)
    found = first_divergence(ask, as_if(traced(attempt(FULL)), ask, "It is a red square."), drawn)
    assert found.sides is not None
    left, right = found.sides
    assert left.margin == pytest.approx(-right.margin)
    assert right.sampled
    assert "drawn by chance" in found.verdict
    told = found.to_json()
    assert (told["was"], told["now"]) == (left.said.text, right.said.text)
    assert told["margin_nats"] == pytest.approx(abs(left.margin))


def test_a_margin_within_the_floor_may_be_noise(
    attempt: Callable[..., Attempt], traced: Callable[[Attempt], Trace]
) -> None:
    first, second = (ScoredToken(number, text, logprob) for number, text, logprob in ((1, "a", -0.70), (2, "b", -0.72)))
    floor = NoiseFloor({"batch of 8": 0.05}, 9)
    side = Side(traced(attempt(FULL)), first, second, floor, sampled=False)
    assert side.within_noise
    assert not replace(side, floor=NoiseFloor({"batch of 8": 0.01}, 9)).within_noise
    assert [one.token_id for one in side.candidates] == [1, 2]
    assert isinstance(side.candidates[0], TokenLogprob)


def test_what_a_record_does_not_say_is_refused_or_told(
    ask: Ask, attempt: Callable[..., Attempt], traced: Callable[[Attempt], Trace]
) -> None:
    whole = attempt(FULL)
    with pytest.raises(CannotExplain, match="is asked otherwise now"):
        traced(replace(whole, ask_sha="0"))
    with pytest.raises(CannotExplain, match="has no case shapes"):
        traced(replace(whole, case="shapes"))
    with pytest.raises(CannotExplain, match="holds thinking or calls"):
        traced(replace(whole, witness=None, reasoning="Hm."))
    assert whole.witness is not None
    found = explain(ask, traced(replace(whole, witness=None)))
    assert found.likelihoods[0].score is not None
    assert "tells no tokens" in found.notes[0]
    moved = explain(ask, traced(replace(whole, witness={**whole.witness, "prompt_sha256": "0"})))
    assert "comes to other tokens now" in moved.notes[0]


def test_a_case_of_several_turns_is_explained_after_what_was_said_before(
    ask: Ask, quantised_engine: Engine, write_suite: WriteSuite
) -> None:
    files = {"talk.txt": QUESTION, "talk.toml": TALK, "red_square.png": "red_square.png"}
    suite = load_suite(write_suite(files))
    choose = from_disk(quantised_engine.catalog, quantised_engine.settings)
    plan = make_plan(suite, choose, RunOptions(models=(FULL,), tiers=(Tier.FULL,)))
    (attempt,) = GoldenRun(plan, {"in-process": InProcess(quantised_engine)}, quantised_engine).run().attempts
    assert len(attempt.turns) == 1
    found = explain(ask, trace(suite, attempt, quantised_engine.catalog.on_disk))
    assert found.notes == ()
    assert found.likelihoods[0].as_written
    lost = replace(attempt, turns=({**attempt.turns[0], "answer": "Something else."},))
    with pytest.raises(CannotExplain, match="cannot be made of its record"):
        trace(suite, lost, quantised_engine.catalog.on_disk)


def test_a_text_of_ones_own_is_scored_in_place_of_the_answer(
    ask: Ask, attempt: Callable[..., Attempt], traced: Callable[[Attempt], Trace]
) -> None:
    asked = traced(attempt(FULL))
    said, odd = explain(ask, asked), explain(ask, asked, text=ODD)
    assert odd.text == ODD
    assert odd.likelihoods[0].bits_per_byte > said.likelihoods[0].bits_per_byte + 1


def test_a_model_that_cannot_be_asked_keeps_no_other_from_its_row(
    ask: Ask, attempt: Callable[..., Attempt], traced: Callable[[Attempt], Trace]
) -> None:
    found = explain(ask, traced(attempt(FULL)), under=["pocket/qwen3", COPY])
    blind, copy = found.likelihoods[1:]
    assert "cannot see images" in blind.error
    assert copy.kl is not None


def test_the_strip_goes_up_with_the_nats() -> None:
    assert level(0.0) == " "
    assert [level(bound) for bound in LEVELS] == list(BLOCKS[1:])
    assert level(50.0) == "█"
