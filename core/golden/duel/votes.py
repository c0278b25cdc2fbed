"""What people said of pairs: a line for each vote and each vote taken back, beside the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.errors import EngineError
from core.golden.duel.pairs import Pair, Pairs, pairs_of
from core.golden.results import Attempt, RunFolder
from core.golden.suite import Suite

VOTES = "duels.jsonl"
"""In a run's folder: votes, a line each; none is ever taken out."""


class Choice(StrEnum):
    """Which side was better."""

    LEFT = "left"
    RIGHT = "right"
    TIE = "tie"


class NotKept(EngineError):
    """A vote could not be written."""

    code = "vote_not_kept"


@dataclass(frozen=True)
class Vote:
    """A vote that stands: model ids and tiers of both sides, left and right, and which was better."""

    pair: str
    case: str
    models: tuple[str, str]
    tiers: tuple[str, str]
    choice: Choice

    @property
    def winner(self) -> str:
        """The better model's id; "" for a tie."""
        return "" if self.choice is Choice.TIE else self.models[self.choice is Choice.RIGHT]


class Duel:
    """A run's pairs and what was said of them."""

    def __init__(self, run: RunFolder, pairs: Pairs) -> None:
        self.run = run
        self.pairs = pairs
        shown = {pair.id for pair in pairs.shown}
        self._votes = {vote.pair: vote for vote in _read(run) if vote.pair in shown}

    @classmethod
    def of(cls, run: RunFolder, suite: Suite) -> Duel:
        """The pairs of a run whose questions the suite still asks. Raises NoSuchRun."""
        return cls(run, pairs_of(run.as_planned(), run.id, {case.id: case for case in suite.cases}))

    @property
    def votes(self) -> tuple[Vote, ...]:
        """The votes that stand, in the order in which they were cast."""
        return tuple(self._votes.values())

    @property
    def waiting(self) -> list[Pair]:
        """The pairs that nobody has voted on, in their order."""
        return [pair for pair in self.pairs.shown if pair.id not in self._votes]

    def vote(self, pair: Pair, choice: Choice) -> None:
        """Keep a vote. Raises RunBusy while the run is being written, and NotKept."""
        sides = {side: _side(one) for side, one in (("left", pair.left), ("right", pair.right))}
        self._note({"kind": "duel", "pair": pair.id, "case": pair.case, **sides, "choice": choice.value, "blind": True})
        self._votes.pop(pair.id, None)
        self._votes[pair.id] = _vote_on(pair, choice)

    def undo(self) -> Pair | None:
        """Take the latest vote back, and tell of which pair; None where there is none. Raises RunBusy and NotKept."""
        if not self._votes:
            return None
        last = next(reversed(self._votes))
        self._note({"kind": "undo", "pair": last})
        del self._votes[last]
        return next(pair for pair in self.pairs.shown if pair.id == last)

    def _note(self, line: Mapping[str, Any]) -> None:
        try:
            self.run.note(VOTES, line)
        except OSError as error:
            where = self.run.path / VOTES
            raise NotKept(f"The vote is not kept: {where} cannot be written ({error.strerror or error}).") from error


def votes_of(runs: Iterable[RunFolder]) -> list[Vote]:
    """The votes on answers that runs still have. Raises NoSuchRun."""
    return [vote for run in runs if (run.path / VOTES).exists() for vote in Duel(run, _pairs(run)).votes]


def _pairs(run: RunFolder) -> Pairs:
    return pairs_of(run.as_planned(), run.id)


def _read(run: RunFolder) -> list[Vote]:
    """The votes that were not taken back, the latest last."""
    found: dict[str, Vote] = {}
    for line in run.notes(VOTES):
        pair = str(line.get("pair", ""))
        found.pop(pair, None)
        if line.get("kind") == "duel":
            try:
                found[pair] = _vote(line)
            except (KeyError, TypeError, ValueError):
                continue
    return list(found.values())


def _vote(line: Mapping[str, Any]) -> Vote:
    left, right = line["left"], line["right"]
    models, tiers = (left["model"], right["model"]), (left["tier"], right["tier"])
    return Vote(line["pair"], line["case"], models, tiers, Choice(line["choice"]))


def _vote_on(pair: Pair, choice: Choice) -> Vote:
    left, right = pair.left, pair.right
    return Vote(pair.id, pair.case, (left.model_id, right.model_id), (left.tier, right.tier), choice)


def _side(attempt: Attempt) -> dict[str, str]:
    return {"model": attempt.model_id, "tier": attempt.tier, "attempt": attempt.id}
