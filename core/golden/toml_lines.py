"""Say on which line of a TOML text a key stands: tomllib reads values and forgets where they were."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

Path = tuple[str | int, ...]

_NAME = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED = rf"{_NAME}(?:[ \t]*\.[ \t]*{_NAME})*"
_STATEMENT = re.compile(rf"(?P<tables>\[\[)?(?P<table>\[)?[ \t]*(?P<key>{_DOTTED})[ \t]*(?P<end>\]\]?|=)")
_SPACE = re.compile(r"\s*")
_TOKEN = re.compile(
    r'''"""(?:\\.|[^\\])*?"""|\'{3}.*?\'{3}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|\#[^\n]*|[\[\]{}]''', re.DOTALL
)
"""Strings of the four kinds, comments, and brackets."""


@dataclass
class TomlLines:
    """The lines of the keys of one TOML text that tomllib has accepted."""

    text: str
    _starts: dict[Path, int] = field(default_factory=dict, init=False)
    """Offset of the statement that first names each path."""
    _ends: dict[Path, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        prefix: Path = ()
        counts: dict[Path, int] = {}
        for start, end, match in _statements(self.text):
            names = _names(match["key"])
            if match["tables"]:
                array = self._resolve(names, counts)
                counts[array] = counts.get(array, -1) + 1
                prefix = (*array, counts[array])
                self._note(prefix, start, end)
            elif match["table"]:
                prefix = self._resolve(names, counts)
                self._note(prefix, start, end)
            else:
                self._note((*prefix, *names), start, end)

    def line(self, path: Path) -> int | None:
        """The line, from 1, of the key at `path` or of the nearest key above it; None for the document itself.

        Keys of inline tables are looked for inside the statement that holds the table.
        """
        for length in range(len(path), 0, -1):
            at = self._starts.get(path[:length])
            if at is None:
                continue
            for name in path[length:]:
                inside = re.compile(rf"""(?<![\w-])["']?{re.escape(str(name))}["']?[ \t]*[=.]""")
                found = inside.search(self.text, at, self._ends[path[:length]])
                at = found.start() if found and isinstance(name, str) else at
            return self.text.count("\n", 0, at) + 1
        return None

    def _note(self, path: Path, start: int, end: int) -> None:
        for length in range(1, len(path) + 1):
            self._starts.setdefault(path[:length], start)
            self._ends.setdefault(path[:length], end)

    @staticmethod
    def _resolve(names: tuple[str, ...], counts: dict[Path, int]) -> Path:
        """The path a header means: below an array of tables it goes into the array's last table."""
        path: Path = ()
        for position, name in enumerate(names):
            path = (*path, name)
            if path in counts and position < len(names) - 1:
                path = (*path, counts[path])
        return path


def _statements(text: str) -> Iterator[tuple[int, int, re.Match[str]]]:
    """Start, end and opening of each header and each `key =`, which begin where no bracket or string is open."""
    at = 0
    while at < len(text):
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        match = _STATEMENT.match(text, at)
        if not match:
            at = _line_end(text, at)
            continue
        end = _line_end(text, match.end()) if match["end"] != "=" else _value_end(text, match.end())
        yield at, end, match
        at = end


def _value_end(text: str, at: int) -> int:
    """The offset after the line on which the value that begins at `at` is complete."""
    depth = 0
    end = _line_end(text, at)
    for token in _TOKEN.finditer(text, at):
        if depth <= 0 and token.start() >= end:
            break
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        end = _line_end(text, token.end() - 1 if token[0].startswith("#") else token.end())
    return end


def _line_end(text: str, at: int) -> int:
    newline = text.find("\n", at)
    return len(text) if newline < 0 else newline + 1


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(name.strip("\"'") for name in re.findall(_NAME, dotted))
