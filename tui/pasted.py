"""Text from outside made fit for a text field: newlines as they are here, without what steers a terminal."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

from tui.foreign import clean

_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, cursor moves
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\r\n]*(?:\x07|\x1b\\|\x9c)"  # titles, links, the clipboard
    r"|\x1b[()*+][ -~]|\x1b[=>78M]"  # character sets, keypad, saved cursor
)


class Cleaned(NamedTuple):
    """A text, the number of escape sequences taken out of it, and the other characters, each with how often."""

    text: str
    sequences: int
    characters: Counter[str]


def cleaned(text: str) -> Cleaned:
    """`text` with `\\n` for newlines, without escape sequences and what `clean` takes out."""
    text, sequences = _SEQUENCE.subn("", text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    characters = Counter({letter: text.count(letter) for letter in set(text) if not clean(letter)})
    return Cleaned(clean(text) if characters else text, sequences, characters)
