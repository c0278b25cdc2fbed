"""What has become of a case from one run to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from core.golden.compare.statistics import SIGNIFICANT, fisher
from core.golden.rates import tries_of, wilson
from core.golden.results import Attempt, Status, Verdict

HELD = (Verdict.PASS, Verdict.XPASS)


class Change(StrEnum):
    """The class of a case, those first that a person has to look at first.

    `REGRESSED` held and does not any more, `IMPROVED` the other way round. Of a case that holds in some of its tries
    that is said where Fisher's exact test tells the rates apart; else it is `FLAKY`. `CHANGED` has another answer and
    the same verdict, `SAME` the same answer. `NEW` was answered in the later run alone, `GONE` in the earlier alone.
    """

    REGRESSED = "regressed"
    IMPROVED = "improved"
    FLAKY = "flaky"
    CHANGED = "changed"
    NEW = "new"
    GONE = "gone"
    SAME = "same"


FLIPS = (Change.REGRESSED, Change.IMPROVED)


@dataclass(frozen=True)
class Tries:
    """What a case came to on one side: by try, whether it held and what was said. A try is a seed, or one for all where
    nothing is drawn; it holds if it does on every route.

    `why` is the reason of the first failure. `asked` and `judged` change with the question, and with what is expected.
    `absent` says why there is no answer.
    """

    model: str = ""
    held: Mapping[int, bool] = field(default_factory=dict)
    said: Mapping[int, str] = field(default_factory=dict)
    why: str = ""
    asked: str = ""
    judged: str = ""
    absent: str = ""

    @classmethod
    def of(cls, attempts: Sequence[Attempt]) -> Tries:
        """Of one case's attempts, controls left out."""
        if not attempts:
            return cls(absent="not asked")
        first = attempts[0]
        model = first.model_id
        answered = [one for one in attempts if one.status is Status.OK]
        if not answered:
            return cls(model, asked=first.ask_sha, judged=first.case_sha, absent=first.why or first.status.value)
        tries = tries_of(answered)
        return cls(
            model,
            {repeat: all(one.verdict in HELD for one in group) for repeat, group in tries.items()},
            {repeat: group[0].said for repeat, group in tries.items()},
            next((one.why for one in answered if one.verdict not in HELD), ""),
            first.ask_sha,
            first.case_sha,
        )

    @property
    def passes(self) -> int:
        return sum(self.held.values())

    @property
    def tries(self) -> int:
        return len(self.held)

    @property
    def mixed(self) -> bool:
        """Whether it holds in some tries, and not in all."""
        return 0 < self.passes < self.tries

    @property
    def answer(self) -> str:
        """What was said in the first try that failed, else in the first."""
        failed = [repeat for repeat in self.held if not self.held[repeat]]
        return self.said[(failed or list(self.held))[0]] if self.held else ""

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of its rate; None where one try or none tells nothing of it."""
        return wilson(self.passes, self.tries) if self.tries > 1 else None

    def to_json(self) -> dict[str, Any]:
        interval = self.interval
        return {
            "model": self.model,
            "passes": self.passes,
            "tries": self.tries,
            "interval": [round(limit, 4) for limit in interval] if interval else None,
            "answer": self.answer,
            "why": self.why,
            "absent": self.absent,
        }


def change_of(base: Tries, run: Tries) -> Change:
    """The class of a case that came to this in the earlier run and to that in the later one."""
    if not base.held or not run.held:
        return Change.GONE if base.held else Change.NEW
    both = base.held.keys() & run.held.keys()
    rates = base.passes * run.tries - run.passes * base.tries
    alike = rates == 0 and all(base.said[one] == run.said[one] for one in both)
    if alike:
        return Change.SAME
    if not base.mixed and not run.mixed:
        return Change.CHANGED if rates == 0 else Change.REGRESSED if rates > 0 else Change.IMPROVED
    if rates and fisher(base.passes, base.tries, run.passes, run.tries) < SIGNIFICANT:
        return Change.REGRESSED if rates > 0 else Change.IMPROVED
    return Change.FLAKY


def direction(base: Tries, run: Tries) -> int:
    """-1 where a case held less often than before, 1 where more often, else 0: in the tries that both sides have, so
    that luck favours neither."""
    both = base.held.keys() & run.held.keys()
    before, after = (sum(side.held[one] for one in both) for side in (base, run))
    return (after > before) - (after < before)
