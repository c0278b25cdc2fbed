"""Which two answers of a case are explained, of all that were given to it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from core.golden.explain.asking import CannotExplain
from core.golden.results import Attempt, Status


def pick(case: str, base: Sequence[Attempt], other: Sequence[Attempt]) -> tuple[Attempt, Attempt | None]:
    """An answer of `base` and one of `other` that says something else; the second is None where there is no other.

    Answers that differ come first, then those of one model, of one route and of one repeat: the fewer things differ
    beside the answer, the more the place tells where they part. Controls are left out, and so are answers that count on
    both tiers, but once. Raises CannotExplain where `base` has no answer to the case.
    """
    left, right = _answers(case, base), _answers(case, other)
    if not left:
        raise CannotExplain(f"No answer to {case} came about there: there is nothing to explain. Run the case first.")
    pairs = [(one, two) for one, two in itertools.product(left, right) if one.id != two.id]
    if not pairs:
        return left[0], None
    return min(pairs, key=lambda pair: _unlike(*pair))


def _answers(case: str, attempts: Sequence[Attempt]) -> list[Attempt]:
    return [
        one
        for one in attempts
        if one.case == case and one.status is Status.OK and one.control is None and one.same_as is None
    ]


def _unlike(one: Attempt, two: Attempt) -> tuple[bool, ...]:
    """What keeps two answers from being the pair that tells most, the worst first."""
    models = (one.model_id, two.model_id)
    same = (one.answer, one.reasoning, one.tool_calls) == (two.answer, two.reasoning, two.tool_calls)
    if one.witness and two.witness:
        same = one.witness["completion_sha256"] == two.witness["completion_sha256"]
    return same, models[0] != models[1], one.route != two.route, one.repeat != two.repeat, one.tier != two.tier
