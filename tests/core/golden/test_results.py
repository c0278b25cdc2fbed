"""Records on disk, verdicts, parity, and what a run comes to."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.calls.events import Finished, FinishReason, GenerationResult, Timing, ToolCall, Usage
from core.calls.requests import Sampling
from core.catalog import ModelInfo, ModelKind
from core.errors import LoadFailed
from core.golden import verdict as verdicts_of
from core.golden.expressions import parse_expression
from core.golden.outcome import ExitCode, LeftOut, Outcome, outcome
from core.golden.parity import ENGINE, Break, Parity, compare_routes
from core.golden.plan import Planned
from core.golden.rates import Metric
from core.golden.record import RATE_TOKENS, Circumstances, answered, failed, skipped
from core.golden.results import Attempt, NoSuchRun, RunBusy, RunFolder, Status, Verdict, document
from core.golden.suite import Case, Control, Gates, KnownFailure, Limits
from core.tiers import Tier

MODEL = ModelInfo("m", Path("/nowhere"), "folder", ModelKind.TEXT, "test", revision="r1", quantisation="4-bit")


def planned(expect: Any = "red", **changes: Any) -> Planned:
    case = Case(
        id="p#a",
        file=Path("p.txt"),
        line=None,
        prompt="What colour?",
        sampling=Sampling(temperature=0.0, max_tokens=9),
        expect=dict.fromkeys(Tier, parse_expression(expect)),
        sha="c0ffee",
        ask_sha="beef",
        **{name: changes.pop(name) for name in ("limits", "xfail") if name in changes},
    )
    values = {
        "tier": Tier.FULL,
        "route": "openai",
        "repeat": 0,
        "seed": 5,
        "model": MODEL,
        "fingerprint": "f1",
    } | changes
    return Planned(3, case, **values)


def said(
    text: str, finish: FinishReason = FinishReason.STOP, tokens: int = RATE_TOKENS, **timing: float
) -> GenerationResult:
    result = GenerationResult(text=text, thinking="hm")
    usage = Usage(prompt_tokens=11, completion_tokens=tokens)
    result.finished = Finished(finish, usage, Timing(ttft_s=0.5, total_s=1.0, decode_tps=40.0, batch_size=2, **timing))
    return result


def judge(planned: Planned, run: str, result: GenerationResult, around: Circumstances, *shown: Attempt) -> Attempt:
    return verdicts_of.weigh(planned, answered(planned, run, result, around), shown)


def attempt(text: str = "red", verdict: Verdict = Verdict.PASS, **changes: Any) -> Attempt:
    return replace(judge(planned(), "run", said(text), Circumstances()), verdict=verdict, **changes)


def test_a_record_holds_what_was_asked_and_what_came() -> None:
    record = judge(planned(), "run", said("A red box."), Circumstances(True, 1.5, 2_000_000_000, "float32")).to_json()
    assert record["id"] == "run.0003"
    model = {"id": "m", "revision": "r1", "quant": "4-bit", "fingerprint": "f1", "precision": "float32"}
    assert record["model"] == model
    assert record["sent"]["seed"] == 5
    assert (record["claimed"], record["witness"]) == (True, None)
    assert record["usage"]["prompt"] == 11
    assert record["perf"] == {
        "warmth": "loaded",
        "load_s": 1.5,
        "queued_s": 0.0,
        "ttft_s": 0.5,
        "total_s": 1.0,
        "prefill_tps": 0.0,
        "decode_tps": 40.0,
        "peak_gb": 2.0,
    }
    assert record["checks"][0] == {"name": "expect", "expr": "red", "pass": True, "hits": [["red", 2, 5]], "failed": []}
    assert (record["answer"], record["reasoning"], record["finish"]) == ("A red box.", "hm", "stop")
    assert (record["status"], record["verdict"]) == ("ok", "pass")


def test_a_record_reads_back_as_it_was() -> None:
    result = said("")
    result.tool_calls = [ToolCall("1", "f", '{"a": [1]}'), ToolCall("2", "g", "{broken")]
    for each in (
        judge(planned({"tool": "f"}), "run", result, Circumstances()),
        failed(planned(), "run", LoadFailed("It does not load.")),
        skipped(planned(model=None, skip="not on disk"), "run"),
    ):
        assert Attempt.from_json(json.loads(json.dumps(each.to_json()))) == each


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


def test_a_killed_run_loses_nothing_that_had_ended(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "runs", {"asked": {"quick": None}})
    first, second = attempt("red"), attempt("\u2028 r\u0085ed \ud800", key="second")
    folder.append(first)
    folder.append(second)
    with (folder.path / "attempts.jsonl").open("a") as file:
        file.write('{"v":1,"id":"torn')
    folder.close()
    again = RunFolder.open(tmp_path / "runs", folder.id)
    assert again.header["asked"] == {"quick": None}
    assert again.attempts() == [first, second]
    third = attempt("later", key="third")
    again.append(third)
    again.finish({"exit_code": 0})
    last = RunFolder.open(tmp_path / "runs", "last")
    assert last.attempts() == [first, second, third]
    assert last.header["outcome"] == {"exit_code": 0}


def test_an_attempt_is_on_disk_as_soon_as_it_has_ended(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, {})
    folder.append(attempt("red"))
    assert len((folder.path / "attempts.jsonl").read_text().splitlines()) == 1
    folder.close()


def test_a_run_that_does_not_exist_is_refused_with_the_latest(tmp_path: Path) -> None:
    with pytest.raises(NoSuchRun, match="There is none yet"):
        RunFolder.open(tmp_path, "last")
    made = RunFolder.create(tmp_path, {})
    with pytest.raises(NoSuchRun, match=f"The latest is {made.id}"):
        RunFolder.open(tmp_path, "yesterday")


def test_the_document_is_one_json_value() -> None:
    parsed = json.loads(document({"id": "run"}, [attempt()], []))
    assert parsed["run"] == {"id": "run"}
    assert parsed["attempts"][0]["v"] == 2
    assert parsed["parity"] == []


# -- parity ----------------------------------------------------------------------------------------------------------


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


# -- outcome ---------------------------------------------------------------------------------------------------------

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
    assert failing.reasons == ("2 of 3 failed on the full tier: 33%, below the gate of 50%.",)


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
    assert weighed.held(Tier.FULL) == (1, 5)


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


# -- controls, known failures, limits --------------------------------------------------------------------------------


@pytest.mark.parametrize("control", [Control.SWAP, Control.BLIND, Control.NO_SYSTEM])
@pytest.mark.parametrize("shown", [(), (attempt("blue", Verdict.FAIL),), (attempt(), attempt("blue", Verdict.FAIL))])
def test_a_control_shows_nothing_where_the_case_itself_did_not_pass(
    control: Control, shown: tuple[Attempt, ...]
) -> None:
    found = judge(planned(control=control), "run", said("It is blue."), Circumstances(), *shown)
    assert found.verdict is Verdict.INCONCLUSIVE


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
    result.finished = replace(result.finished, usage=Usage(107, RATE_TOKENS, cached_tokens=106))
    found = judge(planned(**SLOW), "run", result, Circumstances())
    assert found.perf["warmth"] == "cached"
    assert [item.name for item in found.checks if not item.passed] == ["decode_tps"]
    told = outcome([found], Parity(), Gates())
    assert any("No attempt could tell whether these limits hold: ttft_s of p#a (full)" in note for note in told.notes)


# -- one writer ------------------------------------------------------------------------------------------------------


def test_a_second_writer_is_refused_in_a_sentence(tmp_path: Path) -> None:
    first = RunFolder.create(tmp_path, {})
    second = RunFolder.open(tmp_path, first.id)
    with pytest.raises(RunBusy, match=f"{first.id} is being written by another process \\(number {os.getpid()}\\)"):
        second.take()
    first.close()
    second.take()
    second.close()


def test_of_two_records_of_one_attempt_the_last_counts(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, {})
    folder.append(attempt(verdict=Verdict.FAIL))
    folder.append(attempt(verdict=Verdict.PASS))
    assert [one.verdict for one in folder.attempts()] == [Verdict.PASS]
    folder.close()


def test_the_outcome_is_ready_for_json() -> None:
    assert json.loads(json.dumps(weigh([Verdict.PASS]).to_json())) == {
        "exit_code": 0,
        "verdicts": {"pass": 1},
        "tiers": {"quick": {}, "full": {"pass": 1}},
        "controls": {},
        "rates": [{"case": "p#0", "tier": "full", "passes": 1, "tries": 1, "interval": [0.2065, 1.0], "greedy": True}],
        "values": {"full": 1.0},
        "shared": 0,
        "reasons": [],
        "notes": [],
    }
