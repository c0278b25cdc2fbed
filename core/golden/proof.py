"""Reason about expectations without any answer: does one imply another, can one fail, can one hold?

A truth table over the leaves, from which the rows that no answer could produce are struck out.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from core.calls.events import FinishReason
from core.golden.checks import CLEAN_FINISH, Answer, Call, holds
from core.golden.expressions import (
    AllOf,
    AnyOf,
    CallsTool,
    Equals,
    Exact,
    Expression,
    Finishes,
    FitsSchema,
    Leaf,
    Matches,
    Not,
    NotEmpty,
    Word,
    describe,
    leaves,
    to_json,
)

MOST_LEAVES = 14
"""Beyond this many different leaves the table (2^n rows) is not drawn up."""

PROBES = ("", " ", "\n", "x", "The quick, brown fox: 1.5!")
"""A pattern that is found in all of these is taken to be found in everything."""
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
        has = ", ".join(map(describe, self.true))
        lacks = ", ".join(map(describe, self.false))
        parts = [f"has {has}" if has else "", f"lacks {lacks}" if lacks else ""]
        return " and ".join(filter(None, parts)) + (f" (finish {self.finish})" if self.finish in REASONS[1:] else "")

    @property
    def certain(self) -> bool:
        """Whether such an answer surely exists: of a pattern's and a schema's relations nothing is known."""
        return not any(isinstance(leaf, Matches | FitsSchema) for leaf in (*self.true, *self.false))


def counterexample(premise: Expression, conclusion: Expression) -> World | None:
    """An answer that passes the premise and fails the conclusion, with the fewest leaves true; None if there is none.

    Passing includes the clean finish that `checks.check` asks for. Raises TooManyLeaves.
    """
    passes, fails = _with_finish(premise), Not(_with_finish(conclusion))
    found = (world for world in _worlds((premise, conclusion)) if _holds(passes, world) and _holds(fails, world))
    return min(found, key=lambda world: (not world.certain, len(world.true), REASONS.index(world.finish)), default=None)


def can_fail(expression: Expression) -> bool:
    """Whether some answer fails the expectation itself, however it ended. Raises TooManyLeaves."""
    return any(not _holds(expression, world) for world in _worlds((expression,)))


def can_pass(expression: Expression) -> bool:
    """Whether some answer passes the expectation. Raises TooManyLeaves."""
    return any(_holds(_with_finish(expression), world) for world in _worlds((expression,)))


def _with_finish(expression: Expression) -> Expression:
    speaks = any(isinstance(leaf, Finishes) for leaf in leaves(expression))
    return expression if speaks else AllOf((expression, CLEAN_FINISH))


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
    if len(atoms) > MOST_LEAVES:
        raise TooManyLeaves(f"{len(atoms)} different leaves; {MOST_LEAVES} can be proved")
    relations = [
        (left, right, forced)
        for left, right in itertools.permutations(range(len(atoms)), 2)
        if (forced := _forced(atoms[left], atoms[right])) is not None
    ]
    always = [index for index, atom in enumerate(atoms) if _always(atom)]
    for row in itertools.product((False, True), repeat=len(atoms)):
        if any(row[left] and row[right] is not forced for left, right, forced in relations):
            continue
        if not all(row[index] for index in always):
            continue
        true = tuple(atom for atom, value in zip(atoms, row, strict=True) if value)
        false = tuple(atom for atom, value in zip(atoms, row, strict=True) if not value)
        for reason in REASONS:
            yield World(true, false, reason)


def _forced(given: Leaf, other: Leaf) -> bool | None:
    """What `other` must be where `given` holds; None when it may be either."""
    if isinstance(other, CallsTool) or isinstance(given, CallsTool):
        if isinstance(given, CallsTool) and isinstance(other, CallsTool):
            calls = (Call(given.name, given.args),)
            return True if holds(other, Answer("", FinishReason.TOOL_CALLS, calls)) else None
        return None
    match given:
        case Equals(text):
            return holds(other, Answer(text))
        case Word(text) if isinstance(other, Word | NotEmpty):
            return True if holds(other, Answer(text)) else None
        case Exact(text) if isinstance(other, Word | Exact | NotEmpty):
            return True if holds(other, Answer(text)) else None
        case Matches(pattern) if isinstance(other, NotEmpty):
            return None if any(re.search(pattern, blank) for blank in BLANKS) else True
        case FitsSchema() if isinstance(other, NotEmpty):
            return True
        case _:
            return None


def _always(leaf: Leaf) -> bool:
    return isinstance(leaf, Matches) and all(re.search(leaf.pattern, probe) for probe in PROBES)
