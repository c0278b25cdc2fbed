"""What is expected of an answer as assertions of promptfoo: its own where there are such, else JavaScript."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from core.golden.expressions import (
    AllOf,
    Answered,
    AnyOf,
    CallsTool,
    Equals,
    Exact,
    Exactly,
    Expression,
    Finishes,
    FitsSchema,
    Matches,
    NoExtraCalls,
    Not,
    NotEmpty,
    Word,
    describe,
    implied,
)
from core.golden.graded.leaves import Judged, Similar

NAMES = {
    "text": 'const text = typeof output === "string" ? output : output?.content ?? "";',
    "calls": "const calls = Array.isArray(output) ? output : output?.tool_calls ?? [];",
    "finish": 'const finish = context.providerResponse?.finishReason ?? output?.finish ?? "stop";',
    "within": """\
const within = (want, have) => want !== null && typeof want === "object"
  ? have !== null && typeof have === "object" && Object.keys(want).every((key) => within(want[key], have[key]))
  : want === have;""",
}
"""What the JavaScript goes by, each where it is used: promptfoo hands on a text, calls, or a message with both."""
UNFENCED = r"output.replace(/^\s*```\w*\n|\n```\s*$/g, '')"
"""A transform that takes off a fence of backticks."""
SYNTAX = re.compile(r"[\^$\\.*+?()\[\]{}|/]")
BRACE = "\ue07b"
RENDERED = re.compile(r"\{[{%#]")
"""What promptfoo would take for a template of its own."""
ONLY_PYTHON = re.compile(r"\(\?[a-zA-Z]+[):]|\(\?P|\(\?\(|\(\?>|\\[AZ]|[*+?}]\+|\[\[")
"""What JavaScript reads otherwise, or not at all."""


class NoCounterpart(Exception):
    """What promptfoo has no assertion for, in a phrase."""


def assertions(expression: Expression, base_url: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The assertions that stand for an expectation, with what is asked beside it; and in words what none stands for.
    `base_url` is that of the API whose models grade."""
    found: list[dict[str, Any]] = []
    lost: list[str] = []
    asked = [one for one in implied(expression).values() if not isinstance(one, NoExtraCalls)]
    for part in (*_parts(expression), *asked):
        try:
            found.append(_assertion(part, base_url) | {"metric": describe(part)})
        except NoCounterpart as error:
            lost.append(str(error))
    return found, lost


def _parts(expression: Expression) -> Iterator[Expression]:
    """What has to hold together, each by itself."""
    if isinstance(expression, AllOf):
        for one in expression.of:
            yield from _parts(one)
    else:
        yield expression


def _assertion(part: Expression, base_url: str) -> dict[str, Any]:
    match part:
        case Equals(text) if not RENDERED.search(text):
            return {"type": "equals", "value": text.strip(), "transform": "output.trim()"}
        case Matches(pattern) if not RENDERED.search(pattern) and not ONLY_PYTHON.search(pattern):
            return {"type": "regex", "value": pattern}
        case FitsSchema(schema) if not RENDERED.search(json.dumps(schema)):
            return {"type": "is-json", "value": dict(schema), "transform": UNFENCED}
        case Judged(model, rubric):
            return {"type": "llm-rubric", "value": rubric, "provider": provider(model, base_url)}
        case Similar(to, model, at_least):
            graded = provider(model, base_url) | {"id": f"openai:embedding:{model}"}
            return {"type": "similar", "value": list(to), "threshold": at_least, "provider": graded}
        case _:
            script = f"return {_script(part)};"
            told = [line for name, line in NAMES.items() if re.search(rf"\b{name}\b", script)]
            return {"type": "javascript", "value": "\n".join([*told, script])}


def provider(model: str, base_url: str, *, asked: bool = True) -> dict[str, Any]:
    """A model behind the API, as promptfoo names it; one that is not `asked` needs no key."""
    config = {"apiBaseUrl": base_url, "apiKeyEnvar": "ASSAY_KEY", "omitDefaults": True, "showThinking": False}
    return {"id": f"openai:chat:{model}", "config": config if asked else config | {"apiKeyRequired": False}}


def _script(expression: Expression) -> str:
    """A condition in JavaScript, in the names of NAMES. Raises NoCounterpart."""
    match expression:
        case AnyOf(of):
            return f"({' || '.join(map(_script, of))})"
        case AllOf(of):
            return f"({' && '.join(map(_script, of))})"
        case Not(of):
            return f"!({_script(of)})"
        case Word() | Exact() | Equals() | Matches() | CallsTool() | Finishes() | NotEmpty() | Answered():
            return _leaf(expression)
        case _:
            raise NoCounterpart(describe(expression))


def _leaf(leaf: Exactly) -> str:
    match leaf:
        case Word(text) | Exact(text):
            words = r"\s+".join(SYNTAX.sub(r"\\\g<0>", word) for word in text.split())
            flags = "iu" if isinstance(leaf, Word) else "u"
            pattern = rf"(?<![\p{{L}}\p{{N}}\p{{M}}]|\d[.,]){words}(?![\p{{L}}\p{{N}}\p{{M}}]|[.,]\d)"
            return f"new RegExp({_text(pattern)}, {_text(flags)}).test(text)"
        case Equals(text):
            return f"text.trim() === {_text(text.strip())}"
        case Matches(pattern):
            flags, rest = ("i", pattern[4:]) if pattern.startswith("(?i)") else ("", pattern)
            if ONLY_PYTHON.search(rest):
                raise NoCounterpart(f"the pattern /{pattern}/, which JavaScript reads otherwise")
            return f'new RegExp({_text(rest)}, "{flags}").test(text)'
        case CallsTool(name, args, _):
            held = f"within({_text(dict(args))}, JSON.parse(call.function.arguments))" if args else "true"
            return f"calls.some((call) => call.function?.name === {_text(name)} && {held})"
        case Finishes(reasons):
            return f"{_text([reason.value for reason in reasons])}.includes(finish)"
        case NotEmpty():
            return 'text.trim() !== ""'
        case Answered():
            return '(text.trim() !== "" || calls.length > 0)'
        case _:
            raise NoCounterpart(describe(leaf))


def _text(value: Any) -> str:
    """A JSON value in JavaScript, in which nothing is a template of promptfoo's."""
    return json.dumps(_marked(value)).replace(json.dumps(BRACE)[1:-1], "\\u007b")


def _marked(value: Any) -> Any:
    """The value with another sign for the braces in its texts."""
    if isinstance(value, str):
        return RENDERED.sub(lambda found: BRACE + found[0][1:], value)
    if isinstance(value, Mapping):
        return {_marked(key): _marked(one) for key, one in value.items()}
    return [_marked(one) for one in value] if isinstance(value, list | tuple) else value
