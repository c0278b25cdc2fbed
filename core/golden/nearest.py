"""The nearest known name to one that is unknown, for the end of a sentence."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean "x"?)` when a known name is near, else the known names in brackets if they are few."""
    from rapidfuzz import fuzz, process

    choices = sorted(known)
    best = process.extractOne(name, choices, scorer=fuzz.ratio, score_cutoff=60)
    if best:
        return f' (did you mean "{best[0]}"?)'
    return f" (known: {', '.join(choices)})" if choices and len(choices) <= 12 else ""
