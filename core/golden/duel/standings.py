"""What votes come to: who was preferred to whom in how many cases, the exact chance of that, and a ranking."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from core.golden.compare.statistics import mcnemar
from core.golden.duel.ranking import Strength, bradley_terry, met_groups, tied_groups
from core.golden.duel.votes import Choice, Vote

RANKED = 3
"""Models from which on there is a ranking: of two the wins say it all."""


@dataclass(frozen=True)
class Match:
    """Two models, or two tiers, and in how many cases each was preferred; `p` is the chance of a split at least so
    uneven if both were preferred equally often (the exact sign test, two-sided; ties are left out of it)."""

    one: str
    other: str
    wins: int
    losses: int
    ties: int

    @property
    def p(self) -> float:
        return mcnemar(self.losses, self.wins)

    def to_json(self) -> dict[str, Any]:
        counts = {"wins": self.wins, "losses": self.losses, "ties": self.ties}
        return {"one": self.one, "other": self.other, **counts, "p": round(self.p, 6)}


@dataclass(frozen=True)
class Standings:
    """`matches` by model, and by tier where several models stand for one. `ranking` is empty unless there are more than
    two models and strengths can be told; `notes` say why not, and what else should be known. `left` and `right` are how
    often the answer on that side was preferred, whoever's it was."""

    votes: int
    matches: tuple[Match, ...]
    tiers: tuple[Match, ...]
    ranking: tuple[Strength, ...]
    left: int
    right: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "votes": self.votes,
            "matches": [match.to_json() for match in self.matches],
            "tiers": [match.to_json() for match in self.tiers],
            "ranking": [strength.to_json() for strength in self.ranking],
            "sides": {"left": self.left, "right": self.right},
            "notes": list(self.notes),
        }


def standings(votes: Sequence[Vote]) -> Standings:
    """Weigh votes. A case counts once for two models, however often it was judged: as most of its votes say."""
    matches = _matches((vote.case, vote.models, vote.choice) for vote in votes)
    apart = [vote for vote in votes if len(set(vote.tiers)) == 2]
    several = len({tuple(sorted(vote.models)) for vote in apart}) > 1
    tiers = _matches((vote.case, vote.tiers, vote.choice) for vote in apart) if several else ()
    wins: dict[tuple[str, str], float] = {}
    for match in matches:
        wins[match.one, match.other] = match.wins + match.ties / 2
        wins[match.other, match.one] = match.losses + match.ties / 2
    names = {name for pair in wins for name in pair}
    ranking: tuple[Strength, ...] = ()
    notes: list[str] = []
    if len(names) >= RANKED:
        notes += _why_unranked(wins)
        ranking = () if notes else bradley_terry(wins)
    sides = Counter(vote.choice for vote in votes)
    left, right = sides[Choice.LEFT], sides[Choice.RIGHT]
    if (p := mcnemar(left, right)) < 0.05:
        side, often = ("first", left) if left > right else ("second", right)
        notes.append(
            f"The {side} answer was preferred {often} times of {left + right}, whoever gave it (p = {p:.2g}): "
            "the place may have counted."
        )
    return Standings(len(votes), matches, tiers, ranking, left, right, tuple(notes))


def _matches(votes: Iterable[tuple[str, tuple[str, str], Choice]]) -> tuple[Match, ...]:
    """Cases won, lost and tied for every two names."""
    leads: dict[tuple[str, str], Counter[str]] = {}
    for case, (left, right), choice in votes:
        one, other = sorted((left, right))
        lead = 0 if choice is Choice.TIE else 1 if (choice is Choice.LEFT) == (left == one) else -1
        leads.setdefault((one, other), Counter())[case] += lead
    found = []
    for (one, other), cases in sorted(leads.items()):
        won, lost = sum(lead > 0 for lead in cases.values()), sum(lead < 0 for lead in cases.values())
        first = won >= lost
        ahead, behind = (one, other) if first else (other, one)
        found.append(Match(ahead, behind, max(won, lost), min(won, lost), len(cases) - won - lost))
    return tuple(found)


def _why_unranked(wins: dict[tuple[str, str], float]) -> list[str]:
    apart = met_groups(wins)
    if len(apart) > 1:
        named = " | ".join(", ".join(group) for group in apart)
        return [f"There is no ranking: these groups of models were never compared with each other: {named}."]
    groups = tied_groups(wins)
    if len(groups) == 1:
        return []
    best = next(group for group in groups if not _beaten(group, groups, wins))
    return [
        f"There is no ranking by strength yet: {', '.join(best)} lost to no other model, so that how much stronger "
        "cannot be told. More votes, or a tie, settle it."
    ]


def _beaten(group: Sequence[str], groups: Iterable[Sequence[str]], wins: dict[tuple[str, str], float]) -> bool:
    """Whether someone outside the group was preferred to one inside."""
    outside = itertools.chain.from_iterable(other for other in groups if other is not group)
    return any(wins.get((one, inside), 0.0) for one in outside for inside in group)
