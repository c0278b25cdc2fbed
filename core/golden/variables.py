"""Variables of a sidecar: `{{city}}` in its texts, and a case for each combination of values."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.golden.nearest import did_you_mean

MOST = 1000
"""Cases that one prompt may become."""
LONGEST = 40
"""Characters of a value in a case's id."""
_PLACE = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")


def combinations(variables: Mapping[str, Sequence[str]]) -> list[tuple[str, Mapping[str, str]]]:
    """Every combination of values, the last variable changing fastest, each with what it adds to a case's id:
    `city=Paris`. Variables of one value are not named there; without any, there is one combination.

    Raises ValueError, with a phrase, for more than MOST of them.
    """
    count = 1
    for choices in variables.values():
        count *= len(choices)
    if count > MOST:
        raise ValueError(f"the variables make {count} cases, and a prompt may become {MOST}")
    several = [name for name, choices in variables.items() if len(choices) > 1]
    found: dict[str, Mapping[str, str]] = {}
    for chosen in itertools.product(*variables.values()):
        values = dict(zip(variables, chosen, strict=True))
        name = ",".join(f"{one}={_slug(values[one])}" for one in several)
        free = (f"{name}-{number}" if number > 1 else name for number in itertools.count(1))
        found[next(one for one in free if one not in found)] = values
    return list(found.items())


def filled(value: Any, values: Mapping[str, str]) -> Any:
    """The value with variables in the texts in it, at any depth; keys and all else stay."""
    if isinstance(value, str):
        return _PLACE.sub(lambda found: values.get(found[1], found[0]), value)
    if isinstance(value, Mapping):
        return {key: filled(part, values) for key, part in value.items()}
    return [filled(part, values) for part in value] if isinstance(value, list) else value


def faults(variables: Mapping[str, Sequence[str]], *texts: Any) -> Iterator[tuple[str, bool]]:
    """What is wrong with the variables of a case whose texts are these, and whether it is only a warning. Nothing is
    said of a case without variables: `{{` may stand for itself there."""
    if not variables:
        return
    used = set(itertools.chain.from_iterable(map(_named, texts)))
    for name in sorted(used - variables.keys()):
        yield f"There is no variable {{{{{name}}}}}{did_you_mean(name, variables)}.", False
    for name in variables:
        if name not in used:
            yield f'The variable "{name}" has no effect: {{{{{name}}}}} stands in no text of the case.', True


def _named(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _PLACE.findall(value)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _named(part)
    elif isinstance(value, list):
        for part in value:
            yield from _named(part)


def _slug(value: str) -> str:
    return re.sub(r"[^\w.-]+", "-", value).strip("-")[:LONGEST] or "-"
