"""Two answers to one request, held against each other in words: what they share, and which words differ."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import SequenceMatcher

from textual.content import Content

from core.calls.events import FinishReason, GenerationResult
from core.calls.requests import GenerationRequest
from core.golden.shadow import AS_WELL, Likeness, compare, tokens, work_s
from tui.chat.answer_view import call_content
from tui.figures import rate, seconds
from tui.foreign import plain

_PIECE = re.compile(r"\s+|\w+|[^\w\s]")
MOST = 20_000
"""Words and signs of both answers up to which they are held against each other: more would hold the screen up."""


def difference(request: GenerationRequest, theirs: GenerationResult, name: str, other: GenerationResult) -> Content:
    """One line on what two whole answers have in common, and what the second, by the model `name`, lacks."""
    if other.finished is not None and other.finished.reason is FinishReason.CANCELLED:
        return Content.styled("stopped: there is no whole answer to compare", "$dim")
    found = compare(request, theirs, other)
    style = "$success" if found.likeness in AS_WELL else "$dim" if found.likeness is Likeness.UNTOLD else "$warning"
    why = {
        Likeness.HOLDS: f"another text that holds what is proposed of the first: {found.expects}",
        Likeness.UNTOLD: "another text, and the first was cut off or proposes no check",
        Likeness.DIFFERS: f"{name}: {'; '.join(found.missed)}",
    }.get(found.likeness, "")
    return Content.assemble((found.likeness.value, f"bold {style}"), plain(f"  {why}" if why else "", "$dim"))


def times(theirs: GenerationResult, other: GenerationResult) -> Content:
    """Both answers' times and tokens, side by side."""
    columns: list[tuple[str, Callable[[GenerationResult], str]]] = [
        ("first token", lambda one: seconds(_first_s(one))),
        ("answer", lambda one: seconds(work_s(one))),
        ("tokens", lambda one: f"{tokens(one):,}"),
        ("", _rate),
    ]
    parts = []
    for name, told in columns:
        first, second = told(theirs), told(other)
        if first and second:
            parts.append(Content.assemble((f"{name} " if name else "", "$dim"), first, (" | ", "$dim"), second))
    return Content("   ").join(parts)


def _first_s(result: GenerationResult) -> float:
    timing = result.finished.timing if result.finished else None
    return 0.0 if timing is None else max(timing.ttft_s - timing.queued_s - timing.load_s, 0.0)


def _rate(result: GenerationResult) -> str:
    return rate(result.finished.timing.decode_tps, tokens(result)) if result.finished else ""


def marked(theirs: GenerationResult, other: GenerationResult) -> tuple[Content, Content]:
    """Both answers as plain text, with the words set apart that the other does not have at that place."""
    first, second = _pieces(theirs), _pieces(other)
    if len(first) + len(second) > MOST:
        return plain("".join(first)), plain("".join(second))
    left: list[Content] = []
    right: list[Content] = []
    for tag, i, j, k, m in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        style = "" if tag == "equal" else "bold underline $warning"
        left.append(plain("".join(first[i:j]), style))
        right.append(plain("".join(second[k:m]), style))
    return Content.assemble(*left), Content.assemble(*right)


def _pieces(result: GenerationResult) -> list[str]:
    calls = "".join(f"\n⚒ {call_content(call).plain}" for call in result.tool_calls)
    return _PIECE.findall(result.text.strip() + calls)
