"""Schemas as people send them: what is closed, what is only noted, and what is refused with words to go on from."""

from __future__ import annotations

from typing import Any

import pytest

from core.calls.json_schemas import IDLE, MAX_PATTERNS, REFUSED, moved, prepare_parameters, prepare_schema
from core.errors import InvalidRequest

TEXT = {"type": "string"}


def prepared(schema: dict[str, Any]) -> dict[str, Any]:
    return prepare_schema(schema, "The schema", "response_format").schema


@pytest.mark.parametrize("keyword", REFUSED)
def test_what_cannot_be_held_is_refused_with_its_place_and_what_to_do(keyword: str) -> None:
    schema = {"type": "object", "properties": {"a/b": {"type": "array", "items": {keyword: {"const": 1}}}}}
    with pytest.raises(InvalidRequest) as caught:
        prepare_schema(schema, "The schema of the tool x", "tools")
    said = caught.value.message
    assert said.startswith(
        f"The schema of the tool x has {keyword!r} at /properties/a~1b/items/{keyword}, ".replace("$", "$")
    )
    assert said.endswith(f"{REFUSED[keyword]}.")
    assert caught.value.param == "tools"


@pytest.mark.parametrize(("keyword", "value"), IDLE.items())
def test_what_demands_nothing_is_left_out(keyword: str, value: Any) -> None:
    assert prepared({"type": "array", keyword: value}) == {"type": "array"}


def test_a_property_may_be_called_like_a_keyword() -> None:
    schema = {"type": "object", "properties": {"not": TEXT, "if": TEXT, "format": TEXT}, "additionalProperties": True}
    assert prepared(schema) == schema


def test_values_are_no_schemas() -> None:
    schema = {"enum": [{"not": 1, "format": "x"}], "default": {"uniqueItems": True}, "const": {"properties": {}}}
    assert prepared(schema) == schema


@pytest.mark.parametrize("name", ["password", "byte", "iri", "json-pointer", "made-up"])
def test_an_unknown_format_is_noted(name: str) -> None:
    found = prepare_schema({"properties": {"p": {**TEXT, "format": name}}}, "The schema", "response_format")
    assert found.schema["properties"]["p"] == TEXT
    assert found.notes == [f"The schema: the format {name!r} at /properties/p/format is not held, only noted"]


def test_formats_that_are_held_stay_and_those_of_numbers_are_noted() -> None:
    assert prepared({**TEXT, "format": "date-time"}) == {**TEXT, "format": "date-time"}
    found = prepare_schema({"type": "integer", "format": "int32"}, "The schema", "response_format")
    assert found.schema == {"type": "integer"}
    assert found.notes == ["The schema: the format 'int32' at /format is not held, only noted"]


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [("^(?=a)b", "look-around"), ("(", "unclosed group"), (r"(a)\1", "backreferences"), ("[z-a]", "class range")],
)
def test_a_pattern_that_cannot_be_held_is_refused_with_its_place(pattern: str, fault: str) -> None:
    place = {"a/b": {"items": {**TEXT, "pattern": pattern}}}
    with pytest.raises(InvalidRequest) as caught:
        prepare_parameters("x", {"properties": place})
    said = caught.value.message
    assert said.startswith(
        f"The schema of the tool x has at /properties/a~1b/items/pattern the pattern {pattern!r}, which cannot be held"
    )
    assert fault in said
    assert "\n" not in said
    assert said.endswith(". Write it in another way, or leave it out.")
    with pytest.raises(InvalidRequest, match="at /patternProperties the pattern"):
        prepared({"patternProperties": {pattern: TEXT}})
    assert prepared({**TEXT, "pattern": "^[a-z]{3}$"}) == {**TEXT, "pattern": "^[a-z]{3}$"}


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": TEXT}, "additionalProperties": True},
        {"properties": {"a": TEXT}, "additionalProperties": TEXT},
        {"properties": {"a": TEXT}, "patternProperties": {"^x": TEXT}},
        {"properties": {"a": TEXT}, "required": ["b"]},
        {"properties": {"a": TEXT}, "anyOf": [{"required": ["a"]}]},
        {"allOf": [{"properties": {"a": TEXT}}, {"properties": {"b": TEXT}, "additionalProperties": True}]},
        {"allOf": [{"properties": {"a": TEXT}}, {"anyOf": [{"properties": {"b": TEXT}}, {"properties": {"c": TEXT}}]}]},
        {"allOf": [{"properties": {"a": TEXT}}, {"required": ["b"]}]},
        {"allOf": [{"properties": {"a": TEXT}}], "anyOf": [{"properties": {"b": TEXT}}]},
        {"allOf": [{"$ref": "#/nowhere"}, {"properties": {"b": TEXT}}]},
        {"allOf": [{"$ref": "#"}, {"properties": {"b": TEXT}}]},
        {"allOf": [TEXT, {"maxLength": 3}]},
        {"type": "object"},
    ],
)
def test_an_object_of_which_more_is_said_stays_open(schema: dict[str, Any]) -> None:
    assert prepared(schema) == schema


def test_an_object_that_lists_its_properties_is_closed_wherever_it_is() -> None:
    one = {"properties": {"a": TEXT}}
    closed = {**one, "additionalProperties": False}
    assert prepared(one) == closed
    schema = {"items": one, "prefixItems": [one], "anyOf": [one, TEXT], "$defs": {"x": one}}
    assert prepared(schema) == {
        "items": closed,
        "prefixItems": [closed],
        "anyOf": [closed, TEXT],
        "$defs": {"x": closed},
    }
    assert prepared({"allOf": [one], "description": "x"}) == {"allOf": [closed], "description": "x"}


def test_of_several_schemas_that_describe_an_object_the_whole_is_closed() -> None:
    one, two = {"properties": {"a": TEXT}, "required": ["a"]}, {"properties": {"b": {"properties": {"c": TEXT}}}}
    inner = {"properties": {"b": {"properties": {"c": TEXT}, "additionalProperties": False}}}
    closed = {"properties": {"a": {}, "b": {}}, "additionalProperties": False}
    assert prepared({"allOf": [one, two]}) == {"allOf": [one, inner], **closed}
    assert prepared({"properties": {"d": TEXT}, "allOf": [one, two], "required": ["a", "d"]}) == {
        "properties": {"d": TEXT, "a": {}, "b": {}},
        "allOf": [one, inner],
        "required": ["a", "d"],
        "additionalProperties": False,
    }
    defined = {"$defs": {"one": one, "two": {"allOf": [{"$ref": "#/$defs/one"}, two]}}}
    assert prepared({"items": {"$ref": "#/$defs/one"}, **defined}) == {
        "items": {"$ref": "#/$defs/one", "properties": {"a": {}}, "additionalProperties": False},
        "$defs": {"one": one, "two": {"allOf": [{"$ref": "#/$defs/one"}, inner], **closed}},
    }
    assert prepared({"$ref": "#/$defs/one", "properties": {"e": TEXT}, "$defs": {"one": one}}) == {
        "$ref": "#/$defs/one",
        "properties": {"e": TEXT, "a": {}},
        "additionalProperties": False,
        "$defs": {"one": one},
    }


def test_schemas_that_hold_one_another_over_and_over_are_read_once() -> None:
    levels = {str(level): {"allOf": [{"$ref": f"#/$defs/{level + 1}"}] * 2} for level in range(60)}
    schema = prepared({"$ref": "#/$defs/0", "$defs": {**levels, "60": {"properties": {"a": TEXT}}}, "required": ["a"]})
    assert schema["properties"] == {"a": {}}


@pytest.mark.parametrize("wrong", [5, {"a": 1}, "a", [["a"]], None])
def test_what_is_no_schema_is_left_to_the_grammar(wrong: Any) -> None:
    for name in ("required", "allOf", "properties", "$ref", "pattern", "patternProperties", "format"):
        prepare_schema({"allOf": [{"properties": {"a": TEXT}}, {name: wrong}]}, "The schema", "response_format")
        prepare_schema({"properties": {"a": TEXT}, name: wrong}, "The schema", "response_format")


@pytest.mark.parametrize("parameters", [{}, {"type": "object"}, {"type": "object", "description": "None."}])
def test_a_tool_of_whose_arguments_nothing_is_said_has_none(parameters: dict[str, Any]) -> None:
    assert prepare_parameters("x", parameters).schema["additionalProperties"] is False
    assert prepare_parameters("x", {"type": "object", "additionalProperties": TEXT}).schema == {
        "type": "object",
        "additionalProperties": TEXT,
    }


def test_references_follow_a_schema_that_is_moved() -> None:
    schema = {"$ref": "#/$defs/a", "items": [{"$ref": "#"}], "const": {"$ref": "#/x"}, "else": {"$ref": "http://x"}}
    assert moved(schema, "#/$defs/7") == {
        "$ref": "#/$defs/7/$defs/a",
        "items": [{"$ref": "#/$defs/7"}],
        "const": {"$ref": "#/x"},
        "else": {"$ref": "http://x"},
    }


def test_names_by_patterns_are_counted_over_the_whole_schema() -> None:
    inner = {"patternProperties": {f"^a{place}$": {} for place in range(MAX_PATTERNS // 2)}}
    assert prepare_schema({"properties": {"a": inner, "b": inner}}, "The schema", "tools").schema
    with pytest.raises(InvalidRequest, match=f"more than {MAX_PATTERNS} names in patternProperties"):
        prepare_schema({"properties": {"a": inner, "b": inner, "c": inner}}, "The schema", "tools")
