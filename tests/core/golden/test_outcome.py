"""What a run comes to: rates, gates, notes and the exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from core.golden.outcome import ExitCode, LeftOut, Outcome, outcome
from core.golden.parity import ENGINE, Break, Parity
from core.golden.rates import Metric
from core.golden.results import Status, Verdict
from core.golden.suite import Gates
from core.tiers import Tier
from tests.core.golden.records import attempt

BREAK = Break("p", "full", 0, ("in-process", "openai"), "answer", ("a", "b"))


UNWITNESSED = Break("p", "full", 0, ("openai", ENGINE), "prompt tokens", (13, 12))


def weigh(verdicts: Sequence[Verdict], found: Sequence[Break] = (), gates: Gates | None = None, **more: Any) -> Outcome:
    """An outcome of cases that are asked once each."""
    parity = Parity(len(verdicts), tuple(found))
    attempts = [attempt(verdict=verdict, case=f"p#{index}") for index, verdict in enumerate(verdicts)]
    return outcome(attempts, parity, gates or Gates(), **more)


@pytest.mark.parametrize(
    ("verdicts", "parity", "more", "code"),
    [
        ([Verdict.PASS, Verdict.XFAIL, Verdict.SKIP, Verdict.XPASS], [], {}, ExitCode.HOLDS),
        ([Verdict.PASS, Verdict.FAIL], [], {}, ExitCode.FAILED),
        ([Verdict.XFAIL, Verdict.XPASS], [], {}, ExitCode.FAILED),
        ([Verdict.FAIL, Verdict.ERROR], [BREAK], {}, ExitCode.FAILED),
        ([Verdict.PASS], [BREAK], {}, ExitCode.PARITY),
        ([Verdict.PASS], [UNWITNESSED], {}, ExitCode.PARITY),
        ([Verdict.PASS, Verdict.ERROR], [BREAK], {}, ExitCode.INFRASTRUCTURE),
        ([Verdict.SKIP], [], {}, ExitCode.INFRASTRUCTURE),
        ([Verdict.PASS, Verdict.SKIP], [], {"strict": True}, ExitCode.FAILED),
        ([Verdict.PASS, Verdict.XPASS], [], {"strict": True}, ExitCode.FAILED),
        ([Verdict.PASS], [], {"strict": True, "left_out": LeftOut(controls=1)}, ExitCode.FAILED),
        ([Verdict.PASS], [], {"strict": True, "left_out": LeftOut(routes=("openai",))}, ExitCode.FAILED),
        ([Verdict.PASS], [], {"interrupted": True}, ExitCode.INTERRUPTED),
        ([], [], {"interrupted": True}, ExitCode.INTERRUPTED),
    ],
)
def test_the_exit_code_says_what_kind_of_trouble_there_was(
    verdicts: list[Verdict], parity: list[Break], more: dict[str, Any], code: ExitCode
) -> None:
    weighed = weigh(verdicts, parity, **more)
    assert weighed.code is code
    assert bool(weighed.reasons) is (code is not ExitCode.HOLDS)


def test_a_gate_lets_a_tier_fall_short() -> None:
    gates = Gates({Tier.FULL: 0.5})
    assert weigh([Verdict.PASS, Verdict.FAIL], gates=gates).code is ExitCode.HOLDS
    failing = weigh([Verdict.PASS, Verdict.FAIL, Verdict.FAIL], gates=gates)
    assert failing.reasons == ("2 of 3 cases failed on the full tier: 33%, below the gate of 50%.",)


def test_expected_failures_do_not_count_toward_a_gate() -> None:
    eight_known = [Verdict.XFAIL] * 8 + [Verdict.FAIL] * 2
    assert weigh(eight_known, gates=Gates({Tier.FULL: 0.8})).code is ExitCode.FAILED
    assert weigh([*eight_known, Verdict.PASS], gates=Gates({Tier.FULL: 0.8})).values[Tier.FULL] == pytest.approx(1 / 3)


def test_a_tier_in_which_nothing_passed_never_holds() -> None:
    weighed = weigh([Verdict.FAIL], gates=Gates({Tier.FULL: 0.0}))
    assert weighed.reasons == ("Nothing passed on the full tier, of 1 answers.",)
    assert weigh([Verdict.PASS, Verdict.FAIL], gates=Gates({Tier.FULL: 0.0})).code is ExitCode.HOLDS


def test_a_tier_that_no_model_answered_does_not_hold() -> None:
    skipped_tier = attempt(verdict=Verdict.SKIP, tier="quick", status=Status.SKIPPED)
    weighed = outcome([attempt(), skipped_tier], Parity(), Gates())
    assert weighed.code is ExitCode.INFRASTRUCTURE
    assert weighed.reasons == ("No model answered on the quick tier: every attempt was skipped.",)


SAMPLED = {"sent": {"temperature": 1.0}}


def test_a_case_counts_once_however_often_it_was_asked() -> None:
    good = [attempt(case="good", repeat=repeat, answer=str(repeat), **SAMPLED) for repeat in range(20)]
    bad = [attempt("blue", Verdict.FAIL, case=f"bad{number}", **SAMPLED) for number in range(4)]
    weighed = outcome([*good, *bad], Parity(), Gates({Tier.FULL: 0.8}))
    assert weighed.code is ExitCode.FAILED
    assert weighed.values[Tier.FULL] == pytest.approx(0.2)
    assert (weighed.groups[-1].held, weighed.groups[-1].judged) == (1, 5)


@pytest.mark.parametrize(("metric", "value"), [("rate", 0.75), ("pass@2", 1.0), ("pass^2", 0.5), ("pass^4", 0.0)])
def test_repeats_come_to_what_the_metric_says(metric: str, value: float) -> None:
    verdicts = [Verdict.PASS, Verdict.PASS, Verdict.FAIL, Verdict.PASS]
    tries = [attempt(str(repeat), verdict, repeat=repeat, **SAMPLED) for repeat, verdict in enumerate(verdicts)]
    gates = Gates({Tier.FULL: 0.1}, {Tier.FULL: Metric.parse(metric)})
    weighed = outcome(tries, Parity(), gates)
    assert weighed.values[Tier.FULL] == pytest.approx(value)
    (rate,) = weighed.rates
    assert (rate.passes, rate.tries) == (3, 4)
    assert (round(rate.low, 3), round(rate.high, 3)) == (0.301, 0.954)


@pytest.mark.parametrize("metric", ["pass@3", "pass^3"])
def test_a_metric_makes_do_with_the_tries_that_came_about(metric: str) -> None:
    known = [attempt("blue", Verdict.XFAIL, repeat=2, **SAMPLED)]
    tries = [attempt(str(repeat), repeat=repeat, **SAMPLED) for repeat in range(2)]
    weighed = outcome([*tries, *known], Parity(), Gates({}, {Tier.FULL: Metric.parse(metric)}))
    assert weighed.values[Tier.FULL] == 1.0


def test_a_try_passes_if_it_passes_on_every_route() -> None:
    routes = [attempt(route="in-process", **SAMPLED), attempt("blue", Verdict.FAIL, route="openai", **SAMPLED)]
    (rate,) = outcome(routes, Parity(), Gates()).rates
    assert (rate.passes, rate.tries) == (0, 1)


def test_repeats_of_a_greedy_case_are_one_piece_of_evidence() -> None:
    weighed = outcome([attempt(repeat=repeat) for repeat in range(5)], Parity(), Gates())
    assert [(rate.passes, rate.tries, rate.greedy) for rate in weighed.rates] == [(1, 1, True)]
    assert weighed.notes[-1].startswith("Repeats of greedy cases count once")
    mixed = outcome([attempt(), attempt(verdict=Verdict.FAIL, repeat=1)], Parity(), Gates())
    assert [(rate.passes, rate.tries) for rate in mixed.rates] == [(0, 1)]


def test_one_answer_to_several_seeds_is_told() -> None:
    same = [attempt(repeat=repeat, **SAMPLED) for repeat in range(3)]
    assert any("Several seeds gave one answer to p#a (full)" in note for note in outcome(same, Parity(), Gates()).notes)
    others = [attempt(str(repeat), repeat=repeat, **SAMPLED) for repeat in range(3)]
    assert not any("Several seeds" in note for note in outcome(others, Parity(), Gates()).notes)


def test_what_was_left_out_is_told() -> None:
    left_out = LeftOut(controls=2, routes=("openai", "anthropic"))
    weighed = weigh([Verdict.PASS], left_out=left_out)
    assert weighed.code is ExitCode.HOLDS
    assert any("The controls of 2 cases were not run" in note for note in weighed.notes)
    assert any("openai, anthropic was not asked" in note for note in weighed.notes)


def test_a_control_that_fails_is_a_failure_whatever_the_gate() -> None:
    control = attempt(verdict=Verdict.FAIL, control="blind")
    weighed = outcome([attempt(), control], Parity(), Gates({Tier.FULL: 0.0}))
    assert weighed.code is ExitCode.FAILED
    assert weighed.reasons == ("1 control failed: a pass there does not show what it should.",)
    assert weighed.tiers[Tier.FULL] == {Verdict.PASS: 1}


def test_the_outcome_is_ready_for_json() -> None:
    assert json.loads(json.dumps(weigh([Verdict.PASS]).to_json())) == {
        "exit_code": 0,
        "verdicts": {"pass": 1},
        "tiers": {"quick": {}, "full": {"pass": 1}},
        "controls": {},
        "rates": [
            {"case": "p#0", "tier": "full", "model": "m", "passes": 1, "tries": 1, "interval": None, "greedy": True}
        ],
        "values": {"full": 1.0},
        "groups": [{"tier": "full", "model": "", "held": 1, "judged": 1, "value": 1.0}],
        "shared": 0,
        "graded": [],
        "reasons": [],
        "notes": [],
    }


def test_each_model_of_a_matrix_has_to_reach_the_gate_by_itself() -> None:
    good = [attempt(case=case, key=f"{case}m") for case in "abcd"]
    poor = [attempt(case=case, key=f"{case}n", model={"id": "n"}) for case in "ab"]
    poor += [attempt(verdict=Verdict.FAIL, case=case, key=f"{case}n", model={"id": "n"}) for case in "cd"]
    weighed = outcome([*good, *poor], Parity(), Gates({Tier.FULL: 0.7}))
    assert weighed.reasons == ("2 of 4 cases failed on the full tier by n: 50%, below the gate of 70%.",)
    assert [(group.model, group.held, group.judged) for group in weighed.groups] == [("m", 4, 4), ("n", 2, 4)]
    assert outcome([*good, *poor], Parity(), Gates({Tier.FULL: 0.5})).code is ExitCode.HOLDS
