"""Two runs, or two parts of runs, compared case by case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.golden.compare.change import FLIPS, Change, Tries, change_of, direction
from core.golden.compare.sides import Side
from core.golden.compare.statistics import mcnemar, paired_interval
from core.golden.results import Attempt
from core.tiers import Tier

Place = tuple[str, str, str]
"""Where a case is answered: case, tier, model. Tier and model are "" where they do not tell answers apart."""


@dataclass(frozen=True)
class CaseChange:
    """One case on both sides. `tier` is "" where two tiers are compared with each other, `model` where one model
    answers each case. `gate` is the tier whose gate counts a regression."""

    case: str
    tier: str
    model: str
    base: Tries
    run: Tries
    change: Change
    gate: str = ""

    @property
    def label(self) -> str:
        """`vision/cat (full)`."""
        more = ", ".join(filter(None, (self.tier, self.model)))
        return f"{self.case} ({more})" if more else self.case

    @property
    def notes(self) -> tuple[str, ...]:
        """What makes the two sides less alike than they seem, as phrases."""
        if not self.base.held or not self.run.held:
            absent = (("before", self.base), ("now", self.run))
            return tuple(f"{when}: {side.absent}" for when, side in absent if side.absent)
        if self.base.asked != self.run.asked:
            return ("it is asked otherwise",)
        return ("something else is expected",) if self.base.judged != self.run.judged else ()

    def to_json(self) -> dict[str, Any]:
        return {
            "case": self.case,
            "tier": self.tier or None,
            "model": self.model or None,
            "class": self.change.value,
            "base": self.base.to_json(),
            "run": self.run.to_json(),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Balance:
    """The cases of one tier, or of one model, that both sides answered; a case counts once however often it was asked.

    `held` are cases that held in all tries, before and now. `fell` and `rose` held less and more often than before;
    `p` is the exact chance of such a split by luck, and `low` to `high` the 95 % interval of (rose - fell) / cases.
    """

    label: str
    cases: int
    held: tuple[int, int]
    fell: int
    rose: int
    p: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        return (self.rose - self.fell) / self.cases

    def to_json(self) -> dict[str, Any]:
        return {
            "of": self.label or None,
            "cases": self.cases,
            "held": list(self.held),
            "fell": self.fell,
            "rose": self.rose,
            "difference": round(self.difference, 4),
            "interval": [round(self.low, 4), round(self.high, 4)],
            "mcnemar_p": self.p,
        }


@dataclass(frozen=True)
class Comparison:
    """`cases` has those that flipped first. `balances` has an entry for each tier, or model, of the cases. `notes` say
    in sentences which side is a part of the suite, or was stopped."""

    base: str
    run: str
    cases: tuple[CaseChange, ...]
    balances: tuple[Balance, ...]
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> Mapping[Change, int]:
        """How many cases are of each class, those of none left out."""
        found = Counter(one.change for one in self.cases)
        return {change: found[change] for change in Change if found[change]}

    @property
    def flips(self) -> tuple[CaseChange, ...]:
        return tuple(one for one in self.cases if one.change in FLIPS)

    def regressed(self, tier: str) -> int:
        """How many regressions the gate of a tier counts."""
        return sum(one.change is Change.REGRESSED and one.gate == tier for one in self.cases)

    def to_json(self) -> dict[str, Any]:
        return {
            "base": self.base,
            "run": self.run,
            "notes": list(self.notes),
            "counts": {change.value: count for change, count in self.counts.items()},
            "balances": [balance.to_json() for balance in self.balances],
            "cases": [one.to_json() for one in self.cases],
        }


def compare(base: Side, run: Side) -> Comparison:
    """Hold one side's answers against the other's, case by case. Controls are left out, and so are cases that one side
    was not to ask."""
    tiers = base.tiers & run.tiers
    several = base.several_models or run.several_models

    def place(attempt: Attempt) -> Place:
        model = attempt.model_id if several else ""
        return attempt.case, attempt.tier if tiers else "", model

    before, after = (
        _grouped([one for one in side.attempts if other.asked is None or one.case in other.asked], place)
        for side, other in ((base, run), (run, base))
    )
    cases = list(_changes(before, after))
    order = list(Change)
    ranked = sorted(cases, key=lambda one: order.index(one.change))
    groups = dict.fromkeys((one.tier, one.model) for one in cases)
    balances = (_balance(group, [one for one in cases if (one.tier, one.model) == group]) for group in groups)
    notes = dict.fromkeys(side.note for side in (base, run) if side.note)
    return Comparison(base.label, run.label, tuple(ranked), tuple(filter(None, balances)), tuple(notes))


def breaches(found: Comparison, most: Mapping[Tier, int]) -> list[str]:
    """Sentences on the tiers of which more cases regressed than may; those that `most` lacks are not gated."""
    told = []
    for tier, allowed in most.items():
        count = found.regressed(tier)
        if count > allowed:
            cases = "1 case" if count == 1 else f"{count} cases"
            told.append(f"{cases} regressed on the {tier} tier, and max_regressions is {allowed}.")
    return told


def _grouped(attempts: Sequence[Attempt], place: Any) -> dict[Place, list[Attempt]]:
    groups: dict[Place, list[Attempt]] = {}
    for attempt in attempts:
        if attempt.control is None:
            groups.setdefault(place(attempt), []).append(attempt)
    return groups


def _changes(before: Mapping[Place, list[Attempt]], after: Mapping[Place, list[Attempt]]) -> Iterator[CaseChange]:
    """In the order of the later run, and what only the earlier has last. What neither answered is left out."""
    for at in dict.fromkeys((*after, *before)):
        base, run = Tries.of(before.get(at, [])), Tries.of(after.get(at, []))
        gate = (after.get(at) or before[at])[0].tier
        if base.held or run.held:
            yield CaseChange(*at, base, run, change_of(base, run), gate)


def _balance(group: tuple[str, str], cases: Sequence[CaseChange]) -> Balance | None:
    both = [one for one in cases if one.base.held and one.run.held]
    if not both:
        return None
    ways = [direction(one.base, one.run) for one in both]
    fell, rose = ways.count(-1), ways.count(1)
    before, after = ([one.base for one in both], [one.run for one in both])
    held = tuple(sum(all(tries.held.values()) for tries in side) for side in (before, after))
    label = ", ".join(filter(None, group))
    low, high = paired_interval(fell, rose, len(both))
    return Balance(label, len(both), (held[0], held[1]), fell, rose, mcnemar(fell, rose), low, high)
