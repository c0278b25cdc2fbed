"""What a graded check asks, as it is written in a suite."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from core.golden.nearest import did_you_mean


class Unreadable(ValueError):
    """A graded check that cannot be read; `path` holds the keys that lead to the fault."""

    def __init__(self, message: str, *path: str) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


@dataclass(frozen=True)
class Similar:
    """The answer is as near to one of the texts as `at_least`, by an embedding model: the cosine of the vectors."""

    to: tuple[str, ...]
    model: str
    at_least: float


@dataclass(frozen=True)
class Judged:
    """A model says that the answer meets the rubric, in whichever order the verdicts are offered."""

    model: str
    rubric: str


@dataclass(frozen=True)
class Program:
    """A function of a Python file in the suite's folder says that the answer holds."""

    file: str
    function: str


Graded = Similar | Judged | Program


def read_similar(value: Any) -> Similar:
    """`{ to = "…", model = "…", at_least = 0.8 }`, where `to` may be a list. Raises Unreadable."""
    table = _table("similar", value, ("to", "model", "at_least"))
    to = table["to"] if isinstance(table["to"], list) else [table["to"]]
    if not to:
        raise Unreadable("A list of at least one text is needed here.", "to")
    at_least = table["at_least"]
    if isinstance(at_least, bool) or not isinstance(at_least, int | float) or not -1 < at_least <= 1:
        raise Unreadable(f"at_least is a cosine, over -1 and up to 1, not {at_least!r}.", "at_least")
    return Similar(tuple(_text(text, "to") for text in to), _text(table["model"], "model"), float(at_least))


def read_judged(value: Any) -> Judged:
    """`{ model = "…", rubric = "…" }`. Raises Unreadable."""
    table = _table("judge", value, ("model", "rubric"))
    return Judged(_text(table["model"], "model"), _text(table["rubric"], "rubric"))


def read_program(value: Any) -> Program:
    """`"checks.py:polite"`. Raises Unreadable."""
    file, _, function = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    path = PurePosixPath(file)
    if not file.endswith(".py") or not function.isidentifier() or path.is_absolute() or ".." in path.parts:
        raise Unreadable(
            f'python names a file in the suite\'s folder and a function in it, as in "checks.py:polite", not {value!r}.'
        )
    return Program(path.as_posix(), function)


def graded_json(leaf: Graded) -> dict[str, Any]:
    """The JSON value that the readers above read back."""
    match leaf:
        case Similar(to, model, at_least):
            return {"similar": {"to": list(to), "model": model, "at_least": at_least}}
        case Judged(model, rubric):
            return {"judge": {"model": model, "rubric": rubric}}
        case Program(file, function):
            return {"python": f"{file}:{function}"}


def graded_words(leaf: Graded) -> str:
    """The check in words."""
    match leaf:
        case Similar(to, _, at_least):
            texts = " or ".join(f'"{text}"' for text in to)
            return f"similar to {texts} ({at_least:g} or more)"
        case Judged(model, rubric):
            return f'"{rubric}" by {model}'
        case Program(file, function):
            return f"{function} of {file}"


def answer_mark(text: str, calls: Iterable[tuple[str, Any]]) -> str:
    """What tells an answer from another: a digest of its text and its calls, each a name and arguments."""
    said = json.dumps([text, [[name, arguments] for name, arguments in calls]], sort_keys=True, default=str)
    return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:16]


def _table(name: str, value: Any, keys: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Unreadable(f"{name} takes a table with {', '.join(keys)}.")
    for key in value:
        if key not in keys:
            raise Unreadable(f'{name} knows no "{key}"{did_you_mean(key, keys)}.', key)
    for key in keys:
        if key not in value:
            raise Unreadable(f"{name} needs {key}.")
    return value


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Unreadable(f"Text is expected here, in quotes, not {value!r}.", key)
    return value
