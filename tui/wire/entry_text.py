"""A request of the wire record in words: who asked for what, what came of it, and where its time went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from textual.content import Content

from core.calls.events import GenerationResult, PromptTokens
from core.calls.witness import Witness
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
OFTEN = 4
"""How often a mark comes on end that is written once."""
_PHASES = {
    WireState.QUEUED: ("waited", "waits", "$dim"),
    WireState.LOADING: ("loaded", "loads", "$secondary"),
    WireState.PREFILL: ("read", "reads", "$warning"),
    WireState.STREAMING: ("wrote", "writes", "$success"),
}
"""What a state is called when it is over, what while it goes on, and its colour."""
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
        Content.styled(f"{_PHASES[state][state is entry.state]} {seconds(spent)}", _PHASES[state][2])
        for state, spent in phases
    )
    room = min(_MOST, width - words.cell_length - 2 - len(phases))  # each may be rounded up by one
    if room < 2 * len(phases):
        return words
    bar = Content.assemble(*(("█" * max(1, round(room * spent / whole)), _PHASES[state][2]) for state, spent in phases))
    return Content.assemble(bar, "  ", words)


def witness_content(results: Sequence[GenerationResult]) -> Content:
    """What the engine says that it did, for each answer that has ended."""
    parts: list[Content] = []
    for number, result in enumerate(results, 1):
        if len(results) > 1:
            parts.append(Content.styled(f"choice {number}", "bold"))
        witness = result.finished.witness if result.finished is not None else None
        if witness is None:
            words = "has not ended" if result.finished is None else "was stopped before its prompt was read"
            parts.append(Content.styled(f"There is no witness: the answer {words}.", "$dim"))
            continue
        parts += [Content.assemble((f"{name:<12} ", "$dim"), plain(told)) for name, told in _witnessed(witness) if told]
    return Content("\n").join(parts)


def _witnessed(witness: Witness) -> Iterator[tuple[str, str]]:
    """Names and values, digests by their beginnings."""
    yield (
        "prompt",
        f"{witness.prompt_tokens:,} tokens, {witness.cached_tokens:,} of them known, {_sha(witness.prompt_sha256)}",
    )
    unread = f"; no text of {', '.join(witness.unread)} stands in the prompt" if witness.unread else ""
    yield "messages", f"{len(witness.messages)} reached the model: {' '.join(map(_sha, witness.messages))}{unread}"
    yield "tools", _sha(witness.tools_sha256) if witness.tools_sha256 else ""
    for image in witness.images:
        counted = "" if image.tokens is None else f", {image.tokens:,} tokens"
        yield "image", f"{_sha(image.sha256)}{counted}"
    yield "thinking", {True: "switched on", False: "switched off", None: ""}[witness.thinking]
    drawn = {name: value for name, value in witness.sampling.items() if value not in (None, (), [], {})}
    yield "sampling", ", ".join(f"{name} {value}" for name, value in drawn.items())
    for part, digest in witness.model.items():
        yield part.replace("_", " "), _sha(digest)
    yield "computed in", witness.precision
    yield "beside it", f"{witness.batch_size} rows at most" if witness.batch_size > 1 else "nothing: it was alone"
    thought = f", {witness.thinking_tokens:,} of thinking" if witness.thinking_tokens else ""
    yield (
        "answer",
        f"{witness.completion_tokens:,} tokens{thought}, ended by {witness.finish}, {_sha(witness.completion_sha256)}",
    )
    yield "text", _sha(witness.text_sha256)
    yield "calls", _sha(witness.calls_sha256)
    yield "waited", f"{seconds(witness.queued_s)}, {seconds(witness.load_s)} more for its model"


def _sha(digest: str) -> str:
    return digest[:16]


def _joined(pieces: Sequence[bytes], special: bool) -> str:
    """Tokens as one text. A mark that comes often, as that of an image does, is written once, with how often."""
    if not special:
        return b"".join(pieces).decode("utf-8", "replace")
    runs = ((piece.decode("utf-8", "replace"), len(list(run))) for piece, run in groupby(pieces))
    return "".join(mark * count if count < OFTEN else f"{mark} × {count:,} " for mark, count in runs)


def prompt_content(prompt: PromptTokens) -> Content:
    """A prompt as its model reads it, the model's own markup set apart, with the number of tokens above."""
    parts: list[Content] = []
    for special, run in groupby(zip(prompt.special, prompt.pieces, strict=True), key=lambda pair: pair[0]):
        text = _joined([piece for _, piece in run], special)
        parts.append(plain(text, "bold $secondary" if special else ""))
    marks = sum(prompt.special)
    head = f"{len(prompt.tokens):,} tokens of {prompt.window:,}, {marks:,} of them the model's own marks\n\n"
    return Content.assemble((head, "$dim"), *parts)
