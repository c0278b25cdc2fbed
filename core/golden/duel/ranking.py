"""Strengths of several models from who was preferred to whom."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.golden.rates import Z

POINTS = 400 / math.log(10)
"""Points for each unit of log strength: 400 points apart are odds of ten to one, as in Elo's scale."""
ROUNDS, STEADY = 10_000, 1e-10
"""Rounds of the iteration at most, and the change of a strength below which it has ended."""

Wins = Mapping[tuple[str, str], float]
"""How often the first was preferred to the second; a tie is half a win for each."""


@dataclass(frozen=True)
class Strength:
    """A model's place: points around 0, the mean of all, with the half width of their 95 % interval."""

    model: str
    points: float
    spread: float

    def to_json(self) -> dict[str, Any]:
        return {"model": self.model, "points": round(self.points, 1), "spread": round(self.spread, 1)}


def bradley_terry(wins: Wins) -> tuple[Strength, ...]:
    """The likeliest strengths under P(a beats b) = a / (a + b) (Bradley and Terry 1952), the strongest first, by the MM
    iteration of Hunter (2004, Annals of Statistics 32:384); intervals by Wald, from the information matrix.

    Raises ValueError unless `tied_groups` finds one group: without that there are no likeliest strengths.
    """
    import numpy as np

    names = _names(wins)
    if len(tied_groups(wins)) != 1:
        raise ValueError("there are no likeliest strengths: some model was never, or always, preferred")
    place = {name: index for index, name in enumerate(names)}
    won = np.zeros((len(names), len(names)))
    for (better, worse), count in wins.items():
        won[place[better], place[worse]] += count
    met = won + won.T
    strengths = np.ones(len(names))
    for _ in range(ROUNDS):
        shares = met / (strengths[:, None] + strengths[None, :])
        after = won.sum(axis=1) / shares.sum(axis=1)
        after /= np.exp(np.log(after).mean())
        steady = float(np.abs(np.log(after / strengths)).max()) < STEADY
        strengths = after
        if steady:
            break
    chance = strengths[:, None] / (strengths[:, None] + strengths[None, :])
    information = -met * chance * (1 - chance)
    np.fill_diagonal(information, 0.0)
    np.fill_diagonal(information, -information.sum(axis=1))
    variances = np.diag(np.linalg.pinv(information))
    found = [
        Strength(name, float(np.log(strengths[index])) * POINTS, Z * math.sqrt(variances[index]) * POINTS)
        for name, index in place.items()
    ]
    return tuple(sorted(found, key=lambda one: -one.points))


def tied_groups(wins: Wins) -> list[list[str]]:
    """Models that are ranked among each other: in each group a chain of wins leads from anyone to anyone (Ford 1957).
    One group of all is what strengths need."""
    beaten = {
        name: {worse for (better, worse), count in wins.items() if better == name and count} for name in _names(wins)
    }
    reach = {name: _reached(name, beaten) for name in beaten}
    return _grouped(list(beaten), lambda one, other: other in reach[one] and one in reach[other])


def met_groups(wins: Wins) -> list[list[str]]:
    """Models that were compared with each other, if only by way of others."""
    met: dict[str, set[str]] = {name: set() for name in _names(wins)}
    for (one, other), count in wins.items():
        if count:
            met[one].add(other)
            met[other].add(one)
    reach = {name: _reached(name, met) for name in met}
    return _grouped(list(met), lambda one, other: other in reach[one])


def _names(wins: Wins) -> list[str]:
    return sorted({name for pair in wins for name in pair})


def _reached(start: str, steps: Mapping[str, Iterable[str]]) -> set[str]:
    reached, ahead = {start}, [start]
    while ahead:
        fresh = set(steps[ahead.pop()]) - reached
        reached |= fresh
        ahead += fresh
    return reached


def _grouped(names: Sequence[str], together: Any) -> list[list[str]]:
    groups: list[list[str]] = []
    for name in names:
        home = next((group for group in groups if together(group[0], name)), None)
        if home is None:
            groups.append([name])
        else:
            home.append(name)
    return groups
