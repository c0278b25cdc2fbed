"""A run's answers beside the accepted ones: what is pending, what a gate counts, and that a run writes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.golden.baselines.files import read_accepted
from core.golden.baselines.standing import (
    Candidate,
    accept,
    accepted_side,
    against_baseline,
    candidates,
    pending,
    reject,
    rejected,
)
from core.golden.compare.change import Change
from core.golden.compare.comparison import compare
from core.golden.compare.sides import Side
from core.golden.expressions import parse_expression
from core.golden.graded.leaves import answer_mark
from core.golden.outcome import ExitCode, outcome
from core.golden.parity import Parity
from core.golden.reading import load_suite
from core.golden.rejudge import as_planned
from core.golden.results import Attempt, RunFolder, Status
from core.golden.suite import Suite
from core.golden.verdict import weigh
from tests.core.golden.conftest import WriteSuite
from tests.core.golden.records import attempt

FILES = {
    "golden.toml": "[defaults]\ntemperature = 0.0\n[gates]\nfull = { pass = 0.0, max_regressions = 0 }\n",
    "colour.txt": "Which colour?",
    "colour.toml": 'expect.quick = ["red", "blue"]\nexpect.full = "red"',
    "shape.txt": "Which shape?",
}


@pytest.fixture
def suite(write_suite: WriteSuite) -> Suite:
    return load_suite(write_suite(FILES))


def said(suite: Suite, case_id: str, text: str, tier: str = "full", **changes: Any) -> Attempt:
    """An answer of a run, judged as the run would have."""
    (case,) = (case for case in suite.cases if case.id == case_id)
    values = {"case": case_id, "ask_sha": case.ask_sha, "key": f"{case_id} {tier}", "tier": tier, **changes}
    one = attempt(text, **values)
    return weigh(as_planned(case, one), one)


def standing(suite: Suite, *attempts: Attempt) -> list[Candidate]:
    return candidates(suite, read_accepted(suite.path)[0], attempts)


def accept_all(suite: Suite, *attempts: Attempt) -> None:
    for one in pending(standing(suite, *attempts)):
        accept(suite, one)


def changes(suite: Suite, *attempts: Attempt) -> list[tuple[str, Change]]:
    return [(one.case.id, one.change) for one in pending(standing(suite, *attempts))]


def test_answers_wait_until_they_are_accepted_and_the_worst_come_first(suite: Suite) -> None:
    first = [said(suite, "colour", "It is red."), said(suite, "shape", "A square.")]
    assert changes(suite, *first) == [("colour", Change.NEW), ("shape", Change.NEW)]
    assert not (suite.path / "accepted").exists()
    accept_all(suite, *first)
    assert changes(suite, *first) == []
    assert changes(suite, said(suite, "shape", "A circle."), said(suite, "colour", "It is green.")) == [
        ("colour", Change.REGRESSED),
        ("shape", Change.CHANGED),
    ]
    accept_all(suite, said(suite, "colour", "It is green."))
    assert changes(suite, *first) == [("colour", Change.IMPROVED)]


def test_a_model_that_stands_for_both_tiers_is_accepted_once(suite: Suite) -> None:
    both = [said(suite, "colour", "red", tier) for tier in ("quick", "full")]
    accept_all(suite, *both)
    assert len(list((suite.path / "accepted").iterdir())) == 1
    (one,) = standing(suite, *(said(suite, "colour", "blue", tier) for tier in ("quick", "full")))
    assert (one.change, one.holds) == (Change.REGRESSED, False)
    assert {each.tier: each.verdict.value for each in one.attempts} == {"quick": "pass", "full": "fail"}
    assert {tier: verdict.value for tier, verdict in one.before.items()} == {"quick": "pass", "full": "pass"}


def test_only_answers_to_what_the_suite_asks_can_be_accepted(suite: Suite) -> None:
    sampled = {"sent": {"temperature": 0.7, "seed": 99}, "witness": None}
    left_out = [
        said(suite, "colour", "red", control="blind"),
        said(suite, "colour", "red", ask_sha="another question"),
        said(suite, "colour", "red", repeat=1),
        said(suite, "colour", "red", **sampled),
        said(suite, "colour", "red", status=Status.ERROR),
        attempt(case="gone"),
    ]
    assert standing(suite, *left_out) == []
    assert len(standing(suite, said(suite, "colour", "red", sent={"temperature": 0.7, "seed": 0}, witness=None))) == 1
    two_routes = [
        said(suite, "colour", text, route=route) for text, route in (("red", "in-process"), ("blue", "openai"))
    ]
    assert [one.attempt.answer for one in standing(suite, *two_routes)] == ["red"]


def test_a_question_that_has_changed_is_told(suite: Suite) -> None:
    accept_all(suite, said(suite, "shape", "A square."))
    (suite.path / "shape.txt").write_text("What shape is it?")
    now = load_suite(suite.path)
    (one,) = standing(now, said(now, "shape", "It is a square."))
    assert one.asked_otherwise
    assert one.change is Change.CHANGED


def test_a_rejected_answer_waits_no_more_and_another_one_does(suite: Suite, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "runs", {})
    folder.close()
    accept_all(suite, said(suite, "shape", "A square."))
    (one,) = pending(standing(suite, said(suite, "shape", "A circle.")))
    before = one.accepted
    reject(folder, one)
    assert pending(standing(suite, one.attempt), rejected(folder)) == []
    assert standing(suite, one.attempt)[0].accepted == before
    assert len(pending(standing(suite, said(suite, "shape", "A star.")), rejected(folder))) == 1
    assert rejected(RunFolder(tmp_path / "nothing", {})) == frozenset()


def test_a_run_tells_what_is_pending_and_its_gate_counts_regressions(suite: Suite) -> None:
    first = [said(suite, "colour", "red"), said(suite, "shape", "A square.")]
    assert against_baseline(suite, first) is None
    accept_all(suite, *first)
    same = against_baseline(suite, first)
    assert same is not None
    assert (same.waiting, same.breaks, same.notes) == ((), (), ())
    now = [said(suite, "colour", "green"), said(suite, "shape", "A circle.")]
    found = against_baseline(suite, now)
    assert found is not None
    weighed = outcome(now, Parity(), suite.gates, baseline=found)
    assert weighed.code is ExitCode.PARITY
    assert weighed.reasons == (
        "Against the accepted answers, 1 case regressed on the full tier, and max_regressions is 0.",
    )
    assert "2 answers are pending (1 regressed, 1 changed): assay golden review." in weighed.notes
    (suite.path / "shape.txt").unlink()
    rest = against_baseline(load_suite(suite.path), now)
    assert rest is not None
    assert rest.notes[-1] == "No case uses 1 accepted answer any more: assay golden accepted."


def test_accepted_answers_are_a_side_that_is_compared(suite: Suite) -> None:
    accept_all(suite, said(suite, "colour", "red"))
    now = [said(suite, "colour", "green"), said(suite, "shape", "A circle.")]
    side = accepted_side(suite, read_accepted(suite.path)[0], now)
    assert [(one.case, one.change) for one in compare(side, Side("run", tuple(now))).cases] == [
        ("colour", Change.REGRESSED),
        ("shape", Change.NEW),
    ]


def test_an_answer_is_judged_by_what_is_expected_now(suite: Suite) -> None:
    one = said(suite, "colour", "green")
    (suite.path / "colour.toml").write_text('expect = "green"')
    (found,) = standing(load_suite(suite.path), one)
    assert found.holds


def test_an_accepted_answer_that_nobody_graded_is_not_judged(suite: Suite) -> None:
    judge = {"judge": {"model": "m", "rubric": "r"}}
    case = next(case for case in suite.cases if case.id == "shape")
    graded = replace(suite, cases=(replace(case, expect={"full": parse_expression(judge)}),))  # type: ignore[dict-item]

    def told(text: str) -> Attempt:
        said_of_it = {"expr": judge, "answer": answer_mark(text, ()), "held": True, "why": ""}
        return said(graded, "shape", text, graded=(said_of_it,))

    accept_all(graded, told("A square."))
    found = standing(graded, told("A circle."))
    assert [(one.change, dict(one.before)) for one in found] == [(Change.CHANGED, {})]
    assert accepted_side(graded, read_accepted(suite.path)[0], [told("A circle.")]).attempts == ()
    assert [one.change for one in standing(graded, told("A square."))] == [Change.SAME]
