"""A run's events folded into rows and cells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.golden.plan import Planned
from core.golden.progress import AnswerDelta, AttemptFinished, AttemptStarted, RunEvent
from core.golden.results import Attempt, Status, Verdict
from core.golden.suite import Case, Control
from core.tiers import Tier
from tests.tui.scripted import MODELS
from tui.golden.board import Board, Progress

CASES = [Case(f"case{number}", Path("x.txt"), None, "?") for number in range(3)]


def planned(case: Case, tier: Tier) -> Planned:
    return Planned(0, case, tier, "in-process", 0, 0, MODELS[0])


def ended(case: Case, tier: Tier, verdict: Verdict, answer: str = "yes") -> RunEvent:
    attempt = Attempt(
        "r.0", "k", case.id, "", "", tier, "in-process", 0, Status.OK, verdict, answer=answer, perf={"decode_tps": 92.0}
    )
    return AttemptFinished(planned(case, tier), attempt)


@pytest.fixture
def board() -> Board:
    board = Board.of(CASES)
    board.expect([case.id for case in CASES])
    return board


def test_an_answer_grows_while_it_runs(board: Board) -> None:
    board.add(AttemptStarted(planned(CASES[0], Tier.QUICK)))
    board.add(AnswerDelta(planned(CASES[0], Tier.QUICK), "ye"))
    board.add(AnswerDelta(planned(CASES[0], Tier.QUICK), "s"))
    cell = board.cells["case0", Tier.QUICK]
    assert (cell.progress, cell.answer, cell.model) == (Progress.RUNNING, "yes", MODELS[0].id)
    assert board.cells["case0", Tier.FULL].progress is Progress.WAITING


def test_the_end_brings_verdict_and_rate(board: Board) -> None:
    board.add(ended(CASES[0], Tier.QUICK, Verdict.PASS))
    cell = board.cells["case0", Tier.QUICK]
    assert (cell.progress, cell.held, cell.rate) == (Progress.DONE, True, "92")
    assert board.ended() == (1, 6)


def test_the_better_tier_is_named_where_they_differ(board: Board) -> None:
    verdicts = [(Verdict.FAIL, Verdict.PASS), (Verdict.PASS, Verdict.PASS), (Verdict.PASS, Verdict.FAIL)]
    for case, (quick, full) in zip(CASES, verdicts, strict=True):
        board.add(ended(case, Tier.QUICK, quick))
        board.add(ended(case, Tier.FULL, full))
    assert [board.difference(case.id) for case in CASES] == ["full", "=", "quick"]
    assert board.disagreements() == ["case0", "case2"]
    assert board.held(Tier.QUICK) == (2, 3)


def test_skips_and_errors_are_not_judged(board: Board) -> None:
    board.add(ended(CASES[0], Tier.QUICK, Verdict.SKIP))
    board.add(ended(CASES[0], Tier.FULL, Verdict.PASS))
    assert board.difference("case0") == ""
    assert board.held(Tier.QUICK) == (0, 0)


def test_of_repeats_one_that_fails_is_shown(board: Board) -> None:
    for verdict in (Verdict.PASS, Verdict.FAIL, Verdict.PASS):
        board.add(ended(CASES[0], Tier.QUICK, verdict))
    assert board.cells["case0", Tier.QUICK].held is False


def test_an_expected_failure_holds(board: Board) -> None:
    board.add(ended(CASES[0], Tier.QUICK, Verdict.XFAIL))
    assert board.cells["case0", Tier.QUICK].held is True


def test_stopping_forgets_what_had_not_ended(board: Board) -> None:
    board.add(ended(CASES[0], Tier.QUICK, Verdict.PASS))
    board.add(AttemptStarted(planned(CASES[1], Tier.QUICK)))
    board.give_up()
    assert board.cells["case1", Tier.QUICK].progress is Progress.IDLE
    assert board.cells["case0", Tier.QUICK].progress is Progress.DONE


def test_stopping_brings_back_what_the_run_before_said(board: Board) -> None:
    for case in CASES[:2]:
        board.add(ended(case, Tier.QUICK, Verdict.PASS, "before"))
    board.expect([case.id for case in CASES])
    board.add(ended(CASES[0], Tier.QUICK, Verdict.FAIL, "now"))
    board.add(AttemptStarted(planned(CASES[1], Tier.QUICK)))
    board.give_up()
    said = [board.cells[case.id, Tier.QUICK].attempt for case in CASES]
    assert [attempt and attempt.answer for attempt in said] == ["now", "before", None]
    assert board.held(Tier.QUICK) == (1, 2)


def test_controls_of_an_earlier_run_are_counted_too() -> None:
    board = Board.of([CASES[0]])
    event = ended(CASES[0], Tier.QUICK, Verdict.PASS)
    assert isinstance(event, AttemptFinished)
    own = replace(event.attempt, case_sha=CASES[0].sha)
    board.recall([own, replace(own, control="blind"), replace(own, control="blind", verdict=Verdict.INCONCLUSIVE)])
    assert (board.controls(), board.held(Tier.QUICK)) == ((1, 1), (1, 1))


def test_running_again_forgets_the_verdict() -> None:
    board = Board.of([replace(CASES[0])])
    board.add(ended(CASES[0], Tier.QUICK, Verdict.PASS))
    board.expect(["case0"])
    assert board.cells["case0", Tier.QUICK].attempt is None


def test_a_control_that_fails_is_kept_beside_the_verdict(board: Board) -> None:
    board.add(ended(CASES[0], Tier.QUICK, Verdict.PASS))
    for verdict in (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE):
        event = ended(CASES[0], Tier.QUICK, verdict, "a control's answer")
        assert isinstance(event, AttemptFinished)
        attempt = replace(event.attempt, control=Control.BLIND.value)
        board.add(AttemptFinished(replace(event.planned, control=Control.BLIND), attempt))
    cell = board.cells["case0", Tier.QUICK]
    assert (cell.held, cell.tries, board.held(Tier.QUICK), board.controls()) == (True, 1, (1, 1), (1, 2))
    assert cell.attempt is not None
    assert cell.attempt.answer == "yes"
    assert cell.control is not None
    assert cell.control.verdict is Verdict.FAIL


def test_one_model_for_both_tiers_is_said_to_be_one(board: Board) -> None:
    for tier, same_as in ((Tier.QUICK, None), (Tier.FULL, "r.0")):
        event = ended(CASES[0], tier, Verdict.PASS)
        assert isinstance(event, AttemptFinished)
        board.add(replace(event, attempt=replace(event.attempt, same_as=same_as)))
    assert (board.difference("case0"), board.one_model, board.disagreements()) == ("one", 1, [])
