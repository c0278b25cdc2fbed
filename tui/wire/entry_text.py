"""A request of the wire record in words: who asked for what, what came of it, and where its time went."""

from __future__ import annotations

from itertools import groupby

from textual.content import Content

from core.calls.events import PromptTokens
from server.wire import WireEntry, WireState
from tui.figures import seconds
from tui.foreign import plain

STYLES = {
    WireState.STREAMING: "$success",
    WireState.PREFILL: "$warning",
    WireState.LOADING: "$warning",
    WireState.QUEUED: "$warning",
    WireState.FAILED: "$error",
    WireState.CANCELLED: "$dim",
    WireState.DONE: "$foreground 80%",
}
"""The colours of states."""
_PHASES = {
    WireState.QUEUED: ("waited", "$dim"),
    WireState.LOADING: ("loaded", "$secondary"),
    WireState.PREFILL: ("read", "$warning"),
    WireState.STREAMING: ("wrote", "$success"),
}
_SHORTEST = 0.005
"""Seconds below which a phase is not worth a word."""
_MOST = 40
"""Cells of the bar."""


def entry_content(entry: WireEntry) -> Content:
    """The lines of a request: address, who and which model, tokens and time, what went wrong."""
    dim = "$dim"
    lines = [
        Content.assemble(
            plain(f"{entry.method} {entry.path}", "bold"),
            (f"  {entry.status or ''}  {'stream' if entry.stream else ''}", dim),
        ),
        Content.assemble(
            ("client  ", dim),
            plain(entry.client),
            ("   key  " if entry.key else "", dim),
            plain(entry.key),
            ("   model  ", dim),
            plain(entry.model or "none"),
        ),
        Content.styled(
            f"{entry.prompt_tokens} prompt tokens ({entry.cached_tokens} cached), {entry.completion_tokens} "
            f"completion tokens, {seconds(entry.duration_s)}   {entry.id}",
            dim,
        ),
    ]
    if entry.error:
        lines.append(plain(entry.error, "$error"))
    return Content("\n").join(lines)


def phases_content(entry: WireEntry, width: int) -> Content:
    """Where the time went, as a bar of at most `width` cells and in words behind it."""
    phases = [(state, spent) for state, spent in entry.phases if state in _PHASES and spent >= _SHORTEST]
    whole = sum(spent for _, spent in phases)
    if not whole:
        return Content("")
    words = Content(" · ").join(
        Content.styled(f"{_PHASES[state][0]} {seconds(spent)}", _PHASES[state][1]) for state, spent in phases
    )
    room = min(_MOST, width - words.cell_length - 2 - len(phases))  # each may be rounded up by one
    if room < 2 * len(phases):
        return words
    bar = Content.assemble(*(("█" * max(1, round(room * spent / whole)), _PHASES[state][1]) for state, spent in phases))
    return Content.assemble(bar, "  ", words)


def prompt_content(prompt: PromptTokens) -> Content:
    """A prompt as its model reads it, the model's own markup set apart, with the number of tokens above."""
    parts: list[Content] = []
    for special, run in groupby(zip(prompt.special, prompt.pieces, strict=True), key=lambda pair: pair[0]):
        text = b"".join(piece for _, piece in run).decode("utf-8", "replace")
        parts.append(plain(text, "bold $secondary" if special else ""))
    marks = sum(prompt.special)
    head = f"{len(prompt.tokens):,} tokens of {prompt.window:,}, {marks:,} of them the model's own marks\n\n"
    return Content.assemble((head, "$dim"), *parts)
