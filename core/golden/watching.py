"""Whether files of a suite have changed on disk, and which of its cases that concerns."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from core.golden.expressions import leaves
from core.golden.graded.leaves import Program
from core.golden.plan import Plan
from core.golden.reading import NOT_PROMPTS
from core.golden.results import Attempt, Status
from core.golden.suite import Case, Suite
from core.tiers import Tier

Stamps = Mapping[str, tuple[int, int]]
"""By a file's path, when it was written in nanoseconds, and its size in bytes."""


def stamps(folder: Path, beside: Iterable[Path] = ()) -> Stamps:
    """What tells that a file of a suite has changed, or one of those `beside` it; accepted answers, which say nothing
    of a case, are left out."""
    found: dict[str, tuple[int, int]] = {}
    for path in (*_files(folder.expanduser()), *map(str, beside)):
        try:
            about = os.stat(path)
        except OSError:
            continue
        found[path] = (about.st_mtime_ns, about.st_size)
    return found


def _files(folder: Path) -> Iterator[str]:
    for above, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name[0] not in "._" and name != NOT_PROMPTS]
        yield from (os.path.join(above, name) for name in files)


def outside(suite: Suite) -> list[Path]:
    """Images that cases name and that do not lie in the suite's folder."""
    home = suite.path.expanduser()
    images = (image.path for case in suite.cases for image in (*case.all_images, *case.swap))
    return [path for path in dict.fromkeys(images) if not path.is_relative_to(home)]


def changed(before: Stamps, after: Stamps) -> list[Path]:
    """The files that were written, are new or are gone."""
    return [Path(path) for path in sorted({*before, *after}) if before.get(path) != after.get(path)]


def stale(plan: Plan, done: Mapping[str, Attempt], files: Collection[Path]) -> list[str]:
    """The ids of cases that have to be run: asked or judged otherwise than the attempts in `done`, by their keys, or by
    a Python file among those that have changed."""
    touched = {*_graded_by(plan.suite, [file for file in files if file.suffix == ".py"])}
    found: dict[str, None] = {}
    for planned in plan.attempts:
        kept = done.get(planned.key)
        known = kept is not None and kept.status is Status.OK and kept.case_sha == planned.case.sha
        if planned.model is not None and (not known or planned.case.id in touched):
            found[planned.case.id] = None
    return list(found)


def without_programs(attempts: Iterable[Attempt]) -> list[Attempt]:
    """The attempts without what Python functions said of their answers, so that those are asked again."""
    return [replace(one, graded=tuple(said for said in one.graded if "python" not in said["expr"])) for one in attempts]


def _graded_by(suite: Suite, files: Sequence[Path]) -> Iterator[str]:
    """The cases that one of the files grades. A file that no case names is one that others import: all cases with
    functions go by it."""
    home = suite.path.expanduser()
    named = {case.id: {home / file for file in _programs(case)} for case in suite.cases}
    known = set().union(*named.values())
    common = any(file not in known for file in files)
    yield from (case for case, own in named.items() if own and (common or own & {*files}))


def _programs(case: Case) -> Iterator[str]:
    expected = [case.expected(tier) for tier in Tier]
    expected += [turn.expected_before(tier) for turn in case.turns for tier in Tier]
    yield from (leaf.file for one in expected for leaf in leaves(one) if isinstance(leaf, Program))
