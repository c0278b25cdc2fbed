"""Whether an answer is JSON of a schema, read strictly: what JSON does not know is no JSON, and formats count."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from core.golden.patterns import CannotJudge, PatternError, find
from core.golden.words import composed

PLACES = ("properties", "$defs", "definitions", "patternProperties")
"""Keywords whose values are tables of schemas, and LISTS and SINGLE those with lists of schemas and one: under those an
answer has to be what the schema says. (Not so under `not` and `if`.)"""
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
SINGLE = ("items", "additionalProperties", "then", "else")


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


def schema_fault(schema: Mapping[str, Any], value: Any) -> str | None:
    """Why a JSON value does not follow the schema as it is meant, or None. Raises CannotJudge."""
    import jsonschema
    import referencing.exceptions

    meant = _meant(json.loads(composed(json.dumps(schema, ensure_ascii=False))[0]))
    try:
        faults = _kind(meant)(
            meant, registry=referencing.Registry(), format_checker=jsonschema.FormatChecker()
        ).iter_errors(value)
        fault = jsonschema.exceptions.best_match(faults)
    except referencing.exceptions.Unresolvable as error:
        raise CannotJudge(f"the schema refers to {error.ref}, which is not in it") from error
    except RecursionError as error:
        raise CannotJudge("the schema refers to itself without end") from error
    return f"{fault.json_path}: {fault.message}" if fault else None


def unknown_formats(schema: Mapping[str, Any]) -> list[str]:
    """Formats in a schema that nothing here can check."""
    import jsonschema

    known = jsonschema.FormatChecker().checkers
    named = (table["format"] for table in _tables(schema) if isinstance(table.get("format"), str))
    return list(dict.fromkeys(name for name in named if name not in known))


def patterns(schema: Mapping[str, Any]) -> list[str]:
    """The regular expressions in a schema."""
    found: list[str] = []
    for table in _tables(schema):
        found += [table["pattern"]] if isinstance(table.get("pattern"), str) else []
        found += table["patternProperties"] if isinstance(table.get("patternProperties"), Mapping) else []
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

    return json.loads(composed(text)[0], parse_constant=constant, object_pairs_hook=members)


def _meant(schema: Any) -> Any:
    """The schema with every listed property required where it does not say which are: `{}` would pass it otherwise."""
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
            made[name] = _meant(made[name])
    if isinstance(made.get("properties"), Mapping) and "required" not in made:
        made["required"] = list(made["properties"])
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

    extend: Any = jsonschema.validators.extend
    return extend(kind, {"pattern": pattern, "patternProperties": pattern_properties})


def _found(pattern: str, text: str) -> bool:
    try:
        return bool(find(pattern, text))
    except PatternError as error:
        raise CannotJudge(f"the schema's pattern {pattern!r} cannot be read: {error}") from error
