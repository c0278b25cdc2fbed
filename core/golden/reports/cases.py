"""What a run came to case by case, as programs read it that have a test for each: `cases` of `run --json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.golden.expressions import describe
from core.golden.rates import Metric, case_rates, reaches
from core.golden.reports.report import CaseReport, Entry, case_reports
from core.golden.results import Attempt, Verdict
from core.golden.suite import Suite
from core.tiers import Tier


def case_results(suite: Suite, attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    """A table for each case, tier, model and control; docs/golden.md lists the keys."""
    return [_result(suite, case, entry) for case in case_reports(suite, attempts) for entry in case.entries]


def _result(suite: Suite, case: CaseReport, entry: Entry) -> dict[str, Any]:
    tier = Tier(entry.tier)
    gate = suite.gates.passing.get(tier, 1.0)
    return {
        "case": entry.case,
        "tier": entry.tier,
        "model": entry.model or None,
        "control": entry.control or None,
        "verdict": entry.verdict.value,
        "holds": _holds(entry, gate, suite.gates.metrics.get(tier, Metric())),
        "passes": entry.tries.passes,
        "tries": entry.tries.tries,
        "gate": gate,
        "graded": entry.graded,
        "why": entry.why,
        "expected": describe(case.case.expected(tier)) if case.case else None,
        "answer": entry.answer,
        "failed": [{"name": one.name, "why": list(one.failed)} for one in entry.shown.checks if not one.passed],
        "accepted": entry.was,
        "change": entry.change.value if entry.change else None,
        "diff": [[piece.kind.value, piece.text] for piece in entry.pieces],
        "total_s": round(entry.total_s, 4),
    }


def _holds(entry: Entry, gate: float, metric: Metric) -> bool | None:
    """Whether the case by itself reaches what its tier must come to; None where nobody answered because no model could.
    Known failures hold, and so do controls that could show nothing."""
    told = [one.verdict for one in entry.attempts]
    if Verdict.ERROR in told:
        return False
    if all(verdict is Verdict.SKIP for verdict in told):
        return None
    if entry.control:
        return Verdict.FAIL not in told
    return all(reaches(rate.value(metric), gate) for rate in case_rates(entry.attempts))
