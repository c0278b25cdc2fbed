"""JSON schemas as people send them, made into what a grammar can follow token by token (llguidance's dialect).

What cannot be followed is refused with its place and with what to write instead. Annotations that say nothing a
grammar could hold (unknown formats) are left out and reported. Objects that list their properties are closed: a model
that may write keys that nobody named does not know where to stop. Of one that several schemas describe together, the
whole is closed and its parts stay open. See docs/api.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from core.errors import InvalidRequest

FORMATS = frozenset(
    ("date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri", "unknown")
)
"""The formats that llguidance 1.x holds a string to."""

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

SHOWN = 200
"""Characters of a pattern that an error repeats."""
MAX_PATTERNS = 64
"""Names in `patternProperties`, in all of a schema: each is set apart from all before it, and two hundred take seconds
to compile, four hundred minutes."""

_NAMED = ("properties", "patternProperties", "$defs", "definitions")
_LISTED = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "additionalItems")
_VALUES = ("const", "enum", "default", "examples")
_COMBINED = ("allOf", "anyOf", "oneOf", "$ref")
_MEMBERS = ("properties", "patternProperties", "additionalProperties")


@dataclass
class Prepared:
    """A schema to make a grammar of, and what it does not hold, in sentences."""

    schema: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def prepare_schema(schema: Mapping[str, Any], what: str, param: str) -> Prepared:
    """`what` names the schema in sentences, `param` the request's field.

    Raises InvalidRequest for a keyword of REFUSED and for a pattern that is none, with its place as a JSON pointer.
    """
    shared = _parts(schema)
    notes: list[str] = []
    named: list[str] = []

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
                notes.append(f"{what}: the format {value!r} at {here} is not held, only noted")
                continue
            keys = [*value] if name == "patternProperties" and isinstance(value, Mapping) else []
            named.extend(keys)
            if len(named) > MAX_PATTERNS:
                raise InvalidRequest(
                    f"{what} has more than {MAX_PATTERNS} names in patternProperties, which takes too long to compile. "
                    "Join them into fewer patterns, or list the names in properties.",
                    param,
                )
            for pattern in [value] if name == "pattern" else keys:
                if isinstance(pattern, str):
                    check_pattern(pattern, f"{what} has at {here} the pattern", param)
            if name in _NAMED and isinstance(value, Mapping):
                made[name] = {
                    key: walk(item, f"{here}/{_escaped(str(key))}", f"#{here}/{_escaped(str(key))}" not in shared)
                    for key, item in value.items()
                }
            elif name in _LISTED and isinstance(value, Sequence) and not isinstance(value, str):
                closed = name == "prefixItems" or (close and not _joins(node))
                made[name] = [walk(item, f"{here}/{place}", closed) for place, item in enumerate(value)]
            elif name in _SINGLE and isinstance(value, list):
                made[name] = [walk(item, f"{here}/{place}") for place, item in enumerate(value)]
            elif name in _SINGLE:
                made[name] = walk(value, here)
            else:
                made[name] = value
        if close and _may_close(node):
            made["additionalProperties"] = False
        elif close and (_joins(node) or str(node.get("$ref")) in shared) and (names := _all_names(node, schema)):
            made["properties"] = {**{key: {} for key in names}, **made.get("properties", {})}
            made["additionalProperties"] = False
        return made

    return Prepared(walk(schema, "", "#" not in shared), notes)


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
    return not any(name in node for name in _COMBINED) and all(
        str(name) in listed for name in _listed(node, "required")
    )


def _joins(node: Mapping[str, Any]) -> bool:
    """Whether several schemas describe the members of an object together, so that none of them may close it."""
    combined = sum(name in node for name in _COMBINED)
    whole = len(_listed(node, "allOf")) > 1 or combined > 1
    demands = "required" in node and ("allOf" in node or "$ref" in node)
    return whole or (combined == 1 and (demands or any(name in node for name in _MEMBERS)))


def _parts(root: Mapping[str, Any]) -> frozenset[str]:
    """The references to schemas that are one of several that describe an object."""
    found: set[str] = set()

    def look(node: Any, part: bool) -> None:
        if not isinstance(node, Mapping):
            return
        joined = part or _joins(node)
        target = node.get("$ref")
        if joined and isinstance(target, str) and target not in found:
            found.add(target)
            look(_target(root, target), True)
        for name, value in node.items():
            if name in _NAMED and isinstance(value, Mapping):
                value = list(value.values())
            if name in (*_NAMED, *_SINGLE, *_LISTED):
                for item in value if isinstance(value, list) else [value]:
                    look(item, joined and name in _COMBINED)

    look(root, False)
    return frozenset(found)


def _all_names(node: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, None] | None:
    """The members of an object, by all the schemas that describe it together; None where they leave others open."""
    names: dict[str, None] = {}
    required: list[Any] = []
    seen: dict[int, bool] = {}
    """By the schemas met: whether all that they consist of is known; not so while they are read."""

    def look(part: Any) -> bool:
        open_ended = ("additionalProperties", "patternProperties", "anyOf", "oneOf")
        if not isinstance(part, Mapping) or any(name in part for name in open_ended):
            return False
        if id(part) in seen:
            return seen[id(part)]
        seen[id(part)] = False
        required.extend(_listed(part, "required"))
        parts = [*_listed(part, "allOf"), *([_target(root, part["$ref"])] if "$ref" in part else ())]
        named = part.get("properties", {})
        names.update(dict.fromkeys(named if isinstance(named, Mapping) else ()))
        seen[id(part)] = all(look(inner) for inner in parts)
        return seen[id(part)]

    return names if look(node) and all(str(name) in names for name in required) else None


def _listed(node: Mapping[str, Any], name: str) -> list[Any]:
    found = node.get(name)
    return list(found) if isinstance(found, list | tuple) else []


def _target(root: Mapping[str, Any], reference: Any) -> Any:
    """What a reference into the schema itself leads to; None for others."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None
    found: Any = root
    for step in reference.split("/")[1:]:
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found


def check_pattern(pattern: str, told: str, param: str) -> None:
    """Raises InvalidRequest for what is no regular expression; `told` is the sentence up to it."""
    if fault := _pattern_fault(pattern):
        shown = pattern if len(pattern) <= SHOWN else f"{pattern[: SHOWN - 1]}…"
        raise InvalidRequest(
            f"{told} {shown!r}, which cannot be held while an answer is written: {fault}. Write it "
            "in another way, or leave it out.",
            param,
        )


@lru_cache(maxsize=512)
def _pattern_fault(pattern: str) -> str:
    """Why the grammars' library takes a regular expression for none, in its words; empty where it does not."""
    from llguidance import LLMatcher

    schema = json.dumps({"type": "string", "pattern": pattern})
    problem = str(LLMatcher.validate_grammar(LLMatcher.grammar_from_json_schema(schema)))
    return problem.rpartition("error: ")[2].strip().rstrip(".")


def _escaped(name: str) -> str:
    """A member's name in a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
