"""What a case came to, in words for a terminal, a log or a page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MOST_SHOWN = 2_000
"""Characters of one text."""
LABEL = 10
"""Columns of the labels."""
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What steers a terminal, as in core/text_safety.py, of which nothing may be imported here."""
_MARKS = {"old": ("[-", "-]"), "new": ("{+", "+}")}


def plain(text: object) -> str:
    """A text without control characters, and not without end."""
    safe = _CONTROL.sub("", str(text))
    return safe if len(safe) <= MOST_SHOWN else f"{safe[:MOST_SHOWN]}… {len(safe) - MOST_SHOWN:,} more characters"


def place(entry: Mapping[str, Any]) -> str:
    """`full, pocket/gemma3, control: blind`."""
    control = f"control: {entry['control']}" if entry["control"] else ""
    return plain(", ".join(filter(None, (entry["tier"], entry["model"] or "", control))))


def failure(case: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    """Prompt, images, what was expected and what was said; which checks do not hold; and what has changed since an
    answer was accepted."""
    rows = [("prompt", case["prompt"]), *(("then", turn) for turn in case["turns"])]
    if case["system"]:
        rows.insert(0, ("system", case["system"]))
    rows += [("image", image["path"]) for image in case["images"]]
    rows += [("expected", entry["expected"] or ""), ("answer", entry["answer"] or "(nothing)")]
    rows += [("check", f"{check['name']}: {', '.join(check['why'])}") for check in entry["failed"]]
    if entry["tries"] > 1:
        rows.append(("tries", f"{entry['passes']} of {entry['tries']} held; the tier must come to {entry['gate']:.0%}"))
    if entry["diff"]:
        rows.append(("accepted", diff(entry)))
    rows.append(("written", written(case)))
    head = f"{plain(case['id'])} ({place(entry)}): {plain(entry['why'])}"
    return "\n".join([head, *(line for label, text in rows for line in _row(label, text))])


def answers(entry: Mapping[str, Any]) -> str:
    """An answer with its verdict, for the report of a case that holds."""
    graded = " (graded)" if entry["graded"] else ""
    why = f": {plain(entry['why'])}" if entry["why"] else ""
    return f"{place(entry)}: {entry['verdict']}{graded}{why}\n{plain(entry['answer'])}"


def diff(entry: Mapping[str, Any]) -> str:
    """The accepted answer and this one as one row of words: `A [-red-]{+blue+} square.`"""
    marked = ((_MARKS.get(kind, ("", "")), text) for kind, text in entry["diff"])
    return "".join(f"{begin}{text}{end}" for (begin, end), text in marked)


def written(case: Mapping[str, Any]) -> str:
    """Where a person wrote it: the sidecar with its line, or the prompt's file."""
    if case["sidecar"] and case["line"]:
        return f"{case['sidecar']}:{case['line']}"
    return str(case["file"])


def _row(label: str, text: str) -> Iterator[str]:
    first, *rest = plain(text).splitlines() or [""]
    yield f"  {label:<{LABEL}}{first}"
    yield from (f"  {'':<{LABEL}}{line}" for line in rest)
