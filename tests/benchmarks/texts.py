"""Markdown as models write it, without end: headings, long paragraphs, lists, tables and code, a token at a time."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

SENTENCE = (
    "the model reads a prompt in pieces and keeps what it knows of the prefix while other requests decode beside it so "
    "that nobody waits longer than one piece takes and the memory that is left decides who may join the batch next"
)
WORDS = SENTENCE.split()
TOKEN = re.compile(r"\s*\S{1,5}|\s+")


def _words(count: int, start: int) -> str:
    return " ".join(WORDS[(start + number * 7) % len(WORDS)] for number in range(count))


def section(number: int) -> str:
    """About 420 tokens: each kind of block once; the numbers make no two alike."""
    rows = "\n".join(f"| {WORDS[(number + row) % 30]} | {number * row} | {_words(6, row)} |" for row in range(1, 7))
    items = "\n".join(f"- **{WORDS[(number + item) % 30]}** {_words(12, item)}" for item in range(4))
    steps = "\n".join(f"{step}. {_words(9, step)} with `code_{step}`" for step in range(1, 4))
    code = "\n".join(
        f"    if value % {line + 2} == {number}:\n        total += weights[{line}] * value  # {_words(3, line)}"
        for line in range(8)
    )
    return (
        f"## Part {number}: {_words(4, number)}\n\n{_words(70, number)}, *{_words(3, 1)}*, and **{_words(4, 2)}**.\n\n"
        f"{items}\n\n{_words(40, number + 3)}.\n\n| name | value | meaning |\n| --- | ---: | --- |\n{rows}\n\n"
        f"```python\ndef part_{number}(values, weights):\n    total = 0\n    for value in values:\n"
        f"{code}\n    return total\n```\n\n### Steps\n\n{steps}\n\n> {_words(20, number)}\n\n"
    )


def tokens() -> Iterator[str]:
    """Pieces of some five characters, for ever."""
    for number in itertools.count(1):
        yield from TOKEN.findall(section(number))


def message(number: int) -> str:
    """An answer of a long chat: two or three blocks of a section, about 120 tokens, of another kind each time."""
    blocks = section(number).split("\n\n")
    first = number % (len(blocks) - 3)
    return "\n\n".join(blocks[first : first + 2 + number % 2])
