"""Two texts word by word: what stayed, what went, what came."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

MOST_PAIRS = 4_000_000
"""Words of the one text times words of the other, up to which they are compared by the word; beyond, by the line."""
_CJK = "\u3040-\u30ff\u3400-\u9fff"
_WORDS = re.compile(rf"\s+|[{_CJK}]|(?:(?![{_CJK}])\w)+|[^\w\s]")
_LINES = re.compile(r"[^\n]*\n|[^\n]+")


class Kind(StrEnum):
    SAME = "same"
    OLD = "old"
    NEW = "new"


@dataclass(frozen=True)
class Piece:
    """A run of words. Those of `SAME` and `OLD` together are the text before, those of `SAME` and `NEW` that after."""

    kind: Kind
    text: str


def word_diff(before: str, after: str) -> list[Piece]:
    """Both texts as one row of pieces, what went before what came in its place. Nothing is lost but line endings of
    other systems, which do not count."""
    before, after = (re.sub(r"\r\n?", "\n", text) for text in (before, after))
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if len(old) * len(new) > MOST_PAIRS:
        old, new = _LINES.findall(before), _LINES.findall(after)
    found: list[Piece] = []
    for tag, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            found.append(Piece(Kind.SAME, "".join(old[i:j])))
            continue
        found += [Piece(Kind.OLD, "".join(old[i:j]))] if i < j else []
        found += [Piece(Kind.NEW, "".join(new[k:m]))] if k < m else []
    return _joined(found)


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Changes with nothing but a blank between them are one: `red square` became `blue circle`, not two changes."""
    found: list[Piece] = []
    rest = list(pieces)
    while rest:
        end = 0
        while end < len(rest) and (rest[end].kind is not Kind.SAME or _between(rest, end)):
            end += 1
        changed, rest = rest[:end], rest[end:]
        for kind, other in ((Kind.OLD, Kind.NEW), (Kind.NEW, Kind.OLD)):
            text = "".join(one.text for one in changed if one.kind is not other)
            if text:
                found.append(Piece(kind, text))
        if rest:
            found.append(rest.pop(0))
    return found


def _between(pieces: Sequence[Piece], place: int) -> bool:
    """Whether the piece is a blank on one line, with changes on both sides."""
    blank = pieces[place].text == " "
    return (
        blank
        and 0 < place < len(pieces) - 1
        and all(pieces[other].kind is not Kind.SAME for other in (place - 1, place + 1))
    )
