"""A golden run as a board: one row a case, one cell a tier, folded from the run's events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from core.golden.baselines.standing import Candidate
from core.golden.compare.change import Change
from core.golden.progress import AnswerDelta, AnswerWaits, AttemptFinished, AttemptStarted, RunEvent
from core.golden.results import Attempt, Status, Verdict
from core.golden.suite import Case, Problem
from core.tiers import Tier
from tui.figures import golden_rate

HELD = (Verdict.PASS, Verdict.XFAIL, Verdict.XPASS)
ONE = "one"
"""What stands where two models would be compared, and one stands for both tiers."""


class Progress(StrEnum):
    IDLE = "idle"
    WAITING = "waiting"
    RUNNING = "running"
    GRADING = "grading"
    """It has its answer, which is judged once it is graded."""
    DONE = "done"


@dataclass
class Cell:
    """One case on one tier. `answer` grows while it runs; `attempt` is the record once it has ended.

    Of repeats, the first answer is followed while it streams, and the first that does not hold is what is shown. A
    control that fails is kept beside it: the answer then shows nothing. `passes` of `tries` repeats held. With `same`
    the answer is the other tier's, because one model stands for both.
    """

    progress: Progress = Progress.IDLE
    model: str = ""
    answer: str = ""
    attempt: Attempt | None = None
    control: Attempt | None = None
    controls: tuple[int, int] = (0, 0)
    """Controls that passed, of those that could show something."""
    passes: int = 0
    tries: int = 0
    same: bool = False
    was: Verdict | None = None
    """The verdict that the kept answer had, where something else is expected now."""

    @property
    def graded(self) -> bool:
        """Whether it holds only because a model or a program said so."""
        return self.attempt is not None and self.attempt.by_grades

    @property
    def held(self) -> bool | None:
        """Whether the expectation held; None while that is not known."""
        if self.attempt is None or self.attempt.verdict in (Verdict.SKIP, Verdict.ERROR):
            return None
        return self.attempt.verdict in HELD

    @property
    def rate(self) -> str:
        """Tokens per second of decoding; "" for an answer too short to tell, and where there is none."""
        return golden_rate(self.attempt) if self.attempt and self.attempt.status is Status.OK else ""

    def take(self, attempt: Attempt, model: str, was: Verdict | None = None) -> None:
        """An attempt of this cell has ended, or one of its controls; `was` is what it was before it was judged anew."""
        if attempt.control is not None:
            passed, told = self.controls
            if attempt.verdict in (Verdict.PASS, Verdict.FAIL):
                self.controls = passed + (attempt.verdict is Verdict.PASS), told + 1
            if attempt.verdict is Verdict.FAIL:
                self.control = attempt
            return
        self.progress = Progress.DONE
        self.same = attempt.same_as is not None
        self.tries += 1
        self.passes += attempt.verdict in HELD
        self.model = model
        if self.attempt is None or self.held:
            self.attempt, self.was = attempt, was


@dataclass
class Board:
    """All cases of a suite, in its order."""

    cases: dict[str, Case] = field(default_factory=dict)
    cells: dict[tuple[str, Tier], Cell] = field(default_factory=dict)
    before: dict[tuple[str, Tier], Cell] = field(default_factory=dict)
    """What the run before said, where one goes on."""
    attempts: dict[str, Attempt] = field(default_factory=dict)
    """The latest attempts by their keys, repeats and controls among them."""
    judged: dict[str, Verdict] = field(default_factory=dict)
    """By the keys of attempts that have been judged anew, what they were before."""
    put_aside: dict[str, Attempt] = field(default_factory=dict)
    """Those of the run before, where one goes on."""
    changes: dict[str, Change] = field(default_factory=dict)
    """The cases of which an answer is pending, with the worst that has become of one."""
    pending: dict[tuple[str, Tier], Candidate] = field(default_factory=dict)
    """The worst of a case's pending answers on a tier."""
    problems: Mapping[str, Sequence[Problem]] = field(default_factory=dict)
    """What the linter says, by case; "" has what belongs to none."""
    marked: set[str] = field(default_factory=set)
    """The cases that the person has marked."""

    @classmethod
    def of(cls, cases: Iterable[Case]) -> Board:
        by_id = {case.id: case for case in cases}
        return cls(by_id, {(case_id, tier): Cell() for case_id in by_id for tier in Tier})

    def expect(self, case_ids: Iterable[str]) -> None:
        """These cases are about to run: put aside what they said before."""
        self.before.clear()
        meant = set(case_ids)
        self.put_aside = {key: one for key, one in self.attempts.items() if one.case in meant}
        self.attempts = {key: one for key, one in self.attempts.items() if one.case not in meant}
        for case_id in meant:
            for tier in Tier:
                self.before[case_id, tier] = self.cells[case_id, tier]
                self.cells[case_id, tier] = Cell(Progress.WAITING, self.cells[case_id, tier].model)

    def name(self, models: Mapping[tuple[str, Tier], str]) -> None:
        """These models would answer: said where nothing has been asked, "" for none."""
        for place, cell in self.cells.items():
            if cell.progress is Progress.IDLE and cell.attempt is None:
                cell.model = models.get(place, "")

    def add(self, event: RunEvent) -> None:
        """Fold one event of a run in."""
        match event:
            case AttemptStarted(planned) | AnswerDelta(planned, _) | AnswerWaits(planned) if (
                planned.control is not None
            ):
                pass
            case AttemptStarted(planned):
                cell = self.cells[planned.case.id, planned.tier]
                cell.progress = Progress.RUNNING
                cell.model = planned.model.id if planned.model else ""
            case AnswerWaits(planned):
                self.cells[planned.case.id, planned.tier].progress = Progress.GRADING
            case AnswerDelta(planned, text) if planned.repeat == 0:
                self.cells[planned.case.id, planned.tier].answer += text
            case AttemptFinished(planned, attempt):
                self.attempts[attempt.key] = attempt
                self.judged.pop(attempt.key, None)
                self.cells[planned.case.id, planned.tier].take(attempt, planned.model.id if planned.model else "")
            case _:
                pass

    def recall(self, attempts: Iterable[Attempt], was: Mapping[str, Verdict] = MappingProxyType({})) -> None:
        """Take over what an earlier run found, for the cases that are as they were then. `was` has by their keys what
        those were that have been judged anew."""
        for attempt in attempts:
            case = self.cases.get(attempt.case)
            if case is None or case.sha != attempt.case_sha or attempt.tier not in tuple(Tier):
                continue
            self.attempts[attempt.key] = attempt
            if attempt.key in was:
                self.judged[attempt.key] = was[attempt.key]
            cell = self.cells[attempt.case, Tier(attempt.tier)]
            cell.take(attempt, str(attempt.model.get("id", "")), was.get(attempt.key))

    def give_up(self) -> None:
        """No run goes on: what has not ended says what it said before."""
        for key, cell in self.cells.items():
            if cell.progress in (Progress.WAITING, Progress.RUNNING, Progress.GRADING):
                before = self.before.get(key)
                self.cells[key] = before if before is not None and before.attempt else Cell(model=cell.model)
                old = {place: one for place, one in self.put_aside.items() if (one.case, one.tier) == key}
                self.attempts |= old
        self.before.clear()
        self.put_aside.clear()

    def difference(self, case_id: str) -> str:
        """How the tiers compare: "=" when they agree, the better tier's name, "one" when one model answered for both,
        or "" while that is not known."""
        quick, full = (self.cells[case_id, tier].held for tier in Tier)
        if quick is None or full is None:
            return ""
        if quick == full and self.cells[case_id, Tier.FULL].same:
            return ONE
        return "=" if quick == full else (Tier.QUICK if quick else Tier.FULL).value

    def disagreements(self) -> list[str]:
        """The cases on which the tiers differ, in the order of the suite."""
        return [case_id for case_id in self.cases if self.differs(case_id)]

    def differs(self, case_id: str) -> bool:
        """Whether one tier holds and the other does not."""
        return self.difference(case_id) not in ("", "=", ONE)

    @property
    def graded(self) -> int:
        """How many cases hold on a tier only because a model or a program said so."""
        return sum(any(self.cells[case_id, tier].graded for tier in Tier) for case_id in self.cases)

    @property
    def judged_anew(self) -> int:
        """How many cases show kept answers that are judged by what is expected now."""
        return sum(any(self.cells[case_id, tier].was for tier in Tier) for case_id in self.cases)

    @property
    def one_model(self) -> int:
        """How many cases one model answered for both tiers."""
        return sum(self.cells[case_id, Tier.FULL].same for case_id in self.cases)

    def held(self, tier: Tier) -> tuple[int, int]:
        """How many cases hold on a tier, of how many that were judged."""
        known = [self.cells[case_id, tier].held for case_id in self.cases]
        return sum(held is True for held in known), sum(held is not None for held in known)

    def controls(self) -> tuple[int, int]:
        """How many controls passed, of how many that could show something."""
        told = [cell.controls for cell in self.cells.values()]
        return sum(passed for passed, _ in told), sum(count for _, count in told)

    def ended(self) -> tuple[int, int]:
        """How many cells of the run have their answer, of how many in it."""
        progress = [self.cells[key].progress for key in self.before or self.cells]
        return progress.count(Progress.DONE), len(progress) - progress.count(Progress.IDLE)
