"""What signs and short words of the panes mean, for the screen of keys."""

from __future__ import annotations

from textual.content import Content

from core.golden.compare.change import Change
from tui.golden.changes import SIGNS as CHANGE_SIGNS
from tui.golden.verdicts import SIGNS, WORDS
from tui.hub.marks import MARKS
from tui.lamp import LOADED, LOADING, NOT_LOADED
from tui.models.fit import Fit
from tui.models.on_disk import TWICE, UNFINISHED

_SHORT = {
    f"{LOADED} {LOADING} {NOT_LOADED}": "A model in memory, on its way there, not there",
    UNFINISHED: "A download of the model has not ended",
    "+1": "So many other revisions of the model are on disk",
    TWICE: "Files of the model are on disk twice, in another one too",
    "TTFT": "Time to the first token",
    "131 → 24": "Tokens of the prompt, and of the answer",
    "≤1024": "The most tokens that an answer may have",
    "ctx": "Tokens of context that a model has",
    "≠": "The tiers disagree about a golden prompt",
}

_SINCE = {
    Change.REGRESSED: "it fails, the accepted answer does not",
    Change.IMPROVED: "it passes, the accepted answer does not",
    Change.CHANGED: "another answer than the accepted one",
    Change.NEW: "no answer is accepted yet",
}


def legend() -> list[Content]:
    """A line for each, under a heading."""
    lines = [Content.styled("Signs and short words", "bold $primary")]
    fits = {found.value: found.in_words.capitalize() for found in Fit if found not in (Fit.UNKNOWN, Fit.OK)}
    verdicts = {SIGNS[verdict]: f"A golden prompt: {words}" for verdict, words in WORDS.items()}
    changes = [(CHANGE_SIGNS[change], f"Before a golden prompt: {words}") for change, words in _SINCE.items()]
    for short, words in [*(_SHORT | fits | MARKS | verdicts).items(), *changes]:
        lines.append(Content.assemble((short.rjust(10), "$primary"), "  ", words))
    return lines
