"""Live traffic made into a suite: each question that was answered becomes a case, equal ones become one."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import tomli_w

from core.atomic import write_atomically
from core.calls.events import GenerationResult
from core.calls.requests import GenerationRequest, tool_to_json
from core.golden.checks import Answer, check
from core.golden.draft import DIGEST, FOLDER, NoCase, digest, propose, save_case
from core.golden.expressions import parse_expression
from core.golden.reading import suite_text
from core.golden.secrets import secret_in
from core.golden.suite import SuiteError
from core.tiers import Tier

MODELS = "golden.toml"
HEAD = "# Which models answered; `assay golden record` adds to it while this line stands.\n"


class Became(StrEnum):
    """What a request has become."""

    CASE = "case"
    SAME = "same"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class Noted:
    """`case` is the case's id, "" where it is of an earlier recording; `why` says why a request was left out."""

    became: Became
    case: str = ""
    why: str = ""


class Recorder:
    """Adds to the suite in `folder`, which is made with its first case. What was added is on the disk at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser()
        self.added: list[str] = []
        self.varied: set[str] = set()
        """Cases of whose question another answer came that their check would fail."""
        self.counts: Counter[Became] = Counter()
        self.left_out: Counter[str] = Counter()
        """How many requests were left out, by why."""
        self._known: dict[str, tuple[str, Any]] = dict.fromkeys(_recorded(self.folder), ("", None))
        self._models: dict[str, Counter[str]] = {"vision": Counter(), "text": Counter()}

    def add(self, request: GenerationRequest, result: GenerationResult | None) -> Noted:
        """Note a request and its answer, None for one that failed. Raises SuiteError where nothing can be written."""
        noted = self._noted(request, result)
        self.counts[noted.became] += 1
        if noted.why:
            self.left_out[noted.why] += 1
        return noted

    def _noted(self, request: GenerationRequest, result: GenerationResult | None) -> Noted:
        if result is None or result.finished is None:
            return Noted(Became.LEFT_OUT, why="failed or stopped")
        if not result.text.strip() and not result.tool_calls:
            return Noted(Became.LEFT_OUT, why="answered with nothing")
        if why := _unsaid(request):
            return Noted(Became.LEFT_OUT, why=why)
        if any(secret_in(text) for text in _texts(request, result)):
            return Noted(Became.LEFT_OUT, why="with what looks like a secret")
        try:
            name = digest(request)
            if name in self._known:
                return self._again(name, request, result)
            case = save_case(self.folder, request, result)
        except NoCase as error:
            return Noted(Became.LEFT_OUT, why=error.short)
        self._known[name] = (case, propose(request, result))
        self.added.append(case)
        self._name_model(request)
        return Noted(Became.CASE, case)

    def _again(self, name: str, request: GenerationRequest, result: GenerationResult) -> Noted:
        case, expect = self._known[name]
        if case and not all(one.passed for one in check(parse_expression(expect), Answer.of(result), request.tools)):
            self.varied.add(case)
        return Noted(Became.SAME, case)

    def _name_model(self, request: GenerationRequest) -> None:
        """Have golden.toml name the models that answered, those of the most cases first, unless a person wrote it."""
        file = self.folder / MODELS
        self._models["vision" if request.images else "text"][request.model] += 1
        try:
            before = suite_text(file) if file.exists() else HEAD
            if not before.startswith(HEAD):
                return
            told = tomllib.loads(before).get("tiers", {}).get(Tier.QUICK.value, {})
            models = {
                kind: list(dict.fromkeys([*(name for name, _ in counted.most_common()), *told.get(kind, ())]))
                for kind, counted in self._models.items()
            }
            named = {kind: names for kind, names in models.items() if names}
            whole = {"format": 1, "tiers": {tier.value: named for tier in Tier}}
            write_atomically(file, (HEAD + tomli_w.dumps(whole)).encode())
        except OSError as error:
            raise SuiteError(f"{file} cannot be written: {error.strerror or error}.") from error
        except ValueError as error:
            raise SuiteError(f"{file} cannot be read: {error}.") from error


def _unsaid(request: GenerationRequest) -> str:
    """What of a request no case can say, so that asked again it would be another one; "" for nothing."""
    sampling = request.sampling
    odd = (sampling.min_p, sampling.logit_bias, sampling.presence_penalty, sampling.frequency_penalty)
    if any(odd) or sampling.repetition_penalty not in (None, 1.0):
        return "with penalties, biases or min_p"
    return ""


def _texts(request: GenerationRequest, result: GenerationResult) -> Iterator[str]:
    """All that a case writes down."""
    yield from (message.plain_text for message in request.messages)
    yield json.dumps([tool_to_json(tool) for tool in request.tools], ensure_ascii=False)
    yield json.dumps(request.json_schema, ensure_ascii=False)
    yield from request.sampling.stop
    yield result.text
    yield from (call.arguments for call in result.tool_calls)


def _recorded(folder: Path) -> Iterator[str]:
    """The digests of requests that a suite has cases of already."""
    for file in sorted((folder / FOLDER).glob("*.toml")):
        try:
            lines = suite_text(file).splitlines()
        except (OSError, ValueError):
            continue  # the linter says what is wrong with it
        yield from (line.removeprefix(DIGEST).strip() for line in lines if line.startswith(DIGEST))
