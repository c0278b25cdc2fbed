"""Runs with real inference: the built-in suite, and what happens when a run is stopped.

test_planted_faults.py asks the suite over all routes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from core.catalog import Catalog, short
from core.engine import Engine
from core.golden.models import from_disk
from core.golden.outcome import ExitCode, outcome
from core.golden.parity import compare_routes
from core.golden.plan import Plan, RunOptions, make_plan
from core.golden.progress import (
    AnswerDelta,
    AttemptFinished,
    AttemptStarted,
    ModelReady,
    RunEvent,
    RunStarted,
    RunWarning,
)
from core.golden.reading import load_suite
from core.golden.rejudge import rejudge
from core.golden.results import Attempt, RunFolder, Status, Verdict
from core.golden.routes import InProcess
from core.golden.run import GoldenRun
from core.golden.suite import BUILTIN
from core.settings import Settings
from core.tiers import Tier

WriteSuite = Callable[[Mapping[str, str]], Path]

POCKET = '[tiers]\nquick = "pocket/qwen3"\nfull = "pocket/qwen3"\n[defaults]\nthinking = false\n'
GREETING = "Hello! Please respond with a single sentence greeting."


def plan_of(engine: Engine, folder: Path, **options: object) -> Plan:
    choose = from_disk(engine.catalog, engine.settings)
    return make_plan(load_suite(folder), choose, RunOptions(**options), 2**40)  # type: ignore[arg-type]


def run(engine: Engine, plan: Plan, **more: object) -> tuple[Attempt, ...]:
    return GoldenRun(plan, {"in-process": InProcess(engine)}, engine, **more).run().attempts  # type: ignore[arg-type]


def failures(attempts: Sequence[Attempt]) -> list[str]:
    return [
        f"{one.case} {one.tier} {one.route} {one.control or ''}: {one.why} ({one.answer!r})"
        for one in attempts
        if one.verdict is not Verdict.PASS
    ]


def test_the_text_cases_hold_on_both_tiers(engine: Engine) -> None:
    attempts = run(engine, plan_of(engine, BUILTIN, cases=("prompts/*",)))
    assert len(attempts) == 24
    assert failures(attempts) == []
    for attempt in attempts:
        assert attempt.usage["prompt"] > 0
        assert attempt.usage["completion"] > 0
        assert attempt.perf["ttft_s"] > 0
        assert attempt.witness is not None
        assert attempt.model["fingerprint"] == short(attempt.witness["model"])
        assert attempt.model["precision"] in ("float32", "float16")


def test_the_vision_cases_hold_on_the_full_tier_and_its_controls_fail_as_they_must(engine: Engine) -> None:
    attempts = run(engine, plan_of(engine, BUILTIN, cases=("vision/*",)))
    full = [attempt for attempt in attempts if attempt.tier == Tier.FULL]
    assert len(full) == 12
    assert {attempt.status for attempt in attempts} == {Status.OK}
    assert failures(full) == []


def test_a_run_tells_its_listener_all_that_happens_in_order(engine: Engine, write_suite: WriteSuite) -> None:
    heard: list[RunEvent] = []
    plan = plan_of(engine, write_suite({"golden.toml": POCKET, "p.txt": GREETING}))
    attempts = run(engine, plan, listener=heard.append)
    assert heard[0] == RunStarted(plan)
    assert [event.model for event in heard if isinstance(event, ModelReady)] == ["pocket/qwen3"]
    for planned in plan.attempts:
        mine = [event for event in heard if getattr(event, "planned", None) is planned]
        assert isinstance(mine[0], AttemptStarted)
        assert isinstance(mine[-1], AttemptFinished)
        assert "".join(event.text for event in mine if isinstance(event, AnswerDelta)) == mine[-1].attempt.answer
        assert mine[-1].attempt in attempts


def test_the_same_seed_gives_the_same_answer_and_each_repeat_has_its_own(
    engine: Engine, write_suite: WriteSuite
) -> None:
    folder = write_suite({"golden.toml": f"{POCKET}temperature = 2.0\n", "p.txt": "Count to ten, please."})
    plan = plan_of(engine, folder, repeats=3, seed=11, in_flight=1)
    first, second = ([attempt.answer for attempt in run(engine, plan)] for _ in range(2))
    assert first == second
    assert first[:3] == first[3:]
    assert len(set(first[:3])) > 1


def test_a_run_that_is_cancelled_keeps_what_was_done_and_can_be_taken_up_again(
    engine: Engine, write_suite: WriteSuite, tmp_path: Path
) -> None:
    folder = write_suite({"golden.toml": POCKET, "a.txt": GREETING, "b.txt": "What is the capital of France?"})
    plan = plan_of(engine, folder, in_flight=1)
    kept = RunFolder.create(tmp_path / "runs", {})

    def stop_in_the_third(event: RunEvent) -> None:
        if isinstance(event, AnswerDelta) and event.planned.index == 2:
            stopped.cancel()

    stopped = GoldenRun(plan, {"in-process": InProcess(engine)}, engine, stop_in_the_third, kept)
    result = stopped.run()
    assert result.interrupted
    assert [attempt.status for attempt in result.attempts] == [Status.OK, Status.OK]
    assert (
        outcome(result.attempts, compare_routes([], plan.suite.gates), plan.suite.gates, interrupted=True).code == 130
    )

    again = RunFolder.open(tmp_path / "runs", kept.id)
    asked: list[int] = []

    def note(event: RunEvent) -> None:
        if isinstance(event, AttemptStarted):
            asked.append(event.planned.index)

    whole = GoldenRun(plan, {"in-process": InProcess(engine)}, engine, note, again, again.attempts()).run()
    assert asked == [2, 3]
    assert whole.attempts[:2] == result.attempts
    assert len(again.attempts()) == 4
    assert not whole.interrupted


def test_a_run_cancelled_before_it_starts_asks_nothing(engine: Engine) -> None:
    cancelled = GoldenRun(plan_of(engine, BUILTIN), {"in-process": InProcess(engine)}, engine)
    cancelled.cancel()
    result = cancelled.run()
    assert (result.attempts, result.interrupted) == ((), True)


def test_what_goes_wrong_with_one_attempt_is_recorded_and_the_rest_goes_on(
    engine: Engine, write_suite: WriteSuite
) -> None:
    tiers = POCKET.replace('"pocket/qwen3"', '{ vision = "pocket/gemma3", text = "pocket/qwen3" }')
    folder = write_suite({"golden.toml": tiers, "a.txt": "What?", "a.png": "red_square.png", "b.txt": GREETING})
    plan = plan_of(engine, folder)
    (folder / "a.png").unlink()
    attempts = {(attempt.case, attempt.tier): attempt for attempt in run(engine, plan)}
    broken = attempts["a", "full"]
    assert (broken.status, broken.verdict) == (Status.ERROR, Verdict.ERROR)
    assert broken.error is not None
    assert "a.png cannot be read" in broken.error["message"]
    assert attempts["b", "full"].verdict is Verdict.PASS
    weighed = outcome(list(attempts.values()), compare_routes([], plan.suite.gates), plan.suite.gates)
    assert weighed.code is ExitCode.INFRASTRUCTURE


def test_a_run_goes_on_when_its_folder_cannot_be_written(
    engine: Engine, write_suite: WriteSuite, tmp_path: Path
) -> None:
    kept = RunFolder.create(tmp_path / "runs", {})
    (kept.path / "attempts.jsonl").mkdir()
    heard: list[RunEvent] = []
    plan = plan_of(engine, write_suite({"golden.toml": POCKET, "p.txt": GREETING}))
    assert len(run(engine, plan, listener=heard.append, folder=kept)) == 2
    assert len([event for event in heard if isinstance(event, RunWarning)]) == 1


def test_models_that_do_not_fit_together_are_loaded_one_after_the_other(engine: Engine, catalog: Catalog) -> None:
    choose = from_disk(catalog, engine.settings)
    plan = make_plan(load_suite(BUILTIN), choose, RunOptions(cases=("simple_greeting", "ocr_text"), controls=False), 0)
    assert [len(stage.models) for stage in plan.stages] == [1, 1, 1]
    there = {model.id for model in engine.status().models}
    assert len(run(engine, plan)) == 4
    assert there <= {model.id for model in engine.status().models}


@pytest.mark.parametrize("glob", ["vision/describe_image#red"])
def test_the_answer_follows_the_image(engine: Engine, glob: str) -> None:
    attempts = run(engine, plan_of(engine, BUILTIN, cases=(glob,)))
    answers = {attempt.control: attempt.answer for attempt in attempts if attempt.tier == Tier.FULL}
    assert "red" in answers[None].lower()
    assert "blue" in answers["swap"].lower()


def kept_run(engine: Engine, plan: Plan, folder: RunFolder) -> list[int]:
    """Carry a plan out in a run's folder; returns the indices of the attempts that were asked."""
    asked: list[int] = []

    def note(event: RunEvent) -> None:
        if isinstance(event, AttemptStarted):
            asked.append(event.planned.index)

    GoldenRun(plan, {"in-process": InProcess(engine)}, engine, note, folder, folder.attempts()).run()
    return asked


CAPITAL = {"golden.toml": POCKET, "p.txt": "What is the capital of France?", "p.toml": 'expect = "paris"\n'}


def test_another_expectation_judges_kept_answers_anew_without_asking(
    engine: Engine, write_suite: WriteSuite, tmp_path: Path
) -> None:
    folder = RunFolder.create(tmp_path / "runs", {})
    assert kept_run(engine, plan_of(engine, write_suite(CAPITAL)), folder) == [0, 1]
    assert {attempt.verdict for attempt in folder.attempts()} == {Verdict.PASS}
    changed = write_suite(CAPITAL | {"p.toml": 'expect = "rome"\n'})
    keys = [attempt.key for attempt in folder.attempts()]
    flips = rejudge(load_suite(changed), keys, folder.attempts()).flips
    assert [(flip.before.verdict, flip.after.verdict) for flip in flips] == [(Verdict.PASS, Verdict.FAIL)] * 2
    assert kept_run(engine, plan_of(engine, changed), folder) == []
    assert {attempt.verdict for attempt in folder.attempts()} == {Verdict.FAIL}


def test_an_answer_to_another_question_keeps_its_verdict(
    engine: Engine, write_suite: WriteSuite, tmp_path: Path
) -> None:
    folder = RunFolder.create(tmp_path / "runs", {})
    kept_run(engine, plan_of(engine, write_suite(CAPITAL)), folder)
    changed = write_suite(CAPITAL | {"p.txt": "What is the capital of Italy?", "p.toml": 'expect = "rome"\n'})
    keys = [attempt.key for attempt in folder.attempts()]
    found = rejudge(load_suite(changed), [*keys, "one that has not ended"], folder.attempts())
    assert (found.attempts, found.flips, [one.case for one in found.other], found.missing) == ((), (), ["p", "p"], 1)


def test_other_weights_or_another_template_are_asked_again(
    catalog: Catalog, settings: Settings, write_suite: WriteSuite, tmp_path: Path
) -> None:
    model = tmp_path / "models" / "mine"
    shutil.copytree(catalog.get("pocket/qwen3").path, model)
    chosen = settings.model_copy(update={"model_folders": [tmp_path / "models"], "data_dir": tmp_path})
    suite = write_suite(CAPITAL | {"golden.toml": POCKET.replace("pocket/qwen3", "mine")})
    folder = RunFolder.create(tmp_path / "runs", {})

    def asked() -> list[int]:
        with Engine(chosen, Catalog(chosen)) as engine:
            return kept_run(engine, plan_of(engine, suite), folder)

    assert asked() == [0, 1]
    assert asked() == []
    data = bytearray((model / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (model / "model.safetensors").write_bytes(data)
    assert asked() == [0, 1]
    template = model / "chat_template.jinja"
    template.write_text(template.read_text() + "{# another #}")
    assert asked() == [0, 1]


def test_isolated_times_are_of_one_attempt_at_a_time(engine: Engine, write_suite: WriteSuite) -> None:
    files = {"golden.toml": POCKET} | {f"p{number}.txt": GREETING for number in range(4)}
    attempts = run(engine, plan_of(engine, write_suite(files), isolated=True, in_flight=8))
    assert {attempt.witness["batch_size"] for attempt in attempts if attempt.witness} == {1}


def test_a_control_waits_for_the_attempts_that_it_is_held_against(engine: Engine) -> None:
    attempts = run(engine, plan_of(engine, BUILTIN, cases=("sampled_story", "secret_word"), in_flight=1))
    controls = [attempt for attempt in attempts if attempt.control]
    assert {(attempt.control, attempt.verdict) for attempt in controls} == {
        ("seed", Verdict.PASS),
        ("no-system", Verdict.PASS),
    }


def test_a_case_that_was_added_leaves_every_record_a_name_of_its_own(
    engine: Engine, write_suite: WriteSuite, tmp_path: Path
) -> None:
    folder = RunFolder.create(tmp_path / "runs", {})
    kept_run(engine, plan_of(engine, write_suite(CAPITAL)), folder)
    plan = plan_of(engine, write_suite(CAPITAL | {"a.txt": GREETING}))
    assert kept_run(engine, plan, folder) == [0, 1]
    kept = folder.attempts()
    assert len({attempt.id for attempt in kept}) == len(kept) == 4
    assert {attempt.same_as for attempt in kept} - {None} <= {attempt.id for attempt in kept}
    assert {attempt.case_sha for attempt in kept if attempt.case == "p"} == {plan.attempts[2].case.sha}
