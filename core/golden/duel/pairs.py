"""Which answers of a run stand against each other, and on which side each is shown."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.golden.results import Attempt, Status, mark
from core.golden.suite import Case


@dataclass(frozen=True)
class Pair:
    """Two models' answers to one case. `id` is the same whichever side they are on, and another for other answers."""

    id: str
    case: str
    left: Attempt
    right: Attempt


@dataclass(frozen=True)
class Pairs:
    """What can be judged of a run, in the order in which it is shown. `alike` pairs say the same to the letter, and
    those of `changed` answer a question that the suite does not ask any more: neither is shown."""

    shown: tuple[Pair, ...]
    alike: int = 0
    changed: int = 0


def pairs_of(attempts: Iterable[Attempt], seed: str, cases: Mapping[str, Case] | None = None) -> Pairs:
    """Every two models' answers to a case, in an order and on sides that `seed` alone decides.

    Of repeats the first is taken, of routes the first, and no controls. With `cases` (by id), only questions that are
    still asked as they were.
    """
    answers: dict[str, dict[str, Attempt]] = {}
    for one in attempts:
        if one.status is Status.OK and one.control is None and one.same_as is None:
            kept = answers.setdefault(one.case, {}).setdefault(one.model_id, one)
            if one.repeat < kept.repeat:
                answers[one.case][one.model_id] = one
    shown: list[Pair] = []
    alike = changed = 0
    for case, by_model in answers.items():
        known = cases.get(case) if cases is not None else None
        for one, other in itertools.combinations([by_model[model] for model in sorted(by_model)], 2):
            if cases is not None and (known is None or known.ask_sha != one.ask_sha):
                changed += 1
            elif told(one) == told(other):
                alike += 1
            else:
                shown.append(_placed(case, one, other, seed))
    random.Random(f"{seed} order").shuffle(shown)
    return Pairs(tuple(shown), alike, changed)


def told(attempt: Attempt) -> str:
    """All that the model said in a case, without thinking: the answers of a conversation, one below the other."""
    return "\n\n".join(filter(None, (*attempt.earlier, attempt.said)))


def _placed(case: str, one: Attempt, other: Attempt, seed: str) -> Pair:
    marks = sorted((mark(one), mark(other)))
    name = hashlib.sha256(" ".join((case, *marks)).encode()).hexdigest()[:16]
    left, right = (one, other) if random.Random(f"{seed} {name}").random() < 0.5 else (other, one)
    return Pair(name, case, left, right)
