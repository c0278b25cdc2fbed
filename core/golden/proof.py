"""Reason about expectations without any answer: does one imply another, can one fail, can one hold?

A truth table over the leaves, from which the rows that no answer could produce are struck out.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass

from core.calls.events import FinishReason
from core.golden.checks import Answer, Call, holds
from core.golden.expressions import (
    AllOf,
    Answered,
    AnyOf,
    CallsTool,
    Equals,
    Exact,
    Expression,
    Finishes,
    FitsSchema,
    Leaf,
    Matches,
    NoExtraCalls,
    Not,
    NotEmpty,
    Word,
    describe,
    implied,
    leaves,
    to_json,
)
from core.golden.graded.leaves import Graded
from core.golden.patterns import CannotJudge, find

UNWRITTEN = (Answered, NoExtraCalls)
"""What a person need not be told of: it is asked of every answer."""
MOST_LEAVES = 14
"""Beyond this many different leaves the table (2^n rows) is not drawn up."""

PROBES = ("x", "7", "-", "No.", "The quick, brown fox: 1.5!", "\u6771\u4eac")
"""A pattern that is found in all of these is taken to be found in every answer that is not empty."""
BLANKS = ("", " ", "\n", "\t", " \n \n")

REASONS = (FinishReason.STOP, FinishReason.TOOL_CALLS, FinishReason.LENGTH)


class TooManyLeaves(ValueError):
    """The truth table would be too long to draw up."""


@dataclass(frozen=True)
class World:
    """A row of the table: which leaves hold, and how the answer ended."""

    true: tuple[Leaf, ...]
    false: tuple[Leaf, ...]
    finish: FinishReason

    def __str__(self) -> str:
        has = ", ".join(describe(leaf) for leaf in self.true if not isinstance(leaf, UNWRITTEN))
        lacks = ", ".join(describe(leaf) for leaf in self.false if not isinstance(leaf, UNWRITTEN))
        parts = [f"has {has}" if has else "", f"lacks {lacks}" if lacks else ""]
        return " and ".join(filter(None, parts)) + (f" (finish {self.finish})" if self.finish in REASONS[1:] else "")

    @property
    def certain(self) -> bool:
        """Whether such an answer surely exists: of a pattern's and a schema's relations nothing is known."""
        return not any(isinstance(leaf, Matches | FitsSchema | Graded) for leaf in (*self.true, *self.false))


def counterexample(premise: Expression, conclusion: Expression) -> World | None:
    """An answer that passes the premise and fails the conclusion, with the fewest leaves true; None if there is none.

    Passing includes what `checks.check` asks for beside the expectation. Raises TooManyLeaves.
    """
    passes, fails = _with_implied(premise), Not(_with_implied(conclusion))
    found = (world for world in _worlds((passes, fails)) if _holds(passes, world) and _holds(fails, world))
    return min(found, key=lambda world: (not world.certain, len(world.true), REASONS.index(world.finish)), default=None)


def can_fail(expression: Expression) -> bool:
    """Whether some answer fails the expectation itself, however it ended, and is not just empty where that is asked
    in any case. Raises TooManyLeaves."""
    asked = implied(expression).get("answered", AllOf(()))
    return any(_holds(asked, world) and not _holds(expression, world) for world in _worlds((expression, asked)))


def can_pass(expression: Expression) -> bool:
    """Whether some answer passes the expectation. Raises TooManyLeaves."""
    whole = _with_implied(expression)
    return any(_holds(whole, world) for world in _worlds((whole,)))


def _with_implied(expression: Expression) -> Expression:
    return AllOf((expression, *implied(expression).values()))


def _holds(expression: Expression, world: World) -> bool:
    match expression:
        case AnyOf(of):
            return any(_holds(part, world) for part in of)
        case AllOf(of):
            return all(_holds(part, world) for part in of)
        case Not(of):
            return not _holds(of, world)
        case Finishes(reasons):
            return world.finish in reasons
        case _:
            return expression in world.true


def _worlds(expressions: tuple[Expression, ...]) -> Iterator[World]:
    """Every row that an answer could produce."""
    named: dict[str, Leaf] = {}
    for leaf in itertools.chain.from_iterable(map(leaves, expressions)):
        if not isinstance(leaf, Finishes):
            named.setdefault(json.dumps(to_json(leaf), sort_keys=True), leaf)
    atoms = list(named.values())
    written = sum(not isinstance(atom, UNWRITTEN) for atom in atoms)
    if written > MOST_LEAVES:
        raise TooManyLeaves(f"{written} different leaves; {MOST_LEAVES} can be proved")
    relations = [
        (left, right, forced)
        for left, right in itertools.permutations(range(len(atoms)), 2)
        if (forced := _forced(atoms[left], atoms[right])) is not None
    ]
    for row in itertools.product((False, True), repeat=len(atoms)):
        if any(row[left] and row[right] is not forced for left, right, forced in relations):
            continue
        true = tuple(atom for atom, value in zip(atoms, row, strict=True) if value)
        false = tuple(atom for atom, value in zip(atoms, row, strict=True) if not value)
        for reason in REASONS:
            yield World(true, false, reason)


def _forced(given: Leaf, other: Leaf) -> bool | None:
    """What `other` must be where `given` holds; None when it may be either."""
    if isinstance(given, NoExtraCalls) or isinstance(other, NoExtraCalls):
        return None
    if isinstance(other, CallsTool) or isinstance(given, CallsTool):
        if isinstance(given, CallsTool) and isinstance(other, CallsTool):
            calls = (Call(given.name, given.args),)
            return True if holds(other, Answer("", FinishReason.TOOL_CALLS, calls)) else None
        return True if isinstance(other, Answered) else None
    if isinstance(given, Answered):
        return True if isinstance(other, Matches) and all(_finds(other, probe) for probe in PROBES) else None
    if isinstance(other, Answered):
        return _forced(given, NotEmpty()) if not isinstance(given, NotEmpty) else True
    match given:
        case Equals(text):
            return _certainly(other, text)
        case Word(text) if isinstance(other, Word | NotEmpty):
            return True if holds(other, Answer(text)) else None
        case Exact(text) if isinstance(other, Word | Exact | NotEmpty):
            return True if holds(other, Answer(text)) else None
        case Matches() if isinstance(other, NotEmpty):
            return None if any(_finds(given, blank) for blank in BLANKS) else True
        case FitsSchema() if isinstance(other, NotEmpty):
            return True
        case _:
            return None


def _certainly(leaf: Leaf, text: str) -> bool | None:
    """Whether the leaf holds of an answer that is this text; None where that cannot be found out."""
    try:
        return holds(leaf, Answer(text))
    except CannotJudge:
        return None


def _finds(leaf: Matches, text: str) -> bool:
    try:
        return bool(find(leaf.pattern, text))
    except CannotJudge:
        return False
