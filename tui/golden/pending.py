"""A pending answer in words, in the workbench and on the command line."""

from __future__ import annotations

from collections.abc import Iterator

from core.golden.baselines.standing import Candidate
from core.golden.baselines.word_diff import Kind
from core.golden.results import Verdict
from tui.golden.verdicts import SIGNS, WORDS

MARKS = {Kind.OLD: ("[-", "-]"), Kind.NEW: ("{+", "+}")}
"""What stands around words that went and that came: a terminal may have no colours."""
ASKED_OTHERWISE = "The question has changed since the accepted answer was given."


def label(one: Candidate) -> str:
    """`vision/cat (quick, full, pocket/gemma3)`."""
    repeat = f" repeat {one.attempt.repeat}" if one.attempt.repeat else ""
    return f"{one.case.id}{repeat} ({', '.join(one.tiers)}, {one.model})"


def verdicts(one: Candidate) -> Iterator[tuple[Verdict, str]]:
    """`✗ full: this answer fails, the accepted one passes: no word "red"`, for each tier that judges it."""
    for attempt in one.attempts:
        verdict, before = attempt.verdict, one.before.get(attempt.tier)
        was = f", the accepted one {WORDS[before]}" if before and before is not verdict else ""
        why = f": {attempt.why}" if attempt.why else ""
        yield verdict, f"{SIGNS[verdict]} {attempt.tier}: this answer {WORDS[verdict]}{was}{why}"
