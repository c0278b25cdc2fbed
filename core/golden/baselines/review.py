"""Pending answers gone through by a person, one after the other: each decision is on the disk at once and can be taken
back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from core.atomic import write_atomically
from core.golden.baselines.files import Accepted, BaselineError, accepted_of, is_as_written, remove
from core.golden.baselines.standing import Candidate, accept, reject, take_back
from core.golden.results import RunFolder
from core.golden.suite import Suite


class Choice(StrEnum):
    """What became of a pending answer; one that was skipped stays pending."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class _Step:
    place: int
    choice: Choice
    accepted: Accepted | None = None
    before: bytes | None = None
    """The accepted file as it was; None where there was none."""


@dataclass
class Review:
    """`waiting` are the answers to decide on, `place` is the one that is shown, their number once all are through.

    `folder` is the run that keeps what was rejected of it; without one, that is not kept.
    """

    suite: Suite
    waiting: Sequence[Candidate]
    folder: RunFolder | None = None
    place: int = 0
    choices: dict[int, Choice] = field(default_factory=dict, init=False)
    """What was decided, by place."""
    _steps: list[_Step] = field(default_factory=list, init=False)

    @property
    def shown(self) -> Candidate | None:
        """The answer that is to be decided on; None once all are through."""
        return self.waiting[self.place] if self.place < len(self.waiting) else None

    @property
    def can_undo(self) -> bool:
        return bool(self._steps)

    def accept(self) -> Accepted:
        """Make the answer the accepted one, and go on; returns it as it was written. Raises BaselineError, and
        SuiteError for the built-in suite."""
        one = self._one
        path = accepted_of(self.suite.path, one.case, one.attempt).path
        try:
            before = path.read_bytes() if path.exists() else None
        except OSError as error:
            raise BaselineError(f"{path} cannot be read: {error.strerror or error}.") from error
        accepted = accept(self.suite, one)
        self._go_on(_Step(self.place, Choice.ACCEPTED, accepted, before))
        return accepted

    def reject(self) -> None:
        """Have the answer wait no more, and go on; the accepted one stays. Raises RunBusy and BaselineError."""
        if self.folder is not None:
            reject(self.folder, self._one)
        self._go_on(_Step(self.place, Choice.REJECTED))

    def skip(self) -> None:
        """Leave it pending, and go on."""
        self._go_on(_Step(self.place, Choice.SKIPPED))

    def undo(self) -> None:
        """Take the last decision back, on the disk as well, and go back to it. Raises RunBusy, and BaselineError also
        where somebody has changed the file since: it stays, and the decision is not taken back any more."""
        if not self._steps:
            return
        step = self._steps[-1]
        if step.accepted is not None and not is_as_written(step.accepted):
            self._steps.pop()
            raise BaselineError(f"{step.accepted.path} has been changed since it was accepted here: it stays as it is.")
        if step.accepted is not None:
            self._restore(step.accepted, step.before)
        elif step.choice is Choice.REJECTED and self.folder is not None:
            take_back(self.folder, self.waiting[step.place])
        self._steps.pop()
        self.choices.pop(step.place, None)
        self.place = step.place

    def turn(self, by: int) -> None:
        """To the next answer that is not decided on, or the one before it, without a decision on this one."""
        count = len(self.waiting)
        ahead = ((self.place + by * steps) % count for steps in range(1, count + 1)) if count else iter(())
        self.place = next((place for place in ahead if self._is_open(place)), self.place)

    @property
    def _one(self) -> Candidate:
        return self.waiting[self.place]

    def _is_open(self, place: int) -> bool:
        return self.choices.get(place) in (None, Choice.SKIPPED)

    def _go_on(self, step: _Step) -> None:
        """To the next that nothing was said of."""
        self._steps.append(step)
        self.choices[step.place] = step.choice
        count = len(self.waiting)
        ahead = ((step.place + steps) % count for steps in range(1, count))
        self.place = next((place for place in ahead if place not in self.choices), count)

    def _restore(self, accepted: Accepted, before: bytes | None) -> None:
        if before is None:
            remove(self.suite, [accepted])
            return
        try:
            write_atomically(accepted.path, before)
        except OSError as error:
            raise BaselineError(f"{accepted.path} cannot be written: {error.strerror or error}.") from error
