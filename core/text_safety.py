"""The choke point for text that models, files and clients wrote: nothing that steers a terminal gets past `clean`.

Textual passes OSC 52, C1 CSI and ESC[2J from widget text straight to the terminal; a model's answer must not be able to
write the clipboard or clear the screen, and bidi controls must not be able to show code in another order than it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# C0 but tab and newline, DEL, C1; bidi marks, embeddings, overrides, isolates; surrogates, which no encoder can write.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


def clean(text: str) -> str:
    """`text` without control characters (newline and tab stay), bidi controls and lone surrogates.

    Works character by character, so cleaning the pieces of a stream is the same as cleaning their sum.
    """
    return _UNSAFE.sub("", text)


def escaped(text: str, newlines: bool = False) -> str:
    """`text` with what `clean` would take out spelled as in Python, \\x1b for an escape; with `newlines`, \\n too.

    For logs, where it matters that something was there.
    """
    spelled = _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    return spelled.replace("\n", "\\n") if newlines else spelled


def alternatives(names: Iterable[str]) -> str:
    """Names that files or clients made up as they stand in a sentence: on one line, joined by "or"."""
    return " or ".join(escaped(name, newlines=True) for name in names)
