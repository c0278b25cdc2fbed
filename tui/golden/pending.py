"""A pending answer in words, in the workbench and on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from core.golden.baselines.standing import Candidate
from core.golden.baselines.word_diff import Kind, Piece
from core.golden.results import Verdict
from tui.foreign import plain
from tui.golden.verdicts import SIGNS, WORDS

if TYPE_CHECKING:
    from textual.content import Content

MARKS = {Kind.OLD: ("[-", "-]"), Kind.NEW: ("{+", "+}")}
"""What stands around words that went and that came: a terminal may have no colours."""
WORD_STYLES = {Kind.OLD: "$error", Kind.NEW: "$success"}
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


def marked_words(pieces: Iterable[Piece]) -> Content:
    """Two texts as one, [-what went-] and {+what came+}."""
    from textual.content import Content  # the command line has no use for Textual

    parts = []
    for piece in pieces:
        left, right = MARKS.get(piece.kind, ("", ""))
        parts.append(plain(f"{left}{piece.text}{right}", WORD_STYLES.get(piece.kind, "")))
    return Content.assemble(*parts)
