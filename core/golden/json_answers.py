"""Whether an answer is JSON of a schema, read strictly: what JSON does not know is no JSON, and formats count."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from core.golden.patterns import CannotJudge, PatternError, find
from core.golden.words import composed

EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)*")
"""A local part and a domain (RFC 5321, 4.1.2), as far as a glance goes."""
PLACES = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
"""Keywords whose values are tables of schemas, and LISTS and SINGLE those with lists of schemas and one: under those an
answer has to be what the schema says. (Not so under `not` and `if`.)"""
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
SINGLE = ("items", "contains", "additionalProperties", "unevaluatedItems", "unevaluatedProperties", "then", "else")
KINDS = ("type", "enum", "const", "$ref", "anyOf", "oneOf", "allOf")
"""Keywords that say what kind of value is meant."""


def json_fault(schema: Mapping[str, Any], text: str) -> str | None:
    """Why the text is no JSON of the schema, or None; a fence of three backticks round it is taken off.

    References to other documents are never fetched. Raises CannotJudge when a pattern takes too long, or the schema
    refers to itself without end or to what is not in it.
    """
    fenced = re.fullmatch(r"\s*```(?:json)?\s*\n(.*?)```\s*", text, flags=re.DOTALL | re.IGNORECASE)
    try:
        value = _loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError) as error:
        return f"the answer is no JSON ({error})"
    return schema_fault(schema, value)


def schema_fault(schema: Mapping[str, Any], value: Any, *, as_written: bool = False) -> str | None:
    """Why a JSON value does not follow the schema as a person means it, or `as_written`; None if it does. Raises
    CannotJudge."""
    import jsonschema
    import referencing.exceptions

    meant = json.loads(composed(json.dumps(schema, ensure_ascii=False))[0])
    meant = meant if as_written else _meant(meant)
    try:
        faults = _kind(meant)(meant, registry=referencing.Registry(), format_checker=_formats()).iter_errors(value)
        fault = jsonschema.exceptions.best_match(faults)
    except referencing.exceptions.Unresolvable as error:
        raise CannotJudge(f"the schema refers to {error.ref}, which is not in it") from error
    except RecursionError as error:
        raise CannotJudge("the schema refers to itself without end") from error
    return f"{fault.json_path}: {fault.message}" if fault else None


def unknown_formats(schema: Mapping[str, Any]) -> list[str]:
    """Formats in a schema that nothing here can check."""
    known = _formats().checkers
    named = (table["format"] for table in _tables(schema) if isinstance(table.get("format"), str))
    return list(dict.fromkeys(name for name in named if name not in known))


def patterns(schema: Mapping[str, Any]) -> list[str]:
    """The regular expressions in a schema."""
    found: list[str] = []
    for table in _tables(schema):
        found += [table["pattern"]] if isinstance(table.get("pattern"), str) else []
        found += table["patternProperties"] if isinstance(table.get("patternProperties"), Mapping) else []
    return list(dict.fromkeys(found))


def dangling(schema: Mapping[str, Any]) -> list[str]:
    """References to places in the schema that there are not (RFC 6901)."""
    found = []
    for table in _tables(schema):
        pointer = table.get("$ref")
        if not isinstance(pointer, str) or not pointer.startswith("#/"):
            continue
        place: Any = schema
        for step in pointer[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            place = place.get(name) if isinstance(place, Mapping) else None
        if place is None:
            found.append(pointer)
    return list(dict.fromkeys(found))


def _tables(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every table in a schema, itself included."""
    if isinstance(value, Mapping):
        yield value
    if isinstance(value, Mapping | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tables(part)


def _loads(text: str) -> Any:
    """Raises ValueError for what RFC 8259 does not know (NaN, Infinity), or leaves open (a key that comes twice)."""

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is no JSON number")

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        twice = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
        if twice is not None:
            raise ValueError(f'the key "{twice}" comes twice')
        return dict(pairs)

    def number(digits: str) -> float:
        if math.isinf(value := float(digits)):
            raise ValueError(f"{digits} is beyond all numbers")
        return value

    return json.loads(composed(text)[0], parse_constant=constant, parse_float=number, object_pairs_hook=members)


def _meant(schema: Any) -> Any:
    """The schema with every listed property required where it does not say which are, and an object meant where it
    lists properties and says nothing of the type: `{}` and `42` would pass it otherwise."""
    if not isinstance(schema, Mapping):
        return schema
    made = dict(schema)
    for name in PLACES:
        if isinstance(made.get(name), Mapping):
            made[name] = {key: _meant(part) for key, part in made[name].items()}
    for name in LISTS:
        if isinstance(made.get(name), list):
            made[name] = [_meant(part) for part in made[name]]
    for name in SINGLE:
        if name in made:
            several = isinstance(made[name], list)  # items of older drafts
            made[name] = [_meant(part) for part in made[name]] if several else _meant(made[name])
    if isinstance(made.get("properties"), Mapping):
        made.setdefault("required", list(made["properties"]))
        if not any(name in made for name in KINDS):
            made["type"] = "object"
    return made


def _kind(schema: Any) -> Any:
    import jsonschema

    return _with_time_limit(jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator))


@lru_cache(maxsize=8)
def _with_time_limit(kind: Any) -> Any:
    """The library's validator, with patterns that cannot run away."""
    import jsonschema

    def pattern(validator: Any, wanted: str, value: Any, schema: Any) -> Iterator[Any]:
        if validator.is_type(value, "string") and not _found(wanted, value):
            yield jsonschema.ValidationError(f"{value!r} does not match {wanted!r}")

    def pattern_properties(validator: Any, wanted: Mapping[str, Any], value: Any, schema: Any) -> Iterator[Any]:
        if validator.is_type(value, "object"):
            for expression, below in wanted.items():
                for key, part in value.items():
                    if _found(expression, key):
                        yield from validator.descend(part, below, path=key, schema_path=expression)

    def additional(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[Any]:
        if not validator.is_type(value, "object"):
            return
        listed, matched = schema.get("properties", {}), schema.get("patternProperties", {})
        more = [key for key in value if key not in listed and not any(_found(one, key) for one in matched)]
        if isinstance(wanted, Mapping):
            for key in more:
                yield from validator.descend(value[key], wanted, path=key)
        elif wanted is False and more:
            yield jsonschema.ValidationError(f"there is no place for {', '.join(map(repr, more))}")

    extend: Any = jsonschema.validators.extend
    ours = {"pattern": pattern, "patternProperties": pattern_properties, "additionalProperties": additional}
    return extend(kind, ours)


@lru_cache(maxsize=1)
def _formats() -> Any:
    """The library's formats, with addresses that have both their parts."""
    import jsonschema

    checker = jsonschema.FormatChecker()
    checker.checks("email")(lambda value: not isinstance(value, str) or bool(EMAIL.fullmatch(value)))
    return checker


def _found(pattern: str, text: str) -> bool:
    try:
        return bool(find(pattern, text))
    except PatternError as error:
        raise CannotJudge(f"the schema's pattern {pattern!r} cannot be read: {error}") from error
