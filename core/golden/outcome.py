"""What a run comes to: counts, the sentences that explain it, and the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from core.golden.parity import Parity
from core.golden.results import Attempt, Verdict
from core.golden.suite import Gates
from core.tiers import Tier


class ExitCode(IntEnum):
    """What the shell is told. Of several, a failed golden counts most, then infrastructure, then parity."""

    HOLDS = 0
    FAILED = 1
    WRONG_SUITE = 2
    PARITY = 3
    INFRASTRUCTURE = 4
    INTERRUPTED = 130


@dataclass(frozen=True)
class Outcome:
    """`verdicts` counts all attempts, `tiers` and `controls` each their own; `reasons` are for a person."""

    code: ExitCode
    verdicts: Mapping[Verdict, int]
    tiers: Mapping[Tier, Mapping[Verdict, int]]
    controls: Mapping[Verdict, int]
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "exit_code": int(self.code),
            "verdicts": _by_name(self.verdicts),
            "tiers": {tier.value: _by_name(counts) for tier, counts in self.tiers.items()},
            "controls": _by_name(self.controls),
            "reasons": list(self.reasons),
        }


def _by_name(counts: Mapping[Verdict, int]) -> dict[str, int]:
    return {verdict.value: count for verdict, count in counts.items()}


def outcome(
    attempts: Sequence[Attempt],
    parity: Parity,
    gates: Gates,
    *,
    strict: bool = False,
    interrupted: bool = False,
) -> Outcome:
    """Weigh a run. `strict` makes skipped attempts and unexpected passes failures."""
    tiers = {
        tier: Counter(item.verdict for item in attempts if item.tier == tier and item.control is None) for tier in Tier
    }
    verdicts = Counter(item.verdict for item in attempts)
    controls = Counter(item.verdict for item in attempts if item.control is not None)
    failures = [*_failures(tiers, controls, gates), *(_strictly(verdicts) if strict else ())]
    errors = [f"{verdicts[Verdict.ERROR]} attempts did not come about."] if verdicts[Verdict.ERROR] else []
    if not interrupted and not verdicts.keys() - {Verdict.SKIP}:
        errors.append("No model answered anything: every attempt was skipped.")
    parts = [f"The routes differ in {len(parity.breaks)} of {parity.compared} answers."] if parity.breaks else []
    if interrupted:
        code = ExitCode.INTERRUPTED
    elif failures:
        code = ExitCode.FAILED
    elif errors:
        code = ExitCode.INFRASTRUCTURE
    else:
        code = ExitCode.PARITY if parts else ExitCode.HOLDS
    stopped = ["The run was stopped; this is what was done."] if interrupted else []
    return Outcome(code, verdicts, tiers, controls, (*stopped, *failures, *errors, *parts))


def _failures(tiers: Mapping[Tier, Counter[Verdict]], controls: Counter[Verdict], gates: Gates) -> Iterator[str]:
    for tier, counts in tiers.items():
        held = counts[Verdict.PASS] + counts[Verdict.XFAIL] + counts[Verdict.XPASS]
        judged = held + counts[Verdict.FAIL]
        wanted = gates.passing.get(tier, 1.0)
        if judged and held / judged < wanted:
            gate = "" if wanted == 1.0 else f", below the gate of {wanted:.0%}"
            yield f"{counts[Verdict.FAIL]} of {judged} failed on the {tier} tier{gate}."
    if blind := controls[Verdict.FAIL]:
        yield f"{blind} controls failed: their checks hold without the right image."


def _strictly(verdicts: Mapping[Verdict, int]) -> Iterator[str]:
    if skipped := verdicts.get(Verdict.SKIP):
        yield f"{skipped} were skipped, which --strict forbids."
    if surprising := verdicts.get(Verdict.XPASS):
        yield f"{surprising} passed that were expected to fail, which --strict forbids."
