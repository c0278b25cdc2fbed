"""A body, form or query that its schema refuses, as one sentence: which field, what it must be, what it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError

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

_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def invalid_body(error: RequestValidationError) -> InvalidRequest:
    """The first fault, with the field's path as `param`."""
    first: Mapping[str, Any] = error.errors()[0]
    if first["type"] == "json_invalid":
        reason = first.get("ctx", {}).get("error", "it ends too early").removesuffix(" at")
        return InvalidRequest(f"The request body is not JSON: {reason} at character {first['loc'][-1]}.")
    path = ""
    for step in first["loc"][1:]:
        if isinstance(step, int):
            path += f"[{step}]"
        elif not _is_type_tag(step):
            path += f".{step}" if path else str(step)
    if not path:
        return InvalidRequest("The request body is missing or is not a JSON object.")
    return InvalidRequest(f"{path} {_fault(first)}", path)


def _fault(error: Mapping[str, Any]) -> str:
    """The rest of the sentence that begins with the field. Types of errors are those of pydantic-core."""
    kind, bounds = error["type"], error.get("ctx", {})
    value = _shown(error.get("input"))
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
        return f"must have at most {bounds['max_length']} items, not {bounds['actual_length']}."
    for name, words in _BOUNDS.items():
        if name in bounds:
            return f"must be {words} {bounds[name]}, not {value}."
    reason = error["msg"].removeprefix("Value error, ")
    return f"cannot be {value}: {reason[:1].lower()}{ended(reason[1:])}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _is_type_tag(step: str) -> bool:
    """Pydantic names the branch of a union in the path: "function-before[...]", "list[str]", "Source"."""
    return "[" in step or step in ("str", "int", "float", "bool") or step[:1].isupper()
