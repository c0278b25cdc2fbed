"""What a run comes to: counts and rates, the sentences that explain them, and the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

from core.golden.baselines.standing import Baseline
from core.golden.parity import ENGINE, Parity
from core.golden.rates import CaseRate, Metric, case_rates, is_greedy, reaches
from core.golden.results import Attempt, Status, Verdict, several_models
from core.golden.suite import Gates
from core.golden.verdict import NOT_JUDGED
from core.tiers import Tier

NAMED = 3
"""Cases that a sentence names before it says how many more there are."""


class ExitCode(IntEnum):
    """What the shell is told. Of several, a failed golden counts most, then infrastructure, then parity."""

    HOLDS = 0
    FAILED = 1
    WRONG_SUITE = 2
    PARITY = 3
    INFRASTRUCTURE = 4
    INTERRUPTED = 130


@dataclass(frozen=True)
class LeftOut:
    """What a suite declares and a run did not do: cases whose controls were not asked, routes that were not taken,
    cases that were not chosen."""

    controls: int = 0
    routes: tuple[str, ...] = ()
    cases: int = 0

    def to_json(self) -> dict[str, Any]:
        return {"controls": self.controls, "routes": list(self.routes), "cases": self.cases}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> LeftOut:
        return cls(int(value["controls"]), tuple(value["routes"]), int(value["cases"]))


@dataclass(frozen=True)
class Group:
    """The cases of a tier, or of one model on it where several answer each case (else `model` is ""): how many held in
    every try, of how many that were judged, and what they come to by the tier's metric."""

    tier: Tier
    model: str
    held: int
    judged: int
    value: float

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "value": round(self.value, 4)}


@dataclass(frozen=True)
class Outcome:
    """`verdicts` counts all attempts, `tiers` and `controls` each their own; `rates` are of the cases that were judged,
    and `values` what they come to on each tier by its metric, 0 to 1. `groups` are what a gate is held against each.
    `reasons` say what does not hold, `notes` what
    should be known beside; both are for a person.
    """

    code: ExitCode
    verdicts: Mapping[Verdict, int]
    tiers: Mapping[Tier, Mapping[Verdict, int]]
    controls: Mapping[Verdict, int]
    rates: tuple[CaseRate, ...]
    values: Mapping[Tier, float]
    groups: tuple[Group, ...]
    shared: int
    """Cases of the full tier that were not asked there, because the quick tier's model stands for it as well."""
    graded: tuple[str, ...]
    """Cases, by id and tier, that hold only because a model or a program said so."""
    reasons: tuple[str, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "exit_code": int(self.code),
            "verdicts": _by_name(self.verdicts),
            "tiers": {tier.value: _by_name(counts) for tier, counts in self.tiers.items()},
            "controls": _by_name(self.controls),
            "rates": [rate.to_json() for rate in self.rates],
            "values": {tier.value: round(value, 4) for tier, value in self.values.items()},
            "groups": [group.to_json() for group in self.groups],
            "shared": self.shared,
            "graded": list(self.graded),
            "reasons": list(self.reasons),
            "notes": list(self.notes),
        }


def _by_name(counts: Mapping[Verdict, int]) -> dict[str, int]:
    return {verdict.value: count for verdict, count in counts.items()}


def outcome(
    attempts: Sequence[Attempt],
    parity: Parity,
    gates: Gates,
    *,
    left_out: LeftOut | None = None,
    strict: bool = False,
    interrupted: bool = False,
    baseline: Baseline | None = None,
) -> Outcome:
    """Weigh a run. `strict` makes failures of what was skipped, passed unexpectedly, could show nothing, or is declared
    by the suite and was left out. `baseline` is how it stands to the accepted answers, if there are any."""
    tiers = {
        tier: Counter(item.verdict for item in attempts if item.tier == tier and item.control is None) for tier in Tier
    }
    verdicts = Counter(item.verdict for item in attempts)
    controls = Counter(item.verdict for item in attempts if item.control is not None)
    rates = case_rates(attempts)
    values = {tier: value for tier in Tier if (value := _value(tier, rates, gates)) is not None}
    groups = tuple(_groups(attempts, rates, gates))
    missing = list(_missing(left_out or LeftOut()))
    failures = [*_failures(attempts, groups, gates)]
    if idle := controls[Verdict.FAIL]:
        failures.append(f"{_count(idle, 'control')} failed: a pass there does not show what it should.")
    if strict:
        failures += [*_strictly(verdicts, controls), *missing]
    errors = [*_errors(verdicts)] + ([] if interrupted else [*_unanswered(tiers)])
    parts = [*_parity_reasons(parity), *(baseline.breaks if baseline else ())]
    if interrupted:
        code = ExitCode.INTERRUPTED
    elif failures:
        code = ExitCode.FAILED
    elif errors:
        code = ExitCode.INFRASTRUCTURE
    else:
        code = ExitCode.PARITY if parts else ExitCode.HOLDS
    stopped = ["The run was stopped; this is what was done."] if interrupted else []
    notes = [*([] if strict else missing), *_notes(attempts, rates, parity)]
    if left_out and left_out.cases:
        notes.append(f"{_count(left_out.cases, 'case')} of the suite were not asked: the run is a part of it.")
    notes += baseline.notes if baseline else ()
    graded = tuple(dict.fromkeys(f"{item.case} ({item.tier})" for item in attempts if item.by_grades))
    if graded:
        hold = f"{_count(len(graded), 'case')} {'holds' if len(graded) == 1 else 'hold'}"
        notes.append(f"{hold} only by graded checks, which are not exact: {_some(graded)}.")
    twice = {item.case for item in attempts if item.same_as is not None and item.control is None}
    reasons = (*stopped, *failures, *errors, *parts)
    return Outcome(
        code, verdicts, tiers, controls, tuple(rates), values, groups, len(twice), graded, reasons, tuple(notes)
    )


def _value(tier: Tier, rates: Sequence[CaseRate], gates: Gates) -> float | None:
    """The mean over the tier's cases; None when none was judged."""
    metric = gates.metrics.get(tier, Metric())
    mine = [rate.value(metric) for rate in rates if rate.tier == tier]
    return sum(mine) / len(mine) if mine else None


def _groups(attempts: Sequence[Attempt], rates: Sequence[CaseRate], gates: Gates) -> Iterator[Group]:
    """A group for each tier that was asked, or for each model on it."""
    matrix = several_models(attempts)
    for tier, model in dict.fromkeys((Tier(one.tier), one.model_id if matrix else "") for one in attempts):
        mine = [rate for rate in rates if rate.tier == tier and model in ("", rate.model)]
        held = sum(rate.passes == rate.tries for rate in mine)
        yield Group(tier, model, held, len(mine), _value(tier, mine, gates) or 0.0)


def _failures(attempts: Sequence[Attempt], groups: Iterable[Group], gates: Gates) -> Iterator[str]:
    for group in groups:
        tier, where = group.tier, f"the {group.tier} tier" + (f" by {group.model}" if group.model else "")
        mine = [one for one in attempts if one.tier == tier and group.model in ("", one.model_id)]
        told = [one.verdict for one in mine if one.control is None]
        answered = sum(verdict not in (Verdict.SKIP, Verdict.ERROR) for verdict in told)
        wanted, metric = gates.passing.get(tier, 1.0), gates.metrics.get(tier, Metric())
        if answered and Verdict.PASS not in told:
            yield f"Nothing passed on {where}, of {answered} answers."
        elif group.judged and not reaches(group.value, wanted):
            by = "" if metric == Metric() else f" by {metric}"
            gate = "" if wanted == 1.0 else f", below the gate of {wanted:.0%}"
            failed = group.judged - group.held
            yield f"{failed} of {_count(group.judged, 'case')} failed on {where}: {group.value:.0%}{by}{gate}."


def _strictly(verdicts: Mapping[Verdict, int], controls: Mapping[Verdict, int]) -> Iterator[str]:
    if skipped := verdicts.get(Verdict.SKIP):
        yield f"{skipped} were skipped, which --strict forbids."
    if surprising := verdicts.get(Verdict.XPASS):
        yield f"{surprising} passed that were expected to fail, which --strict forbids."
    if idle := controls.get(Verdict.INCONCLUSIVE):
        yield f"{_count(idle, 'control')} could show nothing, which --strict forbids."


def _missing(left_out: LeftOut) -> Iterator[str]:
    if left_out.controls:
        yield f"The controls of {_count(left_out.controls, 'case')} were not run (--no-controls): a pass may be luck."
    if left_out.routes:
        yield f"The suite declares that routes agree, and {', '.join(left_out.routes)} was not asked: --route all does."


def _errors(verdicts: Mapping[Verdict, int]) -> Iterator[str]:
    if errors := verdicts.get(Verdict.ERROR):
        yield f"{_count(errors, 'attempt')} did not come about."


def _unanswered(tiers: Mapping[Tier, Counter[Verdict]]) -> Iterator[str]:
    idle = [tier for tier, counts in tiers.items() if counts.total() and counts.total() == counts[Verdict.SKIP]]
    if len(idle) == len(tiers) or not any(counts.total() for counts in tiers.values()):
        yield "No model answered anything: every attempt was skipped."
    else:
        yield from (f"No model answered on the {tier} tier: every attempt was skipped." for tier in idle)


def _parity_reasons(parity: Parity) -> Iterator[str]:
    between = [found for found in parity.breaks if ENGINE not in found.routes]
    if between:
        answers = {(found.case, found.tier, found.repeat, found.control, found.routes) for found in between}
        yield f"The routes differ in {len(answers)} of {_count(parity.compared, 'comparison')}."
    if alone := len(parity.breaks) - len(between):
        yield f"{_count(alone, 'figure')} of {_count(parity.witnessed, 'answer')} are not what the engine witnessed."


def _notes(attempts: Sequence[Attempt], rates: Sequence[CaseRate], parity: Parity) -> Iterator[str]:
    if parity.claimed:
        yield f"{_count(parity.claimed, 'answer')} came without a witness: what the model was asked is only claimed."
    if same := [f"{rate.case} ({rate.tier})" for rate in rates if rate.one_answer]:
        yield f"Several seeds gave one answer to {_some(same)}: is the seed heard?"
    thought = {one.model.get("id") for one in attempts if one.sent.get("thinking") is False and one.reasoning}
    if thought:
        yield f"Asked not to think, and thought: {_some(sorted(map(str, thought)))}."
    repeated = {one.case for one in attempts if one.repeat > 0 and is_greedy(one)}
    if repeated:
        yield f"Repeats of greedy cases count once, since nothing in them can differ: {_some(sorted(repeated))}."
    untold: dict[str, bool] = {}
    for attempt in attempts:
        for item in attempt.checks if attempt.status is Status.OK else ():
            if isinstance(item.expr, Mapping) and "limit" in item.expr:
                name = f"{item.name} of {attempt.case} ({attempt.tier})"
                untold[name] = untold.get(name, True) and NOT_JUDGED in item.expr
    if idle := [name for name, never in untold.items() if never]:
        yield f"No attempt could tell whether these limits hold: {_some(idle)}."


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
