"""Two sides held against each other: which class a case is of, what is counted, and what a gate lets pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.golden.compare.change import Change, Tries, change_of, direction
from core.golden.compare.comparison import Comparison, breaches, compare
from core.golden.compare.sides import Side, open_sides
from core.golden.results import Attempt, NoSuchRun, RunFolder, Status, Verdict
from core.tiers import Tier
from tests.core.golden.records import attempt

PASS, FAIL = Verdict.PASS, Verdict.FAIL


def tries(held: str, said: str = "") -> Tries:
    """From `++-`: three tries, of which the last failed; each said its letter, or all `said`."""
    return Tries(
        held={index: sign == "+" for index, sign in enumerate(held)},
        said={index: said or sign for index, sign in enumerate(held)},
    )


@pytest.mark.parametrize(
    ("base", "run", "change"),
    [
        (tries("+"), tries("+"), Change.SAME),
        (tries("+", "a"), tries("+", "b"), Change.CHANGED),
        (tries("-", "a"), tries("-", "b"), Change.CHANGED),
        (tries("+"), tries("-"), Change.REGRESSED),
        (tries("-"), tries("+"), Change.IMPROVED),
        (tries("++++"), tries("----"), Change.REGRESSED),
        (tries("++++"), tries("++--"), Change.FLAKY),
        (tries("+-"), tries("+-"), Change.SAME),
        (tries("+-"), tries("-+"), Change.FLAKY),
        (tries("++++++++++"), tries("+++-------"), Change.REGRESSED),
        (tries("+--------"), tries("+++++++++"), Change.IMPROVED),
        (Tries(absent="not asked"), tries("+"), Change.NEW),
        (tries("+"), Tries(absent="skipped"), Change.GONE),
    ],
)
def test_the_class_of_a_case(base: Tries, run: Tries, change: Change) -> None:
    assert change_of(base, run) is change


def test_the_paired_test_looks_at_the_tries_that_both_sides_have() -> None:
    assert direction(tries("+"), tries("+---")) == 0
    assert direction(tries("+"), tries("-+++")) == -1
    assert direction(tries("+-+-"), tries("+++-")) == 1


def side(label: str, *attempts: Attempt) -> Side:
    return Side(label, attempts)


def said(case: str, verdict: Verdict = PASS, text: str = "red", **changes: Any) -> Attempt:
    return attempt(text, verdict, case=case, **{"route": "in-process", **changes})


def classes(found: Comparison) -> list[tuple[str, str]]:
    return [(one.label, one.change.value) for one in found.cases]


def test_flips_come_first_and_a_case_counts_once_however_often_it_was_asked() -> None:
    sampled = {"sent": {"temperature": 0.7}, "witness": None}
    base = side("base", said("a"), said("b"), said("c", FAIL), *(said("d", repeat=i, **sampled) for i in range(3)))
    run = side(
        "run", said("a"), said("b", FAIL, "blue"), said("c"), *(said("d", FAIL, repeat=i, **sampled) for i in range(3))
    )
    found = compare(base, run)
    assert classes(found) == [
        ("b (full)", "regressed"),
        ("d (full)", "regressed"),
        ("c (full)", "improved"),
        ("a (full)", "same"),
    ]
    assert (found.cases[1].base.passes, found.cases[1].run.passes, found.cases[1].run.tries) == (3, 0, 3)
    (balance,) = found.balances
    assert (balance.cases, balance.held, balance.fell, balance.rose) == (4, (3, 2), 2, 1)
    assert balance.p == 1.0
    assert balance.low < balance.difference < balance.high


def test_a_try_holds_if_it_does_on_every_route_and_controls_are_left_out() -> None:
    base = side("base", said("a"), said("a", route="openai"), said("a", FAIL, control="blind"))
    run = side("run", said("a"), said("a", FAIL, route="openai"))
    assert classes(compare(base, run)) == [("a (full)", "regressed")]


def test_two_tiers_or_models_of_one_run_are_compared_by_case() -> None:
    full = side("last:full", said("a"), said("b"))
    quick = side("last:quick", said("a", tier="quick", model={"id": "q"}), said("b", FAIL, tier="quick"))
    found = compare(full, quick)
    assert classes(found) == [("b", "regressed"), ("a", "same")]
    assert breaches(found, {Tier.FULL: 5, Tier.QUICK: 0}) == [
        "1 case regressed on the quick tier, and max_regressions is 0."
    ]
    assert breaches(found, {Tier.QUICK: 1}) == []
    matrix = [said("a", model={"id": "m"}), said("a", FAIL, model={"id": "n"})]
    after = [said("a", FAIL, model={"id": "m"}), said("a", FAIL, model={"id": "n"})]
    assert classes(compare(side("one", *matrix), side("two", *after))) == [
        ("a (full, m)", "regressed"),
        ("a (full, n)", "same"),
    ]


def test_what_one_side_lacks_is_told_with_the_reason_and_counts_for_nothing() -> None:
    skipped = said("a", Verdict.SKIP, status=Status.SKIPPED, why="no model")
    found = compare(side("base", said("a"), said("b")), side("run", skipped, said("b"), said("c", FAIL)))
    assert classes(found) == [("c (full)", "new"), ("a (full)", "gone"), ("b (full)", "same")]
    assert [one.notes for one in found.cases] == [("before: not asked",), ("now: no model",), ()]
    assert found.balances[0].cases == 1
    assert compare(side("base"), side("run")).balances == ()


def test_a_changed_question_or_expectation_is_told() -> None:
    base = side("base", said("a"), said("b"))
    run = side("run", said("a", ask_sha="other"), said("b", FAIL, case_sha="other"))
    assert {one.case: one.notes for one in compare(base, run).cases} == {
        "a": ("it is asked otherwise",),
        "b": ("something else is expected",),
    }


def kept(runs: Path, suite: Path, *attempts: Attempt) -> RunFolder:
    folder = RunFolder.create(runs, {"suite": {"path": str(suite)}, "planned": [one.key for one in attempts]})
    for one in attempts:
        folder.append(one)
    folder.close()
    return folder


def test_sides_are_named_by_run_and_by_what_answered(tmp_path: Path) -> None:
    first = kept(tmp_path, Path("/s"), said("a"), said("a", key="q", tier="quick", model={"id": "other"}))
    kept(tmp_path, Path("/another"), said("a"))
    last = kept(tmp_path, Path("/s"), said("a", FAIL))
    base, run, later = open_sides(tmp_path, "", "last")
    assert (base.label, run.label, later.id) == (first.id, last.id, last.id)
    base, run, _ = open_sides(tmp_path, f"{first.id}:quick", f"{first.id}:m")
    assert [one.tier for one in (*base.attempts, *run.attempts)] == ["quick", "full"]
    base, run, _ = open_sides(tmp_path, ":other", first.id)
    assert (base.label, len(base.attempts)) == (f"{first.id}:other", 1)
    with pytest.raises(NoSuchRun, match=r"answered by othr \(did you mean \"other\"\?\)"):
        open_sides(tmp_path, ":othr", first.id)
    with pytest.raises(NoSuchRun, match="There is no run before"):
        open_sides(tmp_path, "", first.id)
