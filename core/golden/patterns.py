"""Regular expressions under a time limit: a pattern that backtracks without end must not hold up a run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

import regex

from core.golden.words import composed

LIMIT_S = 1.0
"""Seconds for one pattern on one answer; sound ones take microseconds."""
PROBE_LENGTH = 3_000
PROBE_S = 0.2


class CannotJudge(Exception):
    """Whether a check holds cannot be found out; the message says why, as a phrase. It counts as failed, even where
    the opposite was expected."""


class PatternError(ValueError):
    """The pattern is no regular expression."""


@lru_cache(maxsize=256)
def compiled(pattern: str) -> regex.Pattern[str]:
    """The pattern in Unicode's form NFC, as texts are compared. Raises PatternError."""
    try:
        return regex.compile(composed(pattern)[0])
    except regex.error as error:
        raise PatternError(str(error)) from error


def find(pattern: str, text: str, limit_s: float | None = None) -> list[tuple[int, int]]:
    """Every place (start, end) of `text` where the pattern is found, whichever way its accents are encoded.

    Raises CannotJudge when that takes longer than `limit_s` seconds.
    """
    limit_s = LIMIT_S if limit_s is None else limit_s
    searched, origin = composed(text)
    try:
        found = [match.span() for match in compiled(pattern).finditer(searched, timeout=limit_s, concurrent=True)]
    except TimeoutError:
        raise CannotJudge(f"/{pattern}/ was given up after {limit_s:g} s: it tries too many ways to match") from None
    return [(origin[start], origin[end]) for start, end in found]


def runs_away(pattern: str) -> bool:
    """Whether the pattern takes too long on some text made to try it: long runs of what it is made of."""
    for probe in _probes(pattern):
        try:
            find(pattern, probe, PROBE_S)
        except CannotJudge:
            return True
    return False


def _probes(pattern: str) -> Iterator[str]:
    for character in dict.fromkeys([*pattern, *"a0 x,\n"]):
        yield character * PROBE_LENGTH + "\0"
    pieces = [a + b for a, b in pairwise(pattern) if (a + b).isalnum()] + regex.findall(r"[\w ]{3,}", pattern)
    for piece in dict.fromkeys([*pieces, *(f"{word} " for word in pieces)]):
        yield piece * (PROBE_LENGTH // len(piece)) + "\0"
