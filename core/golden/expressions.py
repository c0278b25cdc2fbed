"""What a person may expect of an answer, as a small tree: how it is written in TOML, and how it reads in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from core.calls.events import FinishReason
from core.golden.graded.leaves import (
    Graded,
    Judged,
    Program,
    Similar,
    Unreadable,
    graded_json,
    graded_words,
    read_judged,
    read_program,
    read_similar,
)
from core.golden.json_answers import patterns
from core.golden.nearest import did_you_mean
from core.golden.patterns import PatternError, compiled

T = TypeVar("T")


class ExpressionError(ValueError):
    """An expectation that cannot be read; `path` holds the keys and indices that lead to the fault."""

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


@dataclass(frozen=True)
class Word:
    """The text stands in the answer as whole words, whatever the case."""

    text: str


@dataclass(frozen=True)
class Exact:
    """The text stands in the answer as whole words, in this very case."""

    text: str


@dataclass(frozen=True)
class Equals:
    """The text is the whole answer, white space at both ends aside."""

    text: str


@dataclass(frozen=True)
class Matches:
    """The regular expression is found somewhere in the answer (Python's syntax, no flags)."""

    pattern: str


@dataclass(frozen=True)
class FitsSchema:
    """The answer, a fence of backticks aside, is JSON that the schema accepts."""

    schema: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True)
class CallsTool:
    """One of the answer's calls has this name, and arguments that hold these JSON values.

    With `only`, there is no call beyond those that the expectation needs, and no argument that a tool does not declare.
    """

    name: str
    args: Mapping[str, Any] = field(default_factory=dict, hash=False)
    only: bool = True


@dataclass(frozen=True)
class Finishes:
    """The generation ended for one of these reasons."""

    reasons: tuple[FinishReason, ...]


@dataclass(frozen=True)
class NotEmpty:
    """The answer holds more than white space."""


@dataclass(frozen=True)
class Answered:
    """The answer holds more than white space, or a call. Asked of every answer, never written."""


@dataclass(frozen=True)
class NoExtraCalls:
    """No call but those that are needed, each as its tool takes it. Asked unless `CallsTool.only` is off, never
    written."""


@dataclass(frozen=True)
class AnyOf:
    of: tuple[Expression, ...]


@dataclass(frozen=True)
class AllOf:
    of: tuple[Expression, ...]


@dataclass(frozen=True)
class Not:
    of: Expression


Exactly = Word | Exact | Equals | Matches | FitsSchema | CallsTool | Finishes | NotEmpty | Answered | NoExtraCalls
Leaf = Exactly | Graded
Expression = Leaf | AnyOf | AllOf | Not

SMOKE = NotEmpty()
"""What holds where nothing is expected; that the answer ended cleanly is asked of every case."""

CLEAN_FINISH = Finishes((FinishReason.STOP, FinishReason.TOOL_CALLS))
"""Asked of every case whose expectation does not speak of `finish` itself: an answer cut short is never a pass."""
KNOWN_FINISH = Finishes((FinishReason.STOP, FinishReason.TOOL_CALLS, FinishReason.LENGTH))
"""Asked of all others: an end for a reason that nobody knows is no end."""


def implied(expression: Expression) -> dict[str, Expression]:
    """What is asked beside a written expectation, by its name: whatever that does not speak of itself."""
    written = list(leaves(expression))
    asked: dict[str, Expression] = {}
    if not any(isinstance(leaf, NotEmpty) for leaf in written):
        asked["answered"] = Answered()
    speaks = any(isinstance(leaf, Finishes) for leaf in written)
    asked["finish"] = KNOWN_FINISH if speaks else CLEAN_FINISH
    if all(leaf.only for leaf in written if isinstance(leaf, CallsTool)):
        asked["calls"] = NoExtraCalls()
    return asked


def leaves(expression: Expression) -> Iterator[Leaf]:
    """Every leaf of the tree, in writing order, repeated ones repeated."""
    match expression:
        case AnyOf(of) | AllOf(of):
            for part in of:
                yield from leaves(part)
        case Not(of):
            yield from leaves(of)
        case _:
            yield expression


# -- reading ---------------------------------------------------------------------------------------------------------


def parse_expression(value: Any) -> Expression:
    """The tree for a TOML value: a string is a word, a list any of its items, a table all of its operators.

    Raises ExpressionError with a sentence and the path to the fault.
    """
    if isinstance(value, str):
        return Word(_text(value))
    if isinstance(value, list):
        return AnyOf(_several(value))
    if isinstance(value, Mapping):
        parts = [_inside(name, partial(_operator, name, part)) for name, part in value.items()]
        if not parts:
            raise ExpressionError("An empty table expects nothing: leave `expect` out for a smoke check.")
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))
    raise ExpressionError(f"An expectation is a string, a list or a table of operators, not {value!r}.")


def _operator(name: str, value: Any) -> Expression:
    reader = OPERATORS.get(name)
    if reader is None:
        raise ExpressionError(f'There is no operator "{name}"{did_you_mean(name, OPERATORS)}.')
    return reader(value)


def _inside(step: str | int, read: Callable[[], T]) -> T:
    """Run `read`; a fault in it is one step further down."""
    try:
        return read()
    except ExpressionError as error:
        raise ExpressionError(error.message, (step, *error.path)) from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ExpressionError(f"Text is expected here, in quotes, not {value!r}.")
    if not value.strip():
        raise ExpressionError("An empty text is in every answer: name a word.")
    return value


def _several(value: Any) -> tuple[Expression, ...]:
    if not isinstance(value, list) or not value:
        raise ExpressionError("A list of at least one expectation is needed here.")
    return tuple(_inside(index, partial(parse_expression, item)) for index, item in enumerate(value))


def _each(value: Any, leaf: Callable[[str], Expression]) -> Expression:
    """One text, or a list of which any will do."""
    if not isinstance(value, list):
        return leaf(_text(value))
    if not value:
        raise ExpressionError("A list of at least one text is needed here.")
    return AnyOf(tuple(leaf(_inside(index, partial(_text, item))) for index, item in enumerate(value)))


def _matches(pattern: str) -> Matches:
    try:
        compiled(pattern)
    except PatternError as error:
        raise ExpressionError(f"The regular expression {pattern!r} cannot be read: {error}.") from error
    return Matches(pattern)


def _schema(value: Any) -> FitsSchema:
    import jsonschema

    if not isinstance(value, dict):
        raise ExpressionError("json_schema takes a table that is a JSON schema.")
    _json_value(value)
    try:
        jsonschema.validators.validator_for(value).check_schema(value)
    except jsonschema.SchemaError as error:
        raise ExpressionError(f"That is no JSON schema: {error.message}.") from error
    if "unevaluatedProperties" in json.dumps(value) and patterns(value):
        raise ExpressionError(
            "unevaluatedProperties beside patterns cannot be checked in a bounded time: use additionalProperties."
        )
    return FitsSchema(value)


TOOL_KEYS = ("name", "args", "only")


def _tool(value: Any) -> CallsTool:
    if isinstance(value, str):
        return CallsTool(_text(value))
    if not isinstance(value, Mapping):
        raise ExpressionError("tool takes a name, or a table with name and args.")
    for key in value:
        if key not in TOOL_KEYS:
            raise ExpressionError(f'tool knows no "{key}"{did_you_mean(key, TOOL_KEYS)}.', (key,))
    if "name" not in value:
        raise ExpressionError("A tool expectation needs the tool's name.")
    arguments = value.get("args", {})
    if not isinstance(arguments, Mapping):
        raise ExpressionError("args is a table of argument names and JSON values.", ("args",))
    _inside("args", partial(_json_value, arguments))
    only = value.get("only", True)
    if not isinstance(only, bool):
        raise ExpressionError("only is true or false: whether other calls and arguments are forbidden.", ("only",))
    return CallsTool(_inside("name", partial(_text, value["name"])), dict(arguments), only)


def _json_value(value: Any) -> None:
    """Raise unless the value can stand in JSON (TOML's dates and times cannot)."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ExpressionError(f"Only JSON values can stand here ({error}).") from error


def _finishes(value: Any) -> Finishes:
    reasons = value if isinstance(value, list) else [value]
    allowed = [FinishReason.STOP, FinishReason.LENGTH, FinishReason.TOOL_CALLS]
    if not reasons or any(reason not in allowed for reason in reasons):
        raise ExpressionError(f"finish is one of {', '.join(allowed)}, or a list of them, not {value!r}.")
    return Finishes(tuple(FinishReason(reason) for reason in reasons))


def _not_empty(value: Any) -> NotEmpty:
    if value is not True:
        raise ExpressionError("not_empty takes only true; write `not = { not_empty = true }` for an empty answer.")
    return NotEmpty()


def _graded(read: Callable[[Any], Graded], value: Any) -> Graded:
    try:
        return read(value)
    except Unreadable as error:
        raise ExpressionError(error.message, error.path) from error


OPERATORS: Mapping[str, Callable[[Any], Expression]] = {
    "any": lambda value: AnyOf(_several(value)),
    "all": lambda value: AllOf(_several(value)),
    "not": lambda value: Not(parse_expression(value)),
    "regex": lambda value: _each(value, _matches),
    "equals": lambda value: _each(value, Equals),
    "exact": lambda value: _each(value, Exact),
    "json_schema": _schema,
    "tool": _tool,
    "finish": _finishes,
    "not_empty": _not_empty,
    "similar": partial(_graded, read_similar),
    "judge": partial(_graded, read_judged),
    "python": partial(_graded, read_program),
}


# -- writing ---------------------------------------------------------------------------------------------------------


def to_json(expression: Expression) -> Any:
    """The JSON value that `parse_expression` reads back as the same tree."""
    match expression:
        case Word(text):
            return text
        case Exact(text):
            return {"exact": text}
        case Equals(text):
            return {"equals": text}
        case Matches(pattern):
            return {"regex": pattern}
        case FitsSchema(schema):
            return {"json_schema": schema}
        case CallsTool(name, args, only):
            more = ({"args": args} if args else {}) | ({} if only else {"only": False})
            return {"tool": {"name": name, **more} if more else name}
        case Finishes(reasons):
            return {"finish": [reason.value for reason in reasons]}
        case NotEmpty():
            return {"not_empty": True}
        case Answered():
            return {"answered": True}
        case NoExtraCalls():
            return {"extra_calls": False}
        case AnyOf(of):
            return [to_json(part) for part in of]
        case AllOf(of):
            return {"all": [to_json(part) for part in of]}
        case Not(of):
            return {"not": to_json(of)}
        case Similar() | Judged() | Program():
            return graded_json(expression)


def describe(expression: Expression, inner: bool = False) -> str:
    """The tree in words: `red and (square or rectangle)`. `inner` puts brackets round what has several parts."""
    match expression:
        case Word(text):
            return text
        case Exact(text):
            return f'exactly "{text}"'
        case Equals(text):
            return f'the whole answer "{text}"'
        case Matches(pattern):
            return f"/{pattern}/"
        case FitsSchema():
            return "JSON of the schema"
        case CallsTool(name, args, _):
            inside = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in args.items())
            return f"a call {name}({inside})"
        case Finishes(reasons):
            return "finish " + " or ".join(reasons)
        case NotEmpty():
            return "a non-empty answer"
        case Answered():
            return "an answer"
        case NoExtraCalls():
            return "no other call"
        case Similar() | Judged() | Program():
            return graded_words(expression)
        case AnyOf(of) | AllOf(of):
            joint = " or " if isinstance(expression, AnyOf) else " and "
            joined = joint.join(describe(part, inner=True) for part in of)
            return f"({joined})" if inner and len(of) > 1 else joined
        case Not(of):
            return f"not {describe(of, inner=True)}"
