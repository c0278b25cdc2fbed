"""What every report shows of a run: case by case, with what each model said on each tier, and what was said before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.golden.baselines.files import read_accepted
from core.golden.baselines.standing import accepted_side
from core.golden.baselines.word_diff import Piece, word_diff
from core.golden.compare.change import HELD, Change, Tries, change_of
from core.golden.reading import read_suite
from core.golden.results import Attempt, RunFolder, Status, Verdict
from core.golden.suite import BUILTIN, Case, Suite, SuiteImage

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

    `attempts` are its repeats on all routes, `tries` what they come to. `was` is the accepted answer, None where there
    is none or it was not looked for.
    """

    case: str
    tier: str
    model: str
    control: str
    attempts: tuple[Attempt, ...]
    tries: Tries
    change: Change | None = None
    was: str | None = None

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
    def pieces(self) -> list[Piece]:
        """The accepted answer and this one as one row of words; nothing where they are the same."""
        if self.was is None or self.change in (None, Change.SAME):
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
    """A run, ready to be written. `outcome` is what run.json says it came to, empty for one that has not ended."""

    run: str
    suite: str
    started: str
    outcome: Mapping[str, Any]
    versions: Mapping[str, Any]
    cases: tuple[CaseReport, ...]

    @property
    def entries(self) -> list[Entry]:
        return [entry for case in self.cases for entry in case.entries]

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many entries have each verdict, the worst first; those that none has are left out."""
        told = [entry.verdict for entry in self.entries]
        return {verdict: told.count(verdict) for verdict in WORST if verdict in told}

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(entry.model for entry in self.entries if entry.model))

    @property
    def sentences(self) -> list[str]:
        """What does not hold, and what should be known beside."""
        return [*self.outcome.get("reasons", ()), *self.outcome.get("notes", ())]


def report_of(folder: RunFolder) -> Report:
    """The report of a kept run. Prompts, images and accepted answers are looked up in its suite, as far as that still
    asks what the run asked. Raises NoSuchRun."""
    head = folder.header
    named = (head.get("suite") or {}).get("name") or ""
    return Report(
        folder.id,
        str(named),
        str(head.get("started", "")),
        head.get("outcome") or {},
        head.get("versions") or {},
        case_reports(_suite_of(folder.suite or BUILTIN), folder.as_planned()),
    )


def case_reports(suite: Suite | None, attempts: Sequence[Attempt]) -> tuple[CaseReport, ...]:
    """What the attempts of a run come to, case by case, beside the answers that the suite keeps."""
    cases = {case.id: case for case in suite.cases} if suite else {}
    before = accepted_side(suite, read_accepted(suite.path)[0], attempts).attempts if suite else ()
    groups: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        groups.setdefault(attempt.case, []).append(attempt)
    found = []
    for name, mine in groups.items():
        case = cases.get(name)
        same = case is not None and case.ask_sha == mine[0].ask_sha
        entries = tuple(_entries(mine, [one for one in before if one.case == name]))
        found.append(CaseReport(name, case if same else None, entries))
    return tuple(found)


def _suite_of(path: Path) -> Suite | None:
    return read_suite(path)[0]


def _entries(attempts: Iterable[Attempt], before: Collection[Attempt]) -> Iterable[Entry]:
    groups: dict[tuple[str, str, str], list[Attempt]] = {}
    for one in attempts:
        groups.setdefault((one.tier, one.model_id, one.control or ""), []).append(one)
    for (tier, model, control), mine in groups.items():
        old = [one for one in before if (one.tier, one.model_id) == (tier, model) and not control]
        tries = Tries.of(mine)
        was = Tries.of(old)
        answered = any(one.status is Status.OK for one in mine)
        change = change_of(was, tries) if old and answered else None
        yield Entry(mine[0].case, tier, model, control, tuple(mine), tries, change, was.answer if old else None)


def held(entry: Entry) -> bool:
    """Whether nothing is to be looked at."""
    return entry.verdict in HELD
