"""What is printed gets into any terminal and any pipe: characters that their encoding lacks are spelled in ASCII.

The streams are told once, so that it holds for everything that prints: print, rich, typer, and tracebacks.
"""

from __future__ import annotations

import codecs
import io
import sys

from core.text_safety import clean

SPELLED = "assay-spelled"
"""The name of the error handler."""
SIGNS = {
    "✓": "+",
    "✗": "x",
    "–": "-",
    "…": "...",
    "→": "->",
    "·": ";",
    "≠": "!=",
    "×": "x",
    "“": '"',
    "”": '"',
}  # fmt: skip
"""Our own, which read better so than by their number; every other character, such as those of a name, keeps its own."""


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(SIGNS.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in lacking), error.end


codecs.register_error(SPELLED, _spell)


def print_anything() -> None:
    """From now on no character that is printed is an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=SPELLED)


def shown(text: str) -> str:
    """`text` cleaned, and as standard output will show it: for columns that are to stand under each other."""
    safe = clean(text)
    if sys.stdout.errors != SPELLED:
        return safe
    return safe.encode(sys.stdout.encoding, SPELLED).decode(sys.stdout.encoding)
