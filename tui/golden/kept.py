"""A kept run as the pane shows it: on top of the runs before it, and judged by what the suite expects now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.golden.history.joined import JoinedRun, joined
from core.golden.rejudge import judged_now
from core.golden.results import Attempt, NoSuchRun, RunFolder, Verdict, latest_of
from core.golden.suite import Suite


@dataclass(frozen=True)
class KeptRun:
    """`attempts` are answers to what the suite asks now; `was` has by their keys what those were before that are judged
    anew. `folder` is the run, several as one where it asked a part."""

    folder: RunFolder
    attempts: tuple[Attempt, ...]
    was: dict[str, Verdict]


def kept_run(runs: Path, name: str, suite: Suite) -> KeptRun:
    """The run of a name, or where that is one of another suite, the latest of this one. Raises NoSuchRun."""
    mine = suite.path.resolve()
    folder = RunFolder.open(runs, name)
    if folder.suite != mine:
        latest = latest_of(runs, mine)
        if latest is None:
            raise NoSuchRun(f"There is no run of {mine} in {runs}.")
        folder = latest
    folder = joined(runs, folder.id)
    attempts, was = judged_now(suite, folder.as_planned())
    return KeptRun(folder, tuple(attempts), was)


def as_shown(runs: Path, name: str, suite: Suite) -> RunFolder:
    """A kept run with the verdicts that the pane shows, and what they come to. Raises NoSuchRun."""
    kept = kept_run(runs, name, suite)
    if not kept.was and not isinstance(kept.folder, JoinedRun):
        return kept.folder
    now = {one.key: one for one in kept.attempts}
    folders = kept.folder.folders if isinstance(kept.folder, JoinedRun) else (kept.folder,)
    shown = JoinedRun(folders, (now.get(one.key, one) for one in kept.folder.as_planned()))
    shown.weigh(suite, len(kept.was))
    return shown
