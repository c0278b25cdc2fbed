"""How much of a suite holds: a rate for each case first, of as many tries as tell something, then over cases."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from core.golden.results import Attempt, Status, Verdict

Z = 1.959964
"""Standard deviations within which 95 % of a normal distribution lie."""


NEARLY = 1e-9
"""By so little a rate may miss what it must come to: sums of shares are not exact."""


def reaches(rate: float, wanted: float) -> bool:
    """Whether a rate comes to what it must."""
    return rate >= wanted - NEARLY


@dataclass(frozen=True)
class Metric:
    """What a case's repeats come to.

    `rate` is the share that passed. For c passes of n, `pass@k` is the chance that of k tries one passes at least,
    1 - C(n-c, k) / C(n, k) (Chen et al. 2021), and `pass^k` that all of k do, C(c, k) / C(n, k) (Yao et al. 2024).
    """

    kind: str = "rate"
    k: int = 1

    @classmethod
    def parse(cls, text: str) -> Metric:
        """From "rate", "pass@3" or "pass^3". Raises ValueError."""
        if text == "rate":
            return cls()
        found = re.fullmatch(r"(pass[@^])([1-9][0-9]{0,2})", text)
        if found is None:
            raise ValueError(f'a metric is "rate", or "pass@k" or "pass^k" with a number for k, not {text!r}')
        return cls(found[1], int(found[2]))

    def __str__(self) -> str:
        return self.kind if self.kind == "rate" else f"{self.kind}{self.k}"

    def of(self, passes: int, tries: int) -> float:
        """The value for so many passes of so many tries. Where fewer than k came about, k is as many as did."""
        k = min(self.k, tries)
        match self.kind:
            case "pass@":
                return 1 - math.comb(tries - passes, k) / math.comb(tries, k)
            case "pass^":
                return math.comb(passes, k) / math.comb(tries, k)
            case _:
                return passes / tries


@dataclass(frozen=True)
class CaseRate:
    """One case on one tier, asked of one model: `passes` of `tries`, each a seed of its own, or one for a greedy case
    however often asked.

    A try passes if it passes on every route. `low` and `high` are the 95 % interval of the rate (Wilson 1927).
    """

    case: str
    tier: str
    passes: int
    tries: int
    greedy: bool
    one_answer: bool
    """Whether several seeds gave one answer."""
    model: str = ""

    @property
    def low(self) -> float:
        return wilson(self.passes, self.tries)[0]

    @property
    def high(self) -> float:
        return wilson(self.passes, self.tries)[1]

    def value(self, metric: Metric) -> float:
        """What the case counts. A greedy one is sure of its answer: it counts the same by every metric."""
        return float(self.passes) if self.greedy else metric.of(self.passes, self.tries)

    def to_json(self) -> dict[str, Any]:
        return {
            "case": self.case,
            "tier": self.tier,
            "model": self.model,
            "passes": self.passes,
            "tries": self.tries,
            "interval": None if self.greedy else [round(self.low, 4), round(self.high, 4)],
            "greedy": self.greedy,
        }


def case_rates(attempts: Iterable[Attempt]) -> list[CaseRate]:
    """The rates of all cases that were judged, controls and expected failures left out, in the attempts' order."""
    groups: dict[tuple[str, str, str], list[Attempt]] = {}
    for attempt in attempts:
        if attempt.control is None and attempt.verdict in (Verdict.PASS, Verdict.FAIL):
            groups.setdefault((attempt.case, attempt.tier, attempt.model_id), []).append(attempt)
    return [_rate(*place, group) for place, group in groups.items()]


def _rate(case: str, tier: str, model: str, attempts: Sequence[Attempt]) -> CaseRate:
    greedy = all(is_greedy(attempt) for attempt in attempts)
    tries = tries_of(attempts)
    passes = sum(all(one.verdict is Verdict.PASS for one in group) for group in tries.values())
    said = {(one.answer, repr(one.tool_calls)) for one in attempts}
    return CaseRate(case, tier, passes, len(tries), greedy, len(tries) > 1 and len(said) == 1, model)


def tries_of(attempts: Sequence[Attempt]) -> dict[int, list[Attempt]]:
    """The attempts at one case by try: a repeat each, or all in one where nothing is drawn. A try has several attempts
    where there were several routes."""
    greedy = all(is_greedy(attempt) for attempt in attempts)
    tries: dict[int, list[Attempt]] = {}
    for attempt in attempts:
        tries.setdefault(0 if greedy else attempt.repeat, []).append(attempt)
    return tries


def is_greedy(attempt: Attempt) -> bool:
    """Whether the likeliest token was taken each time, as the witness has it, else as was asked."""
    sampling = attempt.witness["sampling"] if attempt.witness else attempt.sent
    return (
        attempt.status is Status.OK
        and sampling.get("temperature") is not None
        and (sampling["temperature"] == 0 or sampling.get("top_p") == 0 or sampling.get("top_k") == 1)
    )


def wilson(passes: int, tries: int) -> tuple[float, float]:
    """The 95 % interval of the rate behind so many passes of so many tries (Wilson 1927)."""
    rate, square = passes / tries, Z * Z / tries
    middle = (rate + square / 2) / (1 + square)
    reach = Z / (1 + square) * math.sqrt(rate * (1 - rate) / tries + square / (4 * tries))
    return max(middle - reach, 0.0), min(middle + reach, 1.0)
