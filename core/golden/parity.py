"""Whether the routes agree: the same case, tier and repeat must give the same answer, whichever way it was asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from core.golden.results import Attempt, Status
from core.golden.suite import Gates

BEFORE, AFTER = 20, 40
"""Characters shown of two answers round their first difference."""


@dataclass(frozen=True)
class Break:
    """Two routes that do not agree in `what`: answer, tool_calls, finish or checks."""

    case: str
    tier: str
    repeat: int
    routes: tuple[str, str]
    what: str
    values: tuple[Any, Any]

    def __str__(self) -> str:
        left, right = map(str, self.values)
        pairs = enumerate(zip(left, right, strict=False))
        fork = next((index for index, (one, other) in pairs if one != other), min(len(left), len(right)))
        shown = " against ".join(repr(_excerpt(text, fork)) for text in (left, right))
        return f"{self.case} ({self.tier}): {' and '.join(self.routes)} differ in {self.what} at {fork}: {shown}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def _excerpt(text: str, fork: int) -> str:
    """The text round the character from which two answers differ."""
    start, end = max(fork - BEFORE, 0), fork + AFTER
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


@dataclass(frozen=True)
class Parity:
    """How many answers were compared with the first route's, and where they differed."""

    compared: int = 0
    breaks: tuple[Break, ...] = ()


def compare_routes(attempts: Iterable[Attempt], gates: Gates) -> Parity:
    """Hold each route's answers against the first route's. Attempts that did not come about are not compared."""
    groups: dict[tuple[str, str, int], list[Attempt]] = {}
    for attempt in attempts:
        if attempt.status is Status.OK and attempt.control is None and attempt.route in gates.parity_routes:
            groups.setdefault((attempt.case, attempt.tier, attempt.repeat), []).append(attempt)
    pairs = [(first, other) for first, *others in groups.values() for other in others]
    found = [difference for pair in pairs for difference in _differences(*pair, gates.parity_level)]
    return Parity(len(pairs), tuple(found))


def _differences(first: Attempt, other: Attempt, level: str) -> Iterator[Break]:
    """With the level "checks" only the outcome of the checks counts, with "text" all that was said and why it ended."""
    pairs: list[tuple[str, Any, Any]]
    if level == "checks":
        left, right = ([item.passed for item in attempt.checks] for attempt in (first, other))
        pairs = [("checks", left, right)]
    else:
        pairs = [
            ("answer", first.answer.strip(), other.answer.strip()),
            ("tool_calls", list(first.tool_calls), list(other.tool_calls)),
            ("finish", first.finish, other.finish),
        ]
    for what, left, right in pairs:
        if left != right:
            routes = (first.route, other.route)
            yield Break(first.case, first.tier, first.repeat, routes, what, (left, right))
