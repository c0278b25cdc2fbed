"""JSON schemas as people send them, made into what a grammar can follow token by token (llguidance's dialect).

What cannot be followed is refused with its place and with what to write instead. Annotations that say nothing a
grammar could hold (unknown formats) are left out and reported. Objects that list their properties are closed: a model
that may write keys that nobody named does not know where to stop. See docs/api.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import InvalidRequest

FORMATS = frozenset(
    ("date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri", "unknown")
)
"""The formats that llguidance 1.x holds a string to; a number's format is never more than an annotation."""

REFUSED = {
    "uniqueItems": "leave it out, and drop what comes twice afterwards",
    "contains": "say with prefixItems where the item stands",
    "minContains": "use minItems, or say with prefixItems where the items stand",
    "maxContains": "use maxItems",
    "not": "list what is allowed, with enum or anyOf",
    "if": "spell the cases out with anyOf",
    "then": "spell the cases out with anyOf",
    "else": "spell the cases out with anyOf",
    "propertyNames": "use patternProperties with additionalProperties false",
    "dependentRequired": "spell the cases out with anyOf",
    "dependentSchemas": "spell the cases out with anyOf",
    "dependencies": "spell the cases out with anyOf",
    "unevaluatedProperties": "use additionalProperties",
    "unevaluatedItems": "use items",
    "$dynamicRef": "use $ref",
    "$recursiveRef": "use $ref",
}
"""Keywords that cannot be held while tokens are drawn, and what to write instead."""

IDLE = {"uniqueItems": False, "unevaluatedProperties": True, "unevaluatedItems": True, "minContains": 0}
"""Values with which they demand nothing."""

_NAMED = ("properties", "patternProperties", "$defs", "definitions")
_LISTED = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "additionalItems")
_VALUES = ("const", "enum", "default", "examples")
_COMBINED = ("allOf", "anyOf", "oneOf", "$ref")


@dataclass
class Prepared:
    """A schema to make a grammar of, and what it does not hold, in sentences."""

    schema: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def prepare_schema(schema: Mapping[str, Any], what: str, param: str) -> Prepared:
    """`what` names the schema in sentences, `param` the request's field.

    Raises InvalidRequest for a keyword of REFUSED, with its place as a JSON pointer.
    """
    shared = frozenset(_merged(schema))
    notes: list[str] = []

    def walk(node: Any, pointer: str, close: bool = True) -> Any:
        if not isinstance(node, Mapping):
            return node
        made: dict[str, Any] = {}
        for name, value in node.items():
            here = f"{pointer}/{_escaped(str(name))}"
            if name in REFUSED:
                if name in IDLE and value == IDLE[name]:
                    continue
                raise InvalidRequest(
                    f"{what} has {name!r} at {here}, which cannot be held while an answer is written: {REFUSED[name]}.",
                    param,
                )
            if name == "format" and isinstance(value, str) and value not in FORMATS:
                if not set(_types(node)) & {"integer", "number"}:
                    notes.append(f"{what}: the format {value!r} at {here} is not held, only noted")
                continue
            if name in _NAMED and isinstance(value, Mapping):
                made[name] = {
                    key: walk(item, f"{here}/{_escaped(str(key))}", f"#{here}/{_escaped(str(key))}" not in shared)
                    for key, item in value.items()
                }
            elif name in _LISTED and isinstance(value, Sequence) and not isinstance(value, str):
                closed = name == "prefixItems" or (name != "allOf" and "properties" not in node)
                made[name] = [walk(item, f"{here}/{place}", closed) for place, item in enumerate(value)]
            elif name in _SINGLE and isinstance(value, list):
                made[name] = [walk(item, f"{here}/{place}") for place, item in enumerate(value)]
            elif name in _SINGLE:
                made[name] = walk(value, here)
            else:
                made[name] = value
        if close and _may_close(node):
            made["additionalProperties"] = False
        return made

    return Prepared(walk(schema, ""), notes)


def prepare_parameters(name: str, parameters: Mapping[str, Any]) -> Prepared:
    """The schema of a tool's arguments, as `prepare_schema`; an object of which nothing more is said has no members."""
    return prepare_schema(_said(parameters), f"The schema of the tool {name}", "tools")


def takes_nothing(parameters: Mapping[str, Any]) -> bool:
    """Whether a tool with these parameters can be called with none alone."""
    said = _said(parameters)
    return not said.get("properties") and (said.get("additionalProperties") is False or _may_close(said))


def _said(parameters: Mapping[str, Any]) -> dict[str, Any]:
    silent = not set(parameters) - {"type", "description", "title", "$schema"}
    return {"type": "object", **({"properties": {}} if silent else parameters)}


def moved(schema: Any, pointer: str) -> Any:
    """A schema that is put at `pointer` of another: its references to itself lead there."""
    if isinstance(schema, list):
        return [moved(item, pointer) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {name: value if name in _VALUES else moved(value, pointer) for name, value in schema.items()}
    target = schema.get("$ref")
    if isinstance(target, str) and (target == "#" or target.startswith("#/")):
        made["$ref"] = pointer + target[1:]
    return made


def _may_close(node: Mapping[str, Any]) -> bool:
    """Whether an object lists all its properties: nothing else speaks of more."""
    listed = node.get("properties")
    if not isinstance(listed, Mapping) or "additionalProperties" in node or "patternProperties" in node:
        return False
    return not any(name in node for name in _COMBINED) and set(node.get("required") or ()) <= set(listed)


def _merged(node: Any) -> Iterator[str]:
    """The references to schemas that others are merged with: an object that is one part of a whole cannot be closed."""
    if isinstance(node, Mapping):
        for part in node.get("allOf") or ():
            if isinstance(part, Mapping) and isinstance(part.get("$ref"), str):
                yield part["$ref"]
        if isinstance(node.get("$ref"), str) and "properties" in node:
            yield node["$ref"]
        for value in node.values():
            yield from _merged(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _merged(value)


def _types(node: Mapping[str, Any]) -> list[str]:
    kinds = node.get("type")
    return [kinds] if isinstance(kinds, str) else [kind for kind in kinds or () if isinstance(kind, str)]


def _escaped(name: str) -> str:
    """A member's name in a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
