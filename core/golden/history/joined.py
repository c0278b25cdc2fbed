"""A run that asked a part of its suite, on top of the whole one before it: what was said last of every case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.golden.baselines.standing import against_baseline
from core.golden.outcome import LeftOut, Outcome, outcome
from core.golden.parity import compare_routes
from core.golden.plan import Planned
from core.golden.results import Attempt, NoSuchRun, RunFolder, run_names
from core.golden.suite import Suite


class JoinedRun(RunFolder):
    """Several runs of one suite as one, to be read; the latest answer of a case on a tier counts, with its controls.

    It is called what the last of them is called. What people say of it is kept in each of them. `folders` are in the
    order of time, and each has something that counts.
    """

    def __init__(self, folders: Sequence[RunFolder], attempts: Iterable[Attempt]) -> None:
        last = folders[-1]
        super().__init__(last.path, last.header)
        self.folders = tuple(folders)
        self._joined = list(attempts)
        known = LeftOut().to_json() | dict(folders[0].header.get("left_out") or {})
        total = known["cases"] + len(Planned.cases_of(folders[0].header.get("planned", ())))
        known["cases"] = max(0, total - len({one.case for one in self._joined}))
        self.header |= {"planned": [one.key for one in self._joined], "left_out": known, "outcome": {}}

    def attempts(self) -> list[Attempt]:
        return list(self._joined)

    def note(self, name: str, line: Mapping[str, Any]) -> None:
        """In the folder of each run. Raises RunBusy, and OSError."""
        for folder in self.folders:
            folder.note(name, line)

    def notes(self, name: str) -> list[dict[str, Any]]:
        """Of all runs, by time. Raises NoSuchRun."""
        lines = [line for folder in self.folders for line in folder.notes(name)]
        return sorted(lines, key=lambda line: str(line.get("at", "")))

    def weigh(self, suite: Suite, anew: int = 0) -> None:
        """Put into the header what all of it comes to. `anew` of its answers are judged by what is expected now."""
        own = all((folder.header.get("asked") or {}).get("url") is None for folder in self.folders)
        told = weighed(suite, self._joined, LeftOut.from_json(self.header["left_out"]), own=own).to_json()
        if later := [folder.id for folder in self.folders[1:]]:
            told["notes"].append(f"On top of {self.folders[0].id} lies what was asked later, in {', '.join(later)}.")
        if anew:
            told["notes"].append(
                f"Judged by what the suite expects now, and not when it was asked: {anew} of the answers."
            )
        self.header["outcome"] = told


def joined(runs: Path, name: str) -> RunFolder:
    """The run of a name ("last" is the latest); one that is a part of the suite, or was stopped, on top of the last
    whole run before it, with the parts between. Raises NoSuchRun."""
    last = RunFolder.open(runs, name)
    answers: dict[tuple[str, str], list[Attempt]] = {}
    folders: list[RunFolder] = []
    for folder in _backwards(runs, last):
        ended = folder.as_planned()
        mine: dict[tuple[str, str], list[Attempt]] = {}
        for one in ended:
            mine.setdefault((one.case, one.tier), []).append(one)
        new = {place: attempts for place, attempts in mine.items() if place not in answers}
        answers |= new
        if new or folder is last:
            folders.insert(0, folder)
        if folder.is_whole(ended):
            break
    if len(folders) == 1:
        return last
    order = [
        place for folder in folders for place in dict.fromkeys((one.case, one.tier) for one in folder.as_planned())
    ]
    return JoinedRun(folders, (one for place in dict.fromkeys(order) for one in answers[place]))


def meant(runs: Path, name: str) -> RunFolder:
    """The run of a name by itself, or for "last" what was said last of every case. Raises NoSuchRun."""
    return joined(runs, name) if name == "last" else RunFolder.open(runs, name)


def weighed(
    suite: Suite, attempts: Sequence[Attempt], left_out: LeftOut, *, own: bool = True, interrupted: bool = False
) -> Outcome:
    """What answers come to; `own` says that this program's own engine gave them."""
    parity = compare_routes(attempts, suite.gates, own=own)
    baseline = against_baseline(suite, attempts)
    return outcome(attempts, parity, suite.gates, left_out=left_out, interrupted=interrupted, baseline=baseline)


def _backwards(runs: Path, last: RunFolder) -> Iterable[RunFolder]:
    """The run, and those of its suite before it, the latest first."""
    yield last
    for name in reversed([one for one in run_names(runs) if one < last.id]):
        with suppress(NoSuchRun):
            earlier = RunFolder.open(runs, name)
            if earlier.suite == last.suite:
                yield earlier
