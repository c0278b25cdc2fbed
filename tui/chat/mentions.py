"""Completing an @path in the message being written: which files and folders can follow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tui.chat.dropped import SUFFIXES

_OPEN = re.compile(r'(?:(?<=\s)|^)@((?:\\.|[^\s\\"])*)$')
LIMIT = 50


@dataclass(frozen=True)
class Candidate:
    """A file or folder that completes the mention. `text` is what to write after the @."""

    text: str
    path: Path
    folder: bool


def open_mention(before_cursor: str) -> str | None:
    """What stands after the @ that the cursor is in, unescaped, or None if it is in none."""
    match = _OPEN.search(before_cursor)
    return re.sub(r"\\(.)", r"\1", match[1]) if match else None


def mention_start(before_cursor: str) -> int:
    """The index of the @ that `open_mention` found."""
    match = _OPEN.search(before_cursor)
    return match.start() if match else len(before_cursor)


def candidates(typed: str, base: Path) -> list[Candidate]:
    """Folders and image files that begin with `typed`, seen from `base`; folders first, each group by name.

    Hidden entries appear only when `typed` asks for them. Folders that cannot be read have no candidates.
    """
    folder_text, _, prefix = typed.rpartition("/")
    folder_text = folder_text + "/" if "/" in typed else ""
    try:
        folder = base / Path(folder_text or ".").expanduser()
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name.lower())
    except (OSError, RuntimeError, ValueError):
        return []
    found: list[Candidate] = []
    for entry in entries:
        name = entry.name
        if not name.lower().startswith(prefix.lower()) or (name.startswith(".") and not prefix.startswith(".")):
            continue
        try:
            is_folder = entry.is_dir()
        except OSError:
            continue
        if is_folder or entry.suffix.lower() in SUFFIXES:
            escaped = re.sub(r'([\s\\"])', r"\\\1", folder_text + name)
            found.append(Candidate(escaped + ("/" if is_folder else ""), entry, is_folder))
    found.sort(key=lambda candidate: not candidate.folder)
    return found[:LIMIT]
