"""What is read of another program, before it is written as a suite."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Incoming:
    """Files of a suite by name, as texts, as bytes, or where they are to be copied from; and what could not be taken
    over, in sentences."""

    files: dict[str, str | bytes | Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """How many prompts there are."""
        return sum(name.endswith(".txt") for name in self.files)


def listed(value: Any) -> list[Any]:
    """The value as a list: nothing is none, and one thing is one."""
    return value if isinstance(value, list) else [] if value is None else [value]
