"""A case of a suite made of a request and its answer: the prompt, its images, a sidecar with a proposed check."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tomli_w

from core.atomic import write_atomically
from core.calls.events import FinishReason, GenerationResult
from core.calls.requests import GenerationRequest, Role, tool_to_json
from core.golden.case_images import ENDING_OF
from core.golden.checks import Answer, check
from core.golden.expressions import ExpressionError, parse_expression
from core.golden.lint import lint_folder
from core.golden.schema import SEEDS
from core.golden.suite import SuiteError

FOLDER = "wire"
"""Where cases of this kind go in a suite."""
WORDS = 3
"""Of an answer that are proposed at most."""
LONGEST_SLUG = 40
SHORTEST_WORD = 4
HEAD = "# Made of a request over the API. The check is a proposal out of its answer: read it.\n"
DIGEST = "# request "
"""How the line begins that tells equal requests from others."""
SMOKE = {"not_empty": True}
"""What is proposed of an answer that nothing can be told from."""
USUAL_TOKENS = 256
"""What a suite gives an answer that says nothing of it."""
_WORD = re.compile(r"[^\W_]+(?:[.,]\d+)*")


class NoCase(SuiteError):
    """A request that cannot be a case; `short` says what it is, in a few words."""

    def __init__(self, message: str, short: str) -> None:
        super().__init__(message)
        self.short = short


def save_case(suite: Path, request: GenerationRequest, result: GenerationResult) -> str:
    """Write a case into a suite's folder, which is made where it is not there; returns the case's id.

    What the linter would refuse to run is not proposed. Raises NoCase for what is no single question, or can be no case
    that is run, and SuiteError for what cannot be written.
    """
    with TemporaryDirectory() as trials:
        for number, expect in enumerate((propose(request, result), SMOKE)):
            trial = Path(trials, str(number))
            _write_case(trial, request, result, expect)
            errors = [problem for problem in lint_folder(trial)[1] if not problem.warning]
            if not errors:
                return _write_case(suite, request, result, expect)
    raise NoCase(f"A golden prompt of this request could not be run: {errors[0].message}", "refused by the linter")


def digest(request: GenerationRequest) -> str:
    """Of all that a case has of a request, whichever model was asked: equal requests have the same one.

    Raises NoCase for what is no single question.
    """
    prompt, system = _question(request)
    told = [prompt, _sidecar(request, system), None, [image.sha256 for image in request.images]]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]


def _write_case(suite: Path, request: GenerationRequest, result: GenerationResult, expect: Any) -> str:
    prompt, system = _question(request)
    sidecar = _sidecar(request, system) | _as_answered(request, result) | {"expect": expect}
    folder = suite / FOLDER
    head = f"{HEAD}{DIGEST}{digest(request)}\n"
    stem, names = "", []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stem = _free_stem(folder, prompt)
        for number, image in enumerate(request.images, 1):
            name = f"{stem}.{number}{ENDING_OF.get(image.media_type, '.png')}"
            write_atomically(folder / name, image.data)
            names.append(name)
        if names:
            sidecar["images"] = names
        write_atomically(folder / f"{stem}.toml", (head + tomli_w.dumps(_without_null(sidecar))).encode())
        write_atomically(folder / f"{stem}.txt", (prompt + "\n").encode())
    except OSError as error:
        if stem:  # half a case would have the whole suite refused
            for name in (*names, f"{stem}.toml", f"{stem}.txt"):
                (folder / name).unlink(missing_ok=True)
        raise SuiteError(f"The case cannot be written into {folder}: {error.strerror or error}.") from error
    return f"{FOLDER}/{stem}"


def _as_answered(request: GenerationRequest, result: GenerationResult) -> dict[str, Any]:
    """What the engine chose where the request left it open, so far as another answer would come of another choice."""
    told: dict[str, Any] = {}
    end = result.finished
    if end is None:
        return told
    if request.sampling.max_tokens is None and 2 * end.usage.completion_tokens > USUAL_TOKENS:
        told["max_tokens"] = 2 * end.usage.completion_tokens
    drawn = end.witness.sampling if end.witness is not None else {}
    if request.sampling.seed is None and drawn.get("temperature"):
        told["seed"] = drawn["seed"]
    return told


def propose(request: GenerationRequest, result: GenerationResult) -> Any:
    """What may be expected of an answer like this one, as a sidecar says it. It holds for this answer."""
    for candidate in _candidates(request, result):
        try:
            expression = parse_expression(candidate)
        except ExpressionError:
            continue
        if all(one.passed for one in check(expression, Answer.of(result), request.tools)):
            return candidate
    return SMOKE


def _candidates(request: GenerationRequest, result: GenerationResult) -> list[Any]:
    if result.tool_calls:
        calls = [{"tool": {"name": one.name, "args": dict(one.parsed or {})}} for one in result.tool_calls]
        return [calls[0] if len(calls) == 1 else {"all": calls}, {"tool": result.tool_calls[0].name}]
    if result.finished is not None and result.finished.reason is FinishReason.LENGTH:
        return [{"finish": "length"}]
    if request.json_schema is not None:
        return [{"json_schema": dict(request.json_schema)}]
    words = _telling_words(result.text, " ".join(message.plain_text for message in request.messages))
    if not words:
        return []
    return [words[0] if len(words) == 1 else {"all": words}]


def _telling_words(answer: str, asked: str) -> list[str]:
    """Words of an answer that the question does not have: numbers first, then names, then the longest."""
    known = {word.lower() for word in _WORD.findall(asked)}
    found: dict[str, int] = {}
    for place, match in enumerate(_WORD.finditer(answer)):
        word = match.group()
        telling = word[0].isdigit() or len(word) >= SHORTEST_WORD or not word.isascii()
        if telling and word.lower() not in known:
            found.setdefault(word, place)
    rank = sorted(found, key=lambda word: (not word[0].isdigit(), not (word[0].isupper() and found[word]), -len(word)))
    return sorted((word.lower() for word in rank[:WORDS]), key=lambda word: answer.lower().index(word))


def _question(request: GenerationRequest) -> tuple[str, str | None]:
    """The prompt and the system prompt. Raises NoCase for a conversation, or a plain prompt without a template."""
    turns = [message for message in request.messages if message.role is not Role.SYSTEM]
    if request.prompt is not None:
        raise NoCase("A golden prompt goes through the chat template; this is a plain completion.", "plain completions")
    if len(turns) != 1 or turns[0].role is not Role.USER:
        raise NoCase(
            f"A golden prompt is one question; this request is a conversation of {len(turns)} messages.",
            "conversations",
        )
    prompt = turns[0].plain_text.strip()
    if not prompt:
        raise NoCase("A golden prompt has words; this request has none.", "without words")
    if _has_null(request.json_schema):
        told = "A golden prompt is kept as TOML, which has no null; the JSON schema of this request has one."
        raise NoCase(told, "bound to a JSON schema with null")
    systems = [message.plain_text for message in request.messages if message.role is Role.SYSTEM]
    return prompt, "\n\n".join(systems) if systems else None


def _sidecar(request: GenerationRequest, system: str | None) -> dict[str, Any]:
    sampling = request.sampling
    tools = [tool_to_json(tool) for tool in request.tools]
    told: dict[str, Any] = {
        "system": system,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p or None,
        "top_k": sampling.top_k,
        "max_tokens": sampling.max_tokens,
        "stop": list(sampling.stop) or None,
        "thinking": request.thinking,
        "seed": sampling.seed if sampling.seed is not None and 0 <= sampling.seed < SEEDS else None,
        "tools": tools or None,
        "tool_choice": request.tool_choice.word if request.tools else None,
        "json_schema": None if request.json_schema is None else dict(request.json_schema),
    }
    return {name: value for name, value in told.items() if value is not None}


def _has_null(value: Any) -> bool:
    if isinstance(value, Mapping):
        value = list(value.values())
    return isinstance(value, list | tuple) and any(one is None or _has_null(one) for one in value)


def _without_null(value: Any) -> Any:
    """TOML has no null: a key that is null says nothing there."""
    if isinstance(value, Mapping):
        return {key: _without_null(one) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_without_null(one) for one in value if one is not None]
    return value


def _free_stem(folder: Path, prompt: str) -> str:
    """A name for the case's files, out of the prompt's first words, that no other case has."""
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    slug = "-".join(re.findall(r"[a-z0-9]+", plain))[:LONGEST_SLUG].strip("-") or "prompt"
    stem, number = slug, 1
    while any(folder.glob(f"{stem}.*")):
        number += 1
        stem = f"{slug}-{number}"
    return stem
