"""What a run says while it goes on; every listener, in a pane or on a command line, hears the same."""

from __future__ import annotations

from dataclasses import dataclass

from core.golden.plan import Plan, Planned
from core.golden.results import Attempt


@dataclass(frozen=True)
class RunStarted:
    plan: Plan


@dataclass(frozen=True)
class ModelLoading:
    model: str


@dataclass(frozen=True)
class ModelReady:
    """In memory. `load_s` is seconds, 0 when it was there already."""

    model: str
    load_s: float


@dataclass(frozen=True)
class AttemptStarted:
    planned: Planned


@dataclass(frozen=True)
class AnswerDelta:
    """More of an answer, thinking left out."""

    planned: Planned
    text: str


@dataclass(frozen=True)
class AnswerWaits:
    """An answer has come that is judged when it has been graded."""

    planned: Planned


@dataclass(frozen=True)
class Grading:
    """Every model has answered, and `done` of `total` graded checks are graded. `model` grades now, "" is a program."""

    done: int
    total: int
    model: str


@dataclass(frozen=True)
class AttemptFinished:
    """Also for attempts that were skipped, failed to come about, or are taken over from the run that is resumed."""

    planned: Planned
    attempt: Attempt


@dataclass(frozen=True)
class RunWarning:
    """Something went wrong beside the answers, such as a full disk; the run goes on."""

    message: str


RunEvent = (
    RunStarted
    | ModelLoading
    | ModelReady
    | AttemptStarted
    | AnswerDelta
    | AnswerWaits
    | Grading
    | AttemptFinished
    | RunWarning
)
