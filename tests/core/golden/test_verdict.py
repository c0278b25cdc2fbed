"""Verdicts: checks, limits, expected failures, and what a control is held against."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.calls.events import RATE_TOKENS, FinishReason, Usage
from core.calls.witness import Witness
from core.golden.outcome import outcome
from core.golden.parity import Parity
from core.golden.record import Circumstances
from core.golden.results import Attempt, Verdict
from core.golden.suite import Control, Gates, KnownFailure, Limits
from core.tiers import Tier
from tests.core.golden.records import attempt, judge, planned, said

PASSED = attempt()


SLOW = {"limits": {Tier.FULL: Limits(ttft_s=0.4, decode_tps=50)}}


BLIND_TO = "the check holds although"


@pytest.mark.parametrize(
    ("text", "changes", "verdict", "why"),
    [
        ("It is red.", {}, Verdict.PASS, ""),
        ("It is blue.", {}, Verdict.FAIL, 'no word "red"'),
        ("It is blue.", {"xfail": {"full": KnownFailure("colour-blind")}}, Verdict.XFAIL, "colour-blind"),
        ("It is blue.", {"xfail": {"openai": KnownFailure("known")}}, Verdict.XFAIL, "known"),
        ("It is blue.", {"xfail": {"anthropic": KnownFailure("known")}}, Verdict.FAIL, 'no word "red"'),
        (
            "It is red.",
            {"xfail": {"full": KnownFailure("colour-blind")}},
            Verdict.XPASS,
            "passed, though: colour-blind",
        ),
        ("It is red.", {"control": Control.SWAP}, Verdict.FAIL, f"{BLIND_TO} another image was shown"),
        ("It is red.", {"control": Control.BLIND}, Verdict.FAIL, f"{BLIND_TO} no image was shown"),
        ("It is blue.", {"control": Control.BLIND}, Verdict.PASS, ""),
        ("It is red.", SLOW, Verdict.FAIL, "ttft_s is 0.50, over 0.4; decode_tps is 40.00, under 50"),
        ("It is red.", {**SLOW, "tier": Tier.QUICK}, Verdict.PASS, ""),
        ("It is blue.", {**SLOW, "control": Control.SWAP}, Verdict.PASS, ""),
    ],
)
def test_a_verdict_follows_from_checks_limits_and_expected_failures(
    text: str, changes: dict[str, Any], verdict: Verdict, why: str
) -> None:
    found = judge(planned(**changes), "run", said(text), Circumstances(), PASSED)
    assert (found.verdict, found.why) == (verdict, why)


def test_an_answer_that_was_cut_fails_with_the_reason() -> None:
    found = judge(planned(), "run", said("It is red and", FinishReason.LENGTH), Circumstances())
    assert (found.verdict, found.why) == (Verdict.FAIL, "finish is length, not stop or tool_calls")


def test_loading_and_queueing_do_not_count_against_a_limit() -> None:
    slow = planned(limits={Tier.FULL: Limits(ttft_s=0.3)})
    assert judge(slow, "run", said("red", load_s=0.15, queued_s=0.1), Circumstances()).verdict is Verdict.PASS


def test_a_rate_is_told_of_answers_that_are_long_enough_for_one() -> None:
    long, short = (judge(planned(), "run", said("red", tokens=n), Circumstances()).perf for n in (16, 15))
    assert (long["decode_tps"], short["decode_tps"]) == (40.0, None)


def test_loading_is_in_no_other_time() -> None:
    perf = judge(planned(), "run", said("red", load_s=0.4), Circumstances()).perf
    assert (perf["load_s"], perf["ttft_s"], perf["total_s"]) == (0.4, 0.1, 0.6)


@pytest.mark.parametrize("control", [Control.SWAP, Control.BLIND, Control.NO_SYSTEM])
@pytest.mark.parametrize("shown", [(), (attempt("blue", Verdict.FAIL),), (attempt(), attempt("blue", Verdict.FAIL))])
def test_a_control_shows_nothing_where_the_case_itself_did_not_pass(
    control: Control, shown: tuple[Attempt, ...]
) -> None:
    found = judge(planned(control=control), "run", said("It is blue."), Circumstances(), *shown)
    assert found.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("text", "finish"),
    [("", FinishReason.STOP), ("I see a", FinishReason.LENGTH), ("It is blue.", FinishReason.OTHER)],
)
def test_a_control_shows_nothing_where_the_model_gave_no_whole_answer(text: str, finish: FinishReason) -> None:
    found = judge(planned(control=Control.BLIND), "run", said(text, finish), Circumstances(), attempt())
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "no whole answer" in found.why


@pytest.mark.parametrize(
    ("again", "others", "verdict"),
    [
        ("a cat", ["a cat", "a dog"], Verdict.PASS),
        ("a cow", ["a cat", "a dog"], Verdict.FAIL),
        ("a cat", ["a cat", "a cat"], Verdict.FAIL),
        ("a cat", ["a cat"], Verdict.INCONCLUSIVE),
        ("a cat", [], Verdict.INCONCLUSIVE),
    ],
)
def test_a_seed_must_repeat_its_answer_and_others_must_differ(again: str, others: list[str], verdict: Verdict) -> None:
    shown = [attempt(text, repeat=repeat) for repeat, text in enumerate(others)]
    assert judge(planned(control=Control.SEED), "run", said(again), Circumstances(), *shown).verdict is verdict


SHAPES = {"all": ["red", ["square", "box"]]}


@pytest.mark.parametrize(
    ("checks", "text", "verdict"),
    [
        (("red",), "a square", Verdict.XFAIL),
        (("red",), "a red circle", Verdict.FAIL),
        (("red",), "a circle", Verdict.FAIL),
        (("red", "square"), "a circle", Verdict.XFAIL),
        (("expect",), "a circle", Verdict.XFAIL),
        (("finish",), "a circle", Verdict.FAIL),
        (("red",), "a red box", Verdict.XPASS),
        ((), "a circle", Verdict.XFAIL),
    ],
)
def test_a_known_failure_excuses_the_checks_that_it_names(checks: tuple[str, ...], text: str, verdict: Verdict) -> None:
    known = {"full": KnownFailure("colour-blind", checks)}
    assert judge(planned(SHAPES, xfail=known), "run", said(text), Circumstances()).verdict is verdict


def test_the_time_of_a_cached_prompt_is_not_held_against_a_limit() -> None:
    result = said("red")
    assert result.finished is not None
    usage = Usage(107, RATE_TOKENS, cached_tokens=106)
    result.finished = replace(result.finished, usage=usage, witness=Witness(prompt_tokens=107))
    found = judge(planned(**SLOW), "run", result, Circumstances())
    assert found.perf["warmth"] == "cached"
    assert [item.name for item in found.checks if not item.passed] == ["decode_tps"]
    told = outcome([found], Parity(), Gates())
    assert any("No attempt could tell whether these limits hold: ttft_s of p#a (full)" in note for note in told.notes)
