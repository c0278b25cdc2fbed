"""Schemas over tokens, driven by hand: what may come next, from when on, and how often."""

from __future__ import annotations

from typing import Any

import llguidance.hf
import mlx.core as mx
import numpy as np
import pytest

from core.calls.json_schemas import prepare_schema
from core.mlx.decoding.constraint import JsonConstraint
from core.mlx.models.loading import LoadedWeights

SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["Oslo"]}},
    "required": ["city"],
    "additionalProperties": False,
}
VALUE = '{"city": "Oslo"}'


class Bench:
    """A constraint, and the tokens that it has let pass."""

    def __init__(self, weights: LoadedWeights, **options: Any) -> None:
        self.tokenizer = weights.tokenizer
        self.width = weights.vocabulary
        made = llguidance.hf.from_tokenizer(weights.tokenizer._tokenizer)
        self.constraint = JsonConstraint(made, options.pop("schema", SCHEMA), **options)
        self.tokens = [0]

    def tokens_of(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def allows(self, text: str) -> bool:
        """Whether the first token of `text` may come; it comes, and the rest behind it, if each may."""
        for token in self.tokens_of(text):
            allowed = self.constraint(mx.array(self.tokens), mx.zeros((1, self.width)))
            if not np.isfinite(np.array(allowed)[0, token]):
                return False
            self.tokens.append(token)
        return True


@pytest.fixture
def marker(weights: LoadedWeights) -> int:
    (token,) = weights.tokenizer.encode("<tool_call>", add_special_tokens=False)
    return int(token)


def test_a_value_is_held_from_its_first_token(weights: LoadedWeights) -> None:
    assert not Bench(weights).allows("Oslo")
    assert not Bench(weights).allows('{"town')
    assert Bench(weights).allows(VALUE)
    done = Bench(weights)
    assert done.allows(VALUE)
    assert not done.allows("more")


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"$ref": "#/$defs/one"}, {"properties": {"b": {"type": "integer"}}}]},
        {"$ref": "#/$defs/one", "properties": {"b": {"type": "integer"}}},
    ],
)
def test_an_object_that_two_schemas_describe_gets_the_names_of_both_and_no_others(
    weights: LoadedWeights, schema: dict[str, Any]
) -> None:
    one = {"properties": {"a": {"enum": ["x"]}}, "required": ["a"]}
    both = prepare_schema({"type": "object", **schema, "$defs": {"one": one}}, "It", "response_format").schema
    for text, right in (('{"a": "x"}', True), ('{"a": "y"', False), ('{"a": "x", "c', False)):
        assert Bench(weights, schema=both).allows(text) == right, text
    assert any(Bench(weights, schema=both).allows(text) for text in ('{"a": "x", "b": 1}', '{"b": 1, "a": "x"}'))


def test_everything_may_come_before_what_is_waited_for(weights: LoadedWeights, marker: int) -> None:
    bench = Bench(weights, wait_for=marker)
    assert bench.allows("Whatever comes before it.")
    assert bench.allows("<tool_call>")
    assert not bench.allows("Whatever")


def test_what_stands_behind_the_marker_is_held_and_all_between_is_free(weights: LoadedWeights, marker: int) -> None:
    bench = Bench(weights, wait_for=marker, open_end=True, again=True)
    assert bench.allows("Let me look.")
    assert bench.allows(f"<tool_call>\n{VALUE}")
    assert bench.allows("\n</tool_call>\nAnd now?")
    assert bench.allows("<tool_call>\n")
    assert not bench.allows('{"city": "Rome"}')


def test_without_again_it_is_free_for_good(weights: LoadedWeights) -> None:
    bench = Bench(weights, open_end=True)
    assert bench.allows(VALUE)
    assert bench.allows("\n</tool_call>")
    assert bench.allows('<tool_call>{"town": 1}')


def test_a_second_call_is_held_as_the_first(weights: LoadedWeights, marker: int) -> None:
    bench = Bench(weights, wait_for=marker, open_end=True, again=True)
    for _ in range(3):
        assert bench.allows(f"<tool_call>\n{VALUE}\n</tool_call>\n")
    assert bench.allows("<tool_call>")
    assert not bench.allows("Oslo")
