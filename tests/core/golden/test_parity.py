"""Whether routes agree, with one another and with what the engine witnessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from core.calls.events import RATE_TOKENS
from core.calls.requests import Sampling
from core.calls.witness import Witness
from core.catalog import short
from core.golden.parity import ENGINE, Break, Parity, compare_routes
from core.golden.results import Attempt, Status
from core.golden.suite import Gates
from tests.core.golden.records import attempt


def breaks(attempts: Sequence[Attempt], gates: Gates) -> list[Break]:
    return list(compare_routes(attempts, gates).breaks)


def test_routes_that_say_the_same_agree() -> None:
    same = compare_routes([attempt("red", route="in-process"), attempt("red", route="openai")], Gates())
    assert same == Parity(1, (), 0, 2)


@pytest.mark.parametrize("altered", [" red", "red ", "\nred", "red\n"])
def test_white_space_at_an_end_is_a_difference(altered: str) -> None:
    (found,) = breaks([attempt("red", route="in-process"), attempt(altered, route="openai")], Gates())
    assert found.what == "answer"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"answer": "blue"}, "answer"),
        ({"finish": "length"}, "finish"),
        ({"tool_calls": ({"name": "f"},)}, "tool_calls"),
    ],
)
def test_a_difference_between_routes_is_named(change: dict[str, Any], what: str) -> None:
    (found,) = breaks([attempt(route="in-process"), attempt(route="openai", **change)], Gates())
    assert (found.case, found.what, found.routes) == ("p#a", what, ("in-process", "openai"))
    assert found.case in str(found)


def test_parity_by_checks_lets_words_differ() -> None:
    gates = Gates(parity_level="checks")
    pair = [attempt("It is red", route="in-process"), attempt("red!", route="openai")]
    assert breaks(pair, gates) == []
    assert [found.what for found in breaks(pair, Gates())] == ["answer"]


def test_only_routes_of_the_gate_and_attempts_that_came_about_are_compared() -> None:
    pair = [attempt(route="in-process"), attempt("blue", route="openai")]
    assert breaks(pair, Gates(parity_routes=("in-process", "anthropic"))) == []
    assert breaks([pair[0], replace(pair[1], status=Status.ERROR)], Gates()) == []
    assert breaks([pair[0], replace(pair[1], repeat=1)], Gates()) == []


WITNESS = Witness(
    "ab" * 32,
    11,
    sampling=vars(Sampling(temperature=0.0, seed=5, max_tokens=9)),
    model={"weights": "w"},
    completion_sha256="cd" * 32,
    completion_tokens=RATE_TOKENS,
).to_json()


def witnessed(route: str = "openai", changes: dict[str, Any] | None = None, **of_record: Any) -> Attempt:
    """An attempt that its witness bears out, but for `changes` of the witness and what is said of the record."""
    plain = attempt(route=route)
    told = {"messages": plain.sent["messages"], "tools_sha256": plain.sent["tools_sha256"], "finish": "stop"}
    model = {**plain.model, "fingerprint": short(WITNESS["model"])}
    witness = {**WITNESS, **told, **plain.came, **(changes or {})}
    return replace(plain, witness=witness, **{"model": model} | of_record)


def test_a_record_that_its_witness_bears_out_agrees() -> None:
    assert compare_routes([witnessed("in-process"), witnessed()], Gates()) == Parity(1, (), 2, 0)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"prompt_tokens": 12}, "prompt tokens"),
        ({"completion_tokens": 3}, "completion tokens"),
        ({"cached_tokens": 4}, "cached tokens"),
        ({"images": [{"sha256": "ef" * 32, "tokens": 4}]}, "images"),
        ({"sampling": {**WITNESS["sampling"], "seed": 6}}, "seed"),
        ({"sampling": {**WITNESS["sampling"], "temperature": 1.0}}, "temperature"),
        ({"sampling": {**WITNESS["sampling"], "max_tokens": 8}}, "max_tokens"),
        ({"model": {"weights": "other"}}, "model files"),
        ({"messages": []}, "messages"),
        ({"unread": ["system"]}, "text left out of the prompt"),
        ({"tools_sha256": "00"}, "tools"),
        ({"thinking": True}, "thinking"),
        ({"finish": "length"}, "finish"),
        ({"text_sha256": "00"}, "text"),
        ({"thinking_sha256": "00"}, "thinking"),
        ({"calls_sha256": "00"}, "calls"),
        ({"thinking_tokens": 7}, "thinking tokens"),
    ],
)
def test_what_a_witness_does_not_bear_out_is_told_on_a_single_route(changes: dict[str, Any], what: str) -> None:
    (found,) = breaks([witnessed(changes=changes)], Gates())
    assert (found.what, found.routes) == (what, ("openai", ENGINE))
    (control,) = breaks([witnessed(changes=changes, control="blind")], Gates())
    assert control.control == "blind"


@pytest.mark.parametrize("level", ["checks", "text", "tokens"])
def test_routes_must_have_asked_the_same_whatever_the_level(level: str) -> None:
    other = witnessed(changes={"prompt_sha256": "00" * 32})
    assert [found.what for found in breaks([witnessed("in-process"), other], Gates(parity_level=level))] == [
        "prompt_sha256"
    ]


def test_parity_by_tokens_sees_what_the_text_does_not() -> None:
    pair = [witnessed("in-process"), witnessed(changes={"completion_sha256": "00" * 32})]
    assert breaks(pair, Gates()) == []
    assert [found.what for found in breaks(pair, Gates(parity_level="tokens"))] == ["tokens"]


def test_the_prompts_of_controls_are_compared_and_their_answers_are_not() -> None:
    blind = [witnessed("in-process", control="blind"), witnessed(control="blind", answer="something else")]
    assert breaks(blind, Gates()) == []
    other = witnessed(control="blind", changes={"prompt_sha256": "00" * 32})
    assert [found.what for found in breaks([blind[0], other], Gates())] == ["prompt_sha256"]


def test_an_answer_without_a_witness_from_an_engine_of_ours_is_a_break() -> None:
    assert [found.what for found in compare_routes([attempt()], Gates(), own=True).breaks] == ["witness"]
    assert compare_routes([attempt()], Gates()).breaks == ()


def test_thinking_is_compared_between_routes() -> None:
    pair = [attempt(route="in-process"), attempt(route="openai", reasoning="HM")]
    assert [found.what for found in breaks(pair, Gates())] == ["thinking"]
