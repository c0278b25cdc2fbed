"""Strengths by Bradley and Terry: against a computation of another kind, and where there are none."""

from __future__ import annotations

import math

import pytest
from scipy.optimize import minimize

from core.golden.duel.ranking import POINTS, bradley_terry, met_groups, tied_groups
from core.golden.duel.standings import standings
from core.golden.duel.votes import Choice, Vote

WINS = {("a", "b"): 8.0, ("b", "a"): 3.0, ("b", "c"): 5.5, ("c", "b"): 2.5, ("a", "c"): 2.0, ("c", "a"): 1.0}


def test_strengths_are_those_of_the_greatest_likelihood() -> None:
    def surprise(values: tuple[float, float]) -> float:
        logs = {"a": values[0], "b": values[1], "c": -values[0] - values[1]}
        return sum(count * math.log1p(math.exp(logs[worse] - logs[better])) for (better, worse), count in WINS.items())

    found = minimize(surprise, (0.0, 0.0), tol=1e-12).x
    points = {one.model: one.points for one in bradley_terry(WINS)}
    assert points["a"] == pytest.approx(found[0] * POINTS, abs=0.01)
    assert points["b"] == pytest.approx(found[1] * POINTS, abs=0.01)
    assert sum(points.values()) == pytest.approx(0.0, abs=1e-6)
    assert [one.model for one in bradley_terry(WINS)] == ["a", "b", "c"]


def test_of_two_the_interval_is_that_of_log_odds() -> None:
    """Of two around their mean, each has half of the log odds, and half of their deviation."""
    first, second = bradley_terry({("a", "b"): 30.0, ("b", "a"): 10.0})
    assert first.points - second.points == pytest.approx(math.log(3) * POINTS, rel=1e-6)
    deviation = math.sqrt(1 / 30 + 1 / 10)
    assert first.spread == pytest.approx(1.959964 * deviation / 2 * POINTS, rel=1e-3)


def test_without_a_chain_of_wins_both_ways_there_are_no_strengths() -> None:
    unbeaten = {("a", "b"): 2.0, ("b", "a"): 0.0, ("b", "c"): 1.0, ("c", "b"): 1.0}
    assert tied_groups(unbeaten) == [["a"], ["b", "c"]]
    assert met_groups(unbeaten) == [["a", "b", "c"]]
    with pytest.raises(ValueError, match="no likeliest strengths"):
        bradley_terry(unbeaten)


def votes(*wins: str) -> list[Vote]:
    """`ab` is a case in which a was preferred to b."""
    return [
        Vote(str(place), f"c{place}", (one[0], one[1]), ("full", "full"), Choice.LEFT) for place, one in enumerate(wins)
    ]


def test_more_than_two_models_are_ranked_or_it_is_said_why_not() -> None:
    found = standings(votes("ab", "ab", "ba", "bc", "cb", "ac"))
    assert [one.model for one in found.ranking] == ["a", "b", "c"]
    assert found.to_json()["ranking"][0]["points"] > 0
    unbeaten = standings(votes("ab", "bc", "cb"))
    assert unbeaten.ranking == ()
    assert "a lost to no other model" in unbeaten.notes[0]
    apart = standings(votes("ab", "cd"))
    assert "never compared with each other: a, b | c, d." in apart.notes[0]
