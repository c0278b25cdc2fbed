"""What is wrong with a suite's files: what the linter says of which case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from core.golden.suite import Case, Problem, SuiteError

NAMED = 3
"""Cases that a line names before it says how many more there are."""


def linted(folder: Path, models: Callable[[], Sequence[str]]) -> tuple[Problem, ...]:
    """What the linter says of a suite; `models` tells the ids of those on this disk."""
    from core.golden.lint import lint_folder  # it takes a while to import, and the pane is up before

    return tuple(lint_folder(folder, models())[1])


def by_case(cases: Iterable[Case], problems: Iterable[Problem]) -> dict[str, list[Problem]]:
    """The problems by the case in whose files they are, the prompt's or its sidecar's; "" has those of no case. Of
    several cases in one sidecar, the one that begins last before the line has it."""
    places: dict[Path, list[Case]] = {}
    for case in cases:
        places.setdefault(case.file.with_suffix("").resolve(), []).append(case)
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        there = places.get(problem.file.with_suffix("").resolve(), [])
        before = [case for case in there if (case.line or 0) <= (problem.line or 0)]
        owner = (before or there)[-1 if before else 0].id if there else ""
        found.setdefault(owner, []).append(problem)
    return found


def faults(error: SuiteError) -> str:
    """Every fault of a suite that cannot be read, a line each."""
    return "\n".join(str(one) for one in error.problems if not one.warning) or error.message


def line(found: Mapping[str, Sequence[Problem]]) -> str:
    """What is wrong with no case, and which cases have messages; "" where all is well."""
    own = [str(problem) for problem in found.get("", ())]
    named = [case for case in found if case]
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    told = [f"lint has messages on {', '.join(named[:NAMED])}{more}"] if named else []
    return " · ".join([*own, *told])
