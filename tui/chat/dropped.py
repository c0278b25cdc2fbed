"""Image files named by pasted text: a file dropped on a terminal arrives as its path, quoted in one of several ways."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from urllib.parse import unquote, urlsplit

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif"})

_MENTION = re.compile(r'(?:(?<=\s)|^)@(?:"([^"\n]+)"|((?:\\.|[^\s\\])+))')


def _as_path(word: str) -> Path | None:
    """The path that one word names, or None if it cannot be one."""
    if word.startswith("file://"):
        word = unquote(urlsplit(word).path)
    try:
        path = Path(word).expanduser()
        return path if path.suffix.lower() in SUFFIXES and path.is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None  # too long for a name, a null byte, or an unknown ~user


def dropped_images(text: str) -> list[Path]:
    """The image files that `text` consists of, or [] if any part of it is something else."""
    text = text.strip()
    if not text or len(text) > 16_384:
        return []
    whole = _as_path(text)
    if whole is not None:
        return [whole]
    found: list[Path] = []
    for line in text.splitlines():
        try:
            words = shlex.split(line)
        except ValueError:
            return []
        for word in words:
            path = _as_path(word)
            if path is None:
                return []
            found.append(path)
    return found


def mentioned_images(text: str) -> tuple[str, list[Path]]:
    """`text` without the @path mentions that name image files, and those files in order."""
    found: list[Path] = []

    def take(match: re.Match[str]) -> str:
        path = _as_path(_word(match))
        if path is None:
            return match[0]
        found.append(path)
        return ""

    rest = _MENTION.sub(take, text)
    return (re.sub(r"[ \t]{2,}", " ", rest).strip(), found) if found else (text, [])


def absent_images(text: str) -> list[str]:
    """A sentence for each @path mention that is spelt as an image file where there is none: it stays text."""
    words = [_word(match) for match in _MENTION.finditer(text)]
    return [
        f"There is no image file {word}: it was sent as text."
        for word in words
        if Path(word).suffix.lower() in SUFFIXES and _as_path(word) is None
    ]


def _word(match: re.Match[str]) -> str:
    """What a mention says, without quotes and backslashes."""
    return match[1] or re.sub(r"\\(.)", r"\1", match[2])
