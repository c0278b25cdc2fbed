"""What is read of another program, before it is written as a suite."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

_PART = re.compile(r"[A-Za-z0-9_.-]+")
"""The id of a [[case]]."""


@dataclass
class Incoming:
    """Files of a suite by name, as texts, as bytes, or where they are to be copied from; and what could not be taken
    over, in sentences."""

    files: dict[str, str | bytes | Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)

    def add_tiers(self, tiers: Mapping[str, Any]) -> None:
        """Name the models that answer on each tier, by kind or for all cases."""
        self.files["golden.toml"] = tomli_w.dumps({"format": 1, "tiers": tiers})

    @property
    def cases(self) -> int:
        """How many prompts there are."""
        return sum(name.endswith(".txt") for name in self.files)


@dataclass(frozen=True)
class Told:
    """A case: its id as a suite has it, its prompt, and the keys of its sidecar. Images are named from the suite's
    folder."""

    id: str
    prompt: str
    table: Mapping[str, Any]


def put(found: Incoming, cases: Sequence[Told]) -> None:
    """Put cases into the files of a suite: those of one prompt into one sidecar. One whose id cannot be written there,
    or whose prompt is another one, as where variables had their values, gets a file of its own, and a note."""
    prompts: dict[str, set[str]] = {}
    for case in cases:
        prompts.setdefault(case.id.split("#")[0], set()).add(case.prompt)
    tables: dict[str, list[dict[str, Any]]] = {}
    for case in cases:
        stem, _, part = case.id.partition("#")
        if part and (len(prompts[stem]) > 1 or not _PART.fullmatch(part)):
            stem, part = f"{stem}/{re.sub(r'[^A-Za-z0-9_.-]+', '-', part).strip('-.')}", ""
            found.notes.append(f"{case.id} is {stem} now: its variables have their values.")
        found.files[f"{stem}.txt"] = case.prompt.strip() + "\n"
        table = _from(case.table, "../" * stem.count("/"))
        tables.setdefault(stem, []).append(({"id": part} if part else {}) | table)
    for stem, parts in tables.items():
        if told := {"case": parts} if "id" in parts[0] else parts[0]:
            found.files[f"{stem}.toml"] = tomli_w.dumps(told)


def _from(table: Mapping[str, Any], up: str) -> dict[str, Any]:
    """The table with its images named from a folder from which `up` leads to the suite's."""
    told = dict(table)
    if told.get("images"):
        told["images"] = [f"{up}{name}" for name in told["images"]]
    controls = told.get("controls")
    if isinstance(controls, Mapping) and isinstance(controls.get("swap"), list):
        told["controls"] = {**controls, "swap": [f"{up}{name}" for name in controls["swap"]]}
    return told


def listed(value: Any) -> list[Any]:
    """The value as a list: nothing is none, and one thing is one."""
    return value if isinstance(value, list) else [] if value is None else [value]
