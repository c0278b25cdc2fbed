"""What every report shows of a run: case by case, with what each model said on each tier, and what was said before."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.golden.baselines.files import read_accepted
from core.golden.baselines.standing import accepted_side
from core.golden.baselines.word_diff import Piece, word_diff
from core.golden.compare.change import HELD, Change, Tries
from core.golden.compare.comparison import CaseChange, Place, compare
from core.golden.compare.sides import Side
from core.golden.reading import read_suite
from core.golden.results import Attempt, RunFolder, Verdict, said
from core.golden.suite import BUILTIN, Case, Suite, SuiteImage

ACCEPTED = "accepted"
"""What answers are held against unless another run is named."""
WORST = (
    Verdict.FAIL,
    Verdict.ERROR,
    Verdict.XPASS,
    Verdict.XFAIL,
    Verdict.INCONCLUSIVE,
    Verdict.SKIP,
    Verdict.PASS,
)
"""Which verdict stands for several, the first of these that is among them."""


@dataclass(frozen=True)
class Entry:
    """What one model came to at a case on a tier, or at one of the case's controls.

    `attempts` are its repeats on all routes, `tries` what they come to. `was` is the answer before, which is the
    accepted one or that of another run; None where there is none or it was not looked for. `notes` say what makes the
    two less alike than they seem.
    """

    case: str
    tier: str
    model: str
    control: str
    attempts: tuple[Attempt, ...]
    tries: Tries
    change: Change | None = None
    was: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        found = {one.verdict for one in self.attempts}
        return next(verdict for verdict in WORST if verdict in found)

    @property
    def shown(self) -> Attempt:
        """The attempt that is shown: the first of the verdict that stands for all."""
        return next(one for one in self.attempts if one.verdict is self.verdict)

    @property
    def graded(self) -> bool:
        """Whether it holds only by checks that a model or a program grades."""
        return any(one.by_grades for one in self.attempts)

    @property
    def answer(self) -> str:
        return self.shown.said

    @property
    def earlier(self) -> list[str]:
        """The answers before it, of a case of several turns."""
        return [said(came["answer"], came["tool_calls"]) for came in self.shown.turns]

    @property
    def why(self) -> str:
        return self.shown.why

    @property
    def label(self) -> str:
        """`vision/cat (full, pocket/gemma3, control: blind)`."""
        parts = (self.tier, self.model, f"control: {self.control}" if self.control else "")
        return f"{self.case} ({', '.join(filter(None, parts))})"

    @property
    def total_s(self) -> float:
        """Seconds of all its attempts."""
        return sum(float(one.perf.get("total_s") or 0.0) for one in self.attempts)

    @property
    def changed(self) -> bool:
        """Whether anything is otherwise than before: the answer, or whether it holds."""
        return self.change not in (None, Change.SAME)

    @property
    def pieces(self) -> list[Piece]:
        """The answer before and this one as one row of words; nothing where they are the same."""
        if self.was is None or not self.changed or self.was == self.answer:
            return []
        return word_diff(self.was, self.answer)


@dataclass(frozen=True)
class CaseReport:
    """A case and its entries. `case` is None where the suite does not ask it any more as it was asked."""

    id: str
    case: Case | None
    entries: tuple[Entry, ...]

    @property
    def verdict(self) -> Verdict:
        found = {entry.verdict for entry in self.entries}
        return next(verdict for verdict in WORST if verdict in found)

    @property
    def images(self) -> tuple[SuiteImage, ...]:
        return self.case.all_images if self.case else ()


@dataclass(frozen=True)
class Report:
    """A run, ready to be written. `outcome` is what run.json says it came to, empty for one that has not ended. `since`
    is what the answers are held against, and `gone` the cases that are answered there alone."""

    run: str
    suite: str
    started: str
    outcome: Mapping[str, Any]
    versions: Mapping[str, Any]
    cases: tuple[CaseReport, ...]
    since: str = ACCEPTED
    gone: tuple[str, ...] = ()

    @property
    def entries(self) -> list[Entry]:
        return [entry for case in self.cases for entry in case.entries]

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many entries have each verdict, the worst first; those that none has are left out."""
        told = [entry.verdict for entry in self.entries]
        return {verdict: told.count(verdict) for verdict in WORST if verdict in told}

    @property
    def changes(self) -> dict[Change, int]:
        """How many entries are of each class since then, those of none left out."""
        told = [entry.change for entry in self.entries]
        return {change: told.count(change) for change in Change if change in told}

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(entry.model for entry in self.entries if entry.model))

    @property
    def sentences(self) -> list[str]:
        """What does not hold, and what should be known beside."""
        return [*self.outcome.get("reasons", ()), *self.outcome.get("notes", ())]


def report_of(folder: RunFolder, base: Side | None = None) -> Report:
    """The report of a kept run, beside the answers that its suite keeps, or those of a `base`. Prompts, images and
    accepted answers are looked up in its suite, as far as that still asks what the run asked. Raises NoSuchRun."""
    attempts = folder.as_planned()
    head = folder.header
    named = (head.get("suite") or {}).get("name") or ""
    found = case_reports(_suite_of(folder.suite or BUILTIN), attempts, base)
    told = {entry.case for case in found for entry in case.entries}
    return Report(
        folder.id,
        str(named),
        str(head.get("started", "")),
        head.get("outcome") or {},
        head.get("versions") or {},
        found,
        base.label if base else ACCEPTED,
        tuple(dict.fromkeys(one.case for one in base.attempts if one.case not in told)) if base else (),
    )


def case_reports(suite: Suite | None, attempts: Sequence[Attempt], base: Side | None = None) -> tuple[CaseReport, ...]:
    """What the attempts of a run come to, case by case, beside the answers that the suite keeps, or those of a base."""
    cases = {case.id: case for case in suite.cases} if suite else {}
    if base is None and suite is not None:
        base = accepted_side(suite, read_accepted(suite.path)[0], attempts)
        before = [one for one in compare(base, Side("", tuple(attempts))).cases if one.base.held]
    else:
        before = list(compare(base, Side("", tuple(attempts))).cases) if base else []
    known = {(one.case, one.tier, one.model): one for one in before}
    groups: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        groups.setdefault(attempt.case, []).append(attempt)
    found = []
    for name, mine in groups.items():
        case = cases.get(name)
        same = case is not None and case.ask_sha == mine[0].ask_sha
        found.append(CaseReport(name, case if same else None, tuple(_entries(mine, known))))
    return tuple(found)


def _suite_of(path: Path) -> Suite | None:
    return read_suite(path)[0]


def _entries(attempts: Iterable[Attempt], before: Mapping[Place, CaseChange]) -> Iterable[Entry]:
    groups: dict[tuple[str, str, str], list[Attempt]] = {}
    for one in attempts:
        groups.setdefault((one.tier, one.model_id, one.control or ""), []).append(one)
    for (tier, model, control), mine in groups.items():
        case = mine[0].case
        places = itertools.product((case,), (tier, ""), (model, ""))
        change = None if control else next((before[place] for place in places if place in before), None)
        entry = Entry(case, tier, model, control, tuple(mine), Tries.of(mine))
        if change is not None and change.run.held:
            was = change.base.answer if change.base.held else None
            entry = replace(entry, change=change.change, was=was, notes=change.notes)
        yield entry


def held(entry: Entry) -> bool:
    """Whether nothing is to be looked at."""
    return entry.verdict in HELD
