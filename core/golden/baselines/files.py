"""Accepted answers as files of a suite, made to be read in a diff: a head that says what it answers, then the answer.

+++
case = "vision/shapes#red"
model = "pocket/gemma3"
question = "9c0ffee1"
finish = "stop"
+++
A red square.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import tomli_w

from core.atomic import write_atomically
from core.errors import EngineError
from core.golden.reading import NOT_PROMPTS, suite_text
from core.golden.results import Attempt, said
from core.golden.suite import BUILTIN, Case, Problem, Suite, SuiteError

FENCE = "+++"
ENDING = ".txt"

Key = tuple[str, str, int]
"""Which answer it is: the case's id, the model's, and which repeat."""


class BaselineError(EngineError):
    """An accepted answer cannot be written or removed."""

    code = "baseline_error"


@dataclass(frozen=True)
class Accepted:
    """An answer that a person has accepted. `question` is the case's `ask_sha` then, `calls` are as in an attempt."""

    path: Path
    case: str
    model: str
    repeat: int
    question: str
    answer: str
    finish: str = "stop"
    calls: tuple[Mapping[str, Any], ...] = ()

    @property
    def key(self) -> Key:
        return self.case, self.model, self.repeat

    @property
    def said(self) -> str:
        """The answer as one text, as `Attempt.said` has it."""
        return said(self.answer, self.calls)

    def to_text(self) -> str:
        """The file's content."""
        head: dict[str, Any] = {"case": self.case, "model": self.model}
        if self.repeat:
            head["repeat"] = self.repeat
        head |= {"question": self.question, "finish": self.finish}
        if self.calls:
            head["calls"] = [{"name": call["name"], "arguments": json.dumps(call["arguments"])} for call in self.calls]
        return f"{FENCE}\n{tomli_w.dumps(head)}{FENCE}\n{self.answer}\n"

    @classmethod
    def from_text(cls, path: Path, text: str) -> Accepted:
        """What `to_text` wrote. Raises ValueError, with a phrase, for anything else."""
        opening, head, answer = (*text.split(f"{FENCE}\n", 2), "", "")[:3]
        if opening or not head:
            raise ValueError(f"it does not begin with a head between two lines {FENCE}")
        try:
            told = tomllib.loads(head)
            calls = tuple(
                {"name": one["name"], "arguments": json.loads(one["arguments"])} for one in told.get("calls", ())
            )
            case, model, question = (str(told[name]) for name in ("case", "model", "question"))
            finish, repeat = str(told.get("finish", "stop")), int(told.get("repeat", 0))
        except (KeyError, TypeError) as error:
            raise ValueError(f"its head lacks {error}") from error
        return cls(path, case, model, repeat, question, answer.removesuffix("\n"), finish, calls)


def path_of(folder: Path, key: Key) -> Path:
    """Where a suite keeps an answer: `accepted/vision/cat@pocket--gemma3.txt`, and `…+2.txt` for the third repeat."""
    case, model, repeat = key
    *folders, name = case.split("/")
    owner = "--".join(quote(part, safe=" ") for part in model.split("/"))
    return Path(folder, NOT_PROMPTS, *folders, f"{name}@{owner}{f'+{repeat}' if repeat else ''}{ENDING}")


def read_accepted(folder: Path) -> tuple[dict[Key, Accepted], list[Problem]]:
    """The accepted answers of the suite in `folder`, and the files there that are none."""
    found: dict[Key, Accepted] = {}
    problems: list[Problem] = []
    for file in sorted((folder / NOT_PROMPTS).rglob(f"*{ENDING}")):
        try:
            one = Accepted.from_text(file, suite_text(file))
        except UnicodeDecodeError as error:
            problems.append(Problem(f"This is no accepted answer: it is not UTF-8 text ({error.reason}).", file))
        except OSError as error:
            problems.append(Problem(f"The file cannot be read: {error.strerror}.", file))
        except ValueError as error:
            problems.append(Problem(f"This is no accepted answer: {error}.", file))
        else:
            found.setdefault(one.key, one)
    return found, problems


def accepted_of(folder: Path, case: Case, attempt: Attempt) -> Accepted:
    """An attempt's answer as one that is accepted for the case; nothing is written."""
    key = (case.id, attempt.model_id, attempt.repeat)
    answer = plain_lines(attempt.answer)
    return Accepted(path_of(folder, key), *key, case.ask_sha, answer, attempt.finish or "stop", attempt.tool_calls)


def plain_lines(answer: str) -> str:
    """An answer with its lines ended as the file has them."""
    return re.sub(r"\r\n?", "\n", answer)


def require_own(suite: Suite) -> None:
    """Raises SuiteError for the built-in suite, which belongs to the program."""
    if suite.path.resolve() == BUILTIN.resolve():
        raise SuiteError(
            f"The built-in suite is part of the program and keeps no answers: copy {BUILTIN} to a folder of yours, "
            "and run that."
        )


def write_accepted(suite: Suite, accepted: Accepted) -> None:
    """Put the file into the suite. Raises BaselineError, and SuiteError for the built-in suite."""
    require_own(suite)
    if not suite.path.is_dir():  # nothing is left of it, or it is called otherwise now
        raise BaselineError(f"{suite.path} is not there any more: no answer is written. Put the suite back first.")
    try:
        accepted.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(accepted.path, _as_bytes(accepted))
    except OSError as error:
        raise BaselineError(f"{accepted.path} cannot be written: {error.strerror or error}.") from error


def is_as_written(accepted: Accepted) -> bool:
    """Whether the file holds this answer to the letter. Raises BaselineError where that cannot be read."""
    try:
        return accepted.path.exists() and accepted.path.read_bytes() == _as_bytes(accepted)
    except OSError as error:
        raise BaselineError(f"{accepted.path} cannot be read: {error.strerror or error}.") from error


def _as_bytes(accepted: Accepted) -> bytes:
    return accepted.to_text().encode(errors="backslashreplace")


def unused(suite: Suite, accepted: Collection[Accepted]) -> list[Accepted]:
    """Answers that no case of the suite uses any more: the case is not there, or is not asked so often."""
    repeats = {case.id: case.repeats for case in suite.cases}
    return [one for one in accepted if one.repeat >= repeats.get(one.case, 0)]


def remove(suite: Suite, accepted: Collection[Accepted]) -> None:
    """Delete the files, and the folders that are empty then. Raises BaselineError."""
    for one in accepted:
        try:
            one.path.unlink(missing_ok=True)
            for folder in _inside(suite.path / NOT_PROMPTS, one.path.parent):
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
        except OSError as error:
            raise BaselineError(f"{one.path} cannot be removed: {error.strerror or error}.") from error


def _inside(top: Path, folder: Path) -> Iterator[Path]:
    """The folder and those above it, up to `top`."""
    while folder.is_relative_to(top):
        yield folder
        folder = folder.parent
