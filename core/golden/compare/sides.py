"""What is compared: a run, or the part of one that a tier, a route or a model answered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.golden.nearest import did_you_mean
from core.golden.plan import Planned
from core.golden.results import Attempt, NoSuchRun, RunFolder, latest_of, several_models

PREVIOUS = "previous"
"""Names the run of the same suite before the one that it is compared with."""


@dataclass(frozen=True)
class Side:
    """The attempts of one side, and what to call it."""

    label: str
    attempts: tuple[Attempt, ...]
    asked: frozenset[str] | None = None
    """The cases that were asked, where it was not the whole suite."""
    note: str = ""
    """What makes it less than a whole run, as a sentence; "" for one that is whole."""

    @property
    def tiers(self) -> frozenset[str]:
        return frozenset(one.tier for one in self.attempts)

    @property
    def several_models(self) -> bool:
        return several_models(self.attempts)


def open_sides(
    runs: Path, base: str, run: str, opened: Callable[[Path, str], RunFolder] = RunFolder.open
) -> tuple[Side, Side, RunFolder]:
    """Both sides by their names, and the later run. A name is that of a run, `last` or `previous` (of the same suite),
    and behind colons what of it is meant: `last:full`, `last:openai`, `last:pocket/qwen3`; colons alone mean the later
    run. `opened` finds a run by its name. Raises NoSuchRun.
    """
    base_name, *base_parts = base.split(":")
    run_name, *run_parts = run.split(":")
    later = opened(runs, run_name or "last")
    if not base_name and base_parts:
        earlier = later
    elif base_name in ("", PREVIOUS):
        earlier = previous(runs, later)
    else:
        earlier = opened(runs, base_name)
    return part_of(earlier, base_parts), part_of(later, run_parts), later


class NoEarlierRun(NoSuchRun):
    """No run of the suite before this one has an answer."""


def previous(runs: Path, run: RunFolder) -> RunFolder:
    """The latest whole run of the same suite that began before this one; where there is none, the latest that answered
    anything. Raises NoEarlierRun where there is none of these either."""
    for whole in (True, False):
        if earlier := latest_of(runs, run.suite, run.id, whole=whole):
            return earlier
    raise NoEarlierRun(
        f"There is no run before {run.id} of {run.suite}: name another as BASE, or run the suite once more. "
        "assay golden runs lists what there is."
    )


def part_of(folder: RunFolder, parts: Sequence[str]) -> Side:
    """What tiers, routes and models answered of a run; all without any. Raises NoSuchRun for what did not answer."""
    attempts = every = folder.as_planned()
    for part in parts:
        found = [one for one in attempts if part in _names(one)]
        if not found:
            known = sorted({name for one in attempts for name in _names(one) if name})
            raise NoSuchRun(
                f"Nothing in the run {folder.id} was answered by {part}{did_you_mean(part, known)}. "
                f"It has {', '.join(known) or 'no answers'}."
            )
        attempts = found
    asked = Planned.cases_of(folder.header.get("planned", ())) if folder.left_out else None
    return Side(":".join((folder.id, *parts)), tuple(attempts), asked, _note(folder, every, asked))


def _note(folder: RunFolder, ended: Sequence[Attempt], asked: Collection[str] | None) -> str:
    if asked is not None:
        return f"{folder.id} asked {len(asked)} of {len(asked) + folder.left_out} cases: no others are compared."
    if not folder.is_whole(ended):
        planned = len(folder.header.get("planned", ()))
        return f"{folder.id} was stopped, or goes on: {len(ended)} of {planned} attempts have ended."
    return ""


def _names(attempt: Attempt) -> tuple[str, str, str]:
    return attempt.tier, attempt.route, attempt.model_id
