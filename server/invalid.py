"""A body, form or query that its schema refuses, as one sentence: which field, what it must be, what it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import InvalidRequest, ended

SHOWN = 60
"""Characters of a wrong value that are repeated."""

_KINDS = {
    "string": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "an object",
    "model": "an object",
}
"""What the first word of pydantic's type of an error asks for: int_type, int_parsing and int_from_float all do."""

_TYPE_FAULTS = ("type", "parsing", "from_float", "attributes_type")

_WRITER = json.JSONEncoder(ensure_ascii=False, default=str)

_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def invalid_body(errors: Sequence[Mapping[str, Any]]) -> InvalidRequest:
    """The first of pydantic's errors, with the field's path as `param`."""
    first = errors[0]
    path = ""
    for step in first["loc"]:
        if isinstance(step, int):
            path += f"[{step}]"
        elif not _is_type_tag(step):
            path += f".{cut(step)}" if path else cut(step)
    if not path:
        return InvalidRequest("The request body is missing or is not a JSON object.")
    return InvalidRequest(f"{path} {_fault(first)}", path)


def _fault(error: Mapping[str, Any]) -> str:
    """The rest of the sentence that begins with the field. Types of errors are those of pydantic-core."""
    kind, bounds = error["type"], error.get("ctx", {})
    value = shown(error.get("input"))
    first, _, rest = kind.partition("_")
    if kind == "missing":
        return "is missing: the request cannot be understood without it."
    if first in _KINDS and rest in _TYPE_FAULTS:
        return f"must be {_KINDS[first]}, not {value}."
    if kind in ("literal_error", "enum"):
        return f"must be {bounds['expected']}, not {value}."
    if kind == "too_short":
        return f"must have at least {bounds['min_length']} item{'s' * (bounds['min_length'] != 1)}, not {value}."
    if kind == "too_long":
        return f"must have at most {bounds['max_length']:,} items, not {len(error['input']):,}."
    if kind == "string_too_long":
        return f"must have at most {bounds['max_length']:,} characters, not {len(error['input']):,}."
    for name, words in _BOUNDS.items():
        if name in bounds:
            return f"must be {words} {bounds[name]}, not {value}."
    reason = error["msg"].removeprefix("Value error, ")
    return f"cannot be {value}: {reason[:1].lower()}{ended(reason[1:])}"


def shown(value: Any) -> str:
    """A value as JSON, of which the beginning is repeated: what is large is never written out."""
    text = ""
    for piece in _WRITER.iterencode(value[: SHOWN + 1] if isinstance(value, str) else value):
        text += piece[: SHOWN + 1]
        if len(text) > SHOWN:
            return cut(text)
    return text


def cut(text: str) -> str:
    """The beginning of what a client sent, for a sentence."""
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _is_type_tag(step: str) -> bool:
    """Pydantic names the branch of a union in the path: "function-before[...]", "list[str]", "Source"."""
    return "[" in step or step in ("str", "int", "float", "bool") or step[:1].isupper()
