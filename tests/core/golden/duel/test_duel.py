"""Pairs in places that are not told, votes that are kept and taken back, and what they come to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.golden.duel.pairs import pairs_of, told
from core.golden.duel.standings import standings
from core.golden.duel.votes import VOTES, Choice, Duel, Vote, votes_of
from core.golden.results import Attempt, RunBusy, RunFolder
from tests.core.golden.records import attempt


def answers(cases: int = 40, models: tuple[str, ...] = ("a", "b")) -> list[Attempt]:
    return [
        attempt(
            f"{model} says {case}", case=f"c{case}", key=f"{case} {model}", id=f"{case}.{model}", model={"id": model}
        )
        for case in range(cases)
        for model in models
    ]


def kept(runs: Path, attempts: list[Attempt]) -> RunFolder:
    folder = RunFolder.create(runs, {"planned": [one.key for one in attempts]})
    for one in attempts:
        folder.append(one)
    folder.close()
    return folder


def duel_of(folder: RunFolder) -> Duel:
    return Duel(folder, pairs_of(folder.as_planned(), folder.id))


def vote(case: str, winner: str, loser: str, choice: Choice = Choice.LEFT) -> Vote:
    models = (winner, loser) if choice is not Choice.RIGHT else (loser, winner)
    return Vote(f"{case} {winner} {loser}", case, models, ("full", "full"), choice)


def test_a_seed_alone_decides_the_sides_and_the_order() -> None:
    pairs, again, other = (pairs_of(answers(), seed) for seed in ("one", "one", "two"))
    assert pairs == again
    assert [pair.case for pair in pairs.shown] != [pair.case for pair in other.shown]
    assert sorted(pair.id for pair in pairs.shown) == sorted(pair.id for pair in other.shown)
    left = sum(pair.left.model_id == "a" for pair in pairs.shown)
    assert 10 < left < 30
    sides = [{pair.id: pair.left.id for pair in one.shown} for one in (pairs, other)]
    assert sides[0] != sides[1]


def test_only_first_answers_that_differ_and_are_still_asked_are_shown() -> None:
    same = [attempt("red", case="s", key=model, model={"id": model}) for model in ("a", "b")]
    later = [attempt("later", case="c0", key="0 a 1", repeat=1, model={"id": "a"})]
    control = [attempt("control", case="c0", key="0 z", control="blind", model={"id": "z"})]
    pairs = pairs_of([*later, *answers(1), *same, *control], "seed")
    assert [(pair.case, {pair.left.answer, pair.right.answer}) for pair in pairs.shown] == [
        ("c0", {"a says 0", "b says 0"})
    ]
    assert pairs.alike == 1
    assert pairs_of(answers(2), "seed", {}).changed == 2
    assert len(pairs_of(answers(1, ("a", "b", "c")), "seed").shown) == 3


def test_what_was_said_in_a_conversation_is_shown_whole() -> None:
    call = {"name": "weather", "arguments": {"city": "Paris"}}
    turned = attempt("third", turns=({"answer": "first", "tool_calls": ()}, {"answer": "", "tool_calls": (call,)}))
    assert told(turned) == 'first\n\nweather({"city": "Paris"})\n\nthird'


def test_votes_are_kept_by_case_and_run_and_taken_back_by_a_line_more(tmp_path: Path) -> None:
    folder = kept(tmp_path, answers(3))
    duel = duel_of(folder)
    first, second, third = duel.waiting
    assert duel.undo() is None
    duel.vote(first, Choice.LEFT)
    duel.vote(second, Choice.TIE)
    assert duel.waiting == [third]
    assert [one.winner for one in duel.votes] == [first.left.model_id, ""]
    assert duel.undo() == second
    duel.vote(second, Choice.RIGHT)

    again = duel_of(RunFolder.open(tmp_path, "last"))
    assert again.votes == duel.votes
    assert again.waiting == [third]
    assert [one.winner for one in votes_of([folder])] == [first.left.model_id, second.right.model_id]
    lines = [json.loads(line) for line in (folder.path / VOTES).read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["duel", "duel", "undo", "duel"]
    assert lines[0]["case"] == first.case
    assert lines[0]["left"] == {"model": first.left.model_id, "tier": "full", "attempt": first.left.id}


def test_a_vote_on_an_answer_that_was_asked_again_does_not_count(tmp_path: Path) -> None:
    folder = kept(tmp_path, answers(1))
    duel = duel_of(folder)
    duel.vote(duel.waiting[0], Choice.LEFT)
    folder.append(attempt("b says other", case="c0", key="0 b", model={"id": "b"}))
    folder.close()
    assert len(duel_of(folder).waiting) == 1
    assert votes_of([folder]) == []


def test_a_run_that_is_being_written_takes_no_votes(tmp_path: Path) -> None:
    folder = kept(tmp_path, answers(1))
    writer = RunFolder.open(tmp_path, folder.id)
    writer.take()
    duel = duel_of(folder)
    with pytest.raises(RunBusy):
        duel.vote(duel.waiting[0], Choice.TIE)
    assert duel.votes == ()
    writer.close()


def test_a_table_of_wins_has_the_exact_sign_test_without_ties() -> None:
    votes = [vote(f"c{case}", "b", "a", (Choice.LEFT, Choice.RIGHT)[case % 2]) for case in range(8)]
    votes += [vote("c8", "a", "b"), vote("c9", "a", "b", Choice.TIE)]
    (match,) = standings(votes).matches
    assert (match.one, match.other, match.wins, match.losses, match.ties) == ("b", "a", 8, 1, 1)
    assert match.p == pytest.approx(2 * (1 + 9) / 2**9)
    assert standings(votes).ranking == ()


def test_a_case_counts_once_as_most_of_its_votes_say() -> None:
    (match,) = standings([vote("c", "a", "b"), vote("c", "a", "b"), vote("c", "b", "a")]).matches
    assert (match.wins, match.losses, match.ties) == (1, 0, 0)


def test_a_side_that_is_always_preferred_is_named() -> None:
    found = standings([vote(f"c{case}", "ab"[case % 2], "ba"[case % 2]) for case in range(8)])
    assert (found.left, found.right) == (8, 0)
    assert "The first answer was preferred 8 times of 8" in found.notes[0]


def test_tiers_are_told_where_several_models_stand_for_one() -> None:
    votes = [
        Vote("1", "c", ("a", "b"), ("quick", "full"), Choice.RIGHT),
        Vote("2", "d", ("z", "y"), ("full", "quick"), Choice.LEFT),
    ]
    (match,) = standings(votes).tiers
    assert (match.one, match.wins, match.losses) == ("full", 2, 0)
    assert standings(votes[:1]).tiers == ()
