"""A run's answers beside the accepted ones: what is pending, and what becomes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.golden.baselines.files import (
    Accepted,
    BaselineError,
    Key,
    accepted_of,
    plain_lines,
    read_accepted,
    unused,
    write_accepted,
)
from core.golden.compare.change import HELD, Change, Tries, change_of
from core.golden.compare.comparison import breaches, compare
from core.golden.compare.sides import Side
from core.golden.rates import is_greedy
from core.golden.reading import NOT_PROMPTS
from core.golden.rejudge import as_planned
from core.golden.results import Attempt, RunFolder, Status, Verdict, mark
from core.golden.suite import Case, Suite
from core.golden.verdict import weigh

REVIEWS = "reviews.jsonl"
"""In a run's folder: what was rejected of it, and what of that was taken back, a line each."""
REJECT, TAKE_BACK = "reject", "take back"
"""What such a line says of an answer."""
WORST = (Change.REGRESSED, Change.IMPROVED, Change.CHANGED, Change.NEW, Change.SAME)
"""In which order a review shows what waits, and what an answer is called that two tiers judge."""


@dataclass(frozen=True)
class Candidate:
    """An answer of a run beside the one that is accepted for it, if any; one of a model that stands for both tiers
    counts once.

    `attempts` are one for each tier that judges it, and `before` the accepted answer's verdicts by tier, by what the
    suite expects now.
    """

    case: Case
    attempts: tuple[Attempt, ...]
    accepted: Accepted | None
    before: Mapping[str, Verdict]
    change: Change

    @property
    def attempt(self) -> Attempt:
        """The answer, as the first tier has it."""
        return self.attempts[0]

    @property
    def model(self) -> str:
        return self.attempt.model_id

    @property
    def holds(self) -> bool:
        """Whether the answer is what every tier expects that it stands for."""
        return all(one.verdict in HELD for one in self.attempts)

    @property
    def tiers(self) -> tuple[str, ...]:
        return tuple(one.tier for one in self.attempts)

    @property
    def asked_otherwise(self) -> bool:
        """Whether the question has changed since the accepted answer was given."""
        return self.accepted is not None and self.accepted.question != self.case.ask_sha


@dataclass(frozen=True)
class Baseline:
    """How a run stands to the accepted answers of its suite: what is pending, and in sentences, which gates it breaks
    and what else should be known."""

    waiting: tuple[Candidate, ...]
    breaks: tuple[str, ...]
    notes: tuple[str, ...]


def against_baseline(suite: Suite, attempts: Sequence[Attempt]) -> Baseline | None:
    """Hold a run against the accepted answers; None for a suite that keeps none. Nothing is written."""
    if not (suite.path / NOT_PROMPTS).is_dir():
        return None
    accepted, problems = read_accepted(suite.path)
    waiting = pending(candidates(suite, accepted, attempts))
    found = compare(accepted_side(suite, accepted, attempts), Side("run", tuple(attempts)))
    breaks = [f"Against the accepted answers, {line}" for line in breaches(found, suite.gates.max_regressions)]
    notes = [str(problem) for problem in problems]
    if waiting:
        counts = Counter(one.change for one in waiting)
        named = ", ".join(f"{counts[change]} {change.value}" for change in WORST if counts[change])
        answers = "answer is" if len(waiting) == 1 else "answers are"
        notes.append(f"{len(waiting)} {answers} pending ({named}): assay golden review.")
    if idle := unused(suite, accepted.values()):
        answers = "answer" if len(idle) == 1 else "answers"
        notes.append(f"No case uses {len(idle)} accepted {answers} any more: assay golden accepted.")
    return Baseline(tuple(waiting), tuple(breaks), tuple(notes))


def candidates(suite: Suite, accepted: Mapping[Key, Accepted], attempts: Iterable[Attempt]) -> list[Candidate]:
    """All answers of a run that could be accepted, in its order. Left out are controls, answers to what the suite does
    not ask as it is now (or asks with another seed), and those of any route but the first."""
    cases = {case.id: case for case in suite.cases}
    groups: dict[Key, list[Attempt]] = {}
    for attempt in attempts:
        case = cases.get(attempt.case)
        if case is not None and _is_baseline(case, attempt):
            groups.setdefault((attempt.case, attempt.model_id, attempt.repeat), []).append(attempt)
    return [_candidate(cases[key[0]], accepted.get(key), group) for key, group in groups.items()]


def pending(found: Iterable[Candidate], rejected: Collection[str] = ()) -> list[Candidate]:
    """Those that say something else than what is accepted and were not rejected, the worst first."""
    waiting = [one for one in found if one.change is not Change.SAME and mark(one.attempt) not in rejected]
    return sorted(waiting, key=lambda one: WORST.index(one.change))


def accept(suite: Suite, candidate: Candidate) -> Accepted:
    """Make the answer the accepted one; returns it as it was written. Raises BaselineError, and SuiteError
    for the built-in suite."""
    accepted = accepted_of(suite.path, candidate.case, candidate.attempt)
    write_accepted(suite, accepted)
    return accepted


def reject(folder: RunFolder, candidate: Candidate) -> None:
    """Have the answer wait no more; the accepted one stays. Raises RunBusy, and BaselineError for a full disk."""
    _write_down(folder, candidate, REJECT)


def take_back(folder: RunFolder, candidate: Candidate) -> None:
    """Have an answer that was rejected wait again. Raises as `reject`."""
    _write_down(folder, candidate, TAKE_BACK)


def rejected(folder: RunFolder) -> frozenset[str]:
    """Marks of the answers of a run that were rejected, for `pending`. Raises NoSuchRun where they cannot be read."""
    found: set[str] = set()
    for line in folder.notes(REVIEWS):
        told = {str(line.get("answer"))}
        found = found - told if line.get("choice") == TAKE_BACK else found | told
    return frozenset(found)


def _write_down(folder: RunFolder, candidate: Candidate, choice: str) -> None:
    attempt = candidate.attempt
    line = {"kind": "review", "choice": choice, "attempt": attempt.id, "answer": mark(attempt)}
    try:
        folder.note(REVIEWS, line)
    except OSError as error:
        raise BaselineError(f"{folder.path / REVIEWS} cannot be written: {error.strerror or error}.") from error


def accepted_side(suite: Suite, accepted: Mapping[Key, Accepted], attempts: Sequence[Attempt]) -> Side:
    """The accepted answers in the place of a run's own, judged by what the suite expects now; those left out of which
    nobody knows what would be said for graded checks."""
    cases = {case.id: case for case in suite.cases}
    found = []
    for attempt in attempts:
        one = accepted.get((attempt.case, attempt.model_id, attempt.repeat))
        if one is not None and attempt.case in cases and _is_baseline(cases[attempt.case], attempt):
            told = _in_place_of(cases[attempt.case], one, attempt)
            found += [told] if _is_judged(told, attempt) else []
    return Side("accepted", tuple(found))


def _is_baseline(case: Case, attempt: Attempt) -> bool:
    own_seed = is_greedy(attempt) or attempt.sent.get("seed") == case.seed + attempt.repeat
    answered = attempt.status is Status.OK and attempt.control is None
    return answered and own_seed and attempt.ask_sha == case.ask_sha and attempt.repeat < case.repeats


def _candidate(case: Case, accepted: Accepted | None, attempts: Sequence[Attempt]) -> Candidate:
    """`attempts` are those at one answer: on both tiers, on several routes. All are judged by what is expected now."""
    mine = [weigh(as_planned(case, one), one) for one in attempts if one.route == attempts[0].route]
    before = [] if accepted is None else [_in_place_of(case, accepted, one) for one in mine]
    pairs = list(zip(before, mine, strict=False))
    changes = [
        change_of(Tries.of([was]), Tries.of([one])) if _is_judged(was, one) else Change.CHANGED for was, one in pairs
    ]
    change = min(changes, key=WORST.index, default=Change.NEW)
    judged = {was.tier: was.verdict for was, one in pairs if _is_judged(was, one)}
    return Candidate(case, tuple(mine), accepted, judged, change)


def _is_judged(accepted: Attempt, attempt: Attempt) -> bool:
    """Whether the verdict on an accepted answer is known: grades are of the run's own answer."""
    return accepted.said == attempt.said or not any(check.graded for check in accepted.checks)


def _in_place_of(case: Case, accepted: Accepted, attempt: Attempt) -> Attempt:
    """The attempt as it would be with the accepted answer; its times are nobody's."""
    same = plain_lines(attempt.answer) == accepted.answer
    told = replace(
        attempt,
        answer=attempt.answer if same else accepted.answer,
        tool_calls=accepted.calls,
        finish=accepted.finish,
        ask_sha=accepted.question,
        reasoning=None,
        perf={},
    )
    return weigh(as_planned(case, attempt), told)
