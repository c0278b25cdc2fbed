"""Operators: what holds, what does not, and what the record says about it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.calls.events import Finished, FinishReason, GenerationResult, Timing, ToolCall, Usage
from core.calls.requests import Tool
from core.golden.checks import Answer, Call, check, final_answer, holds
from core.golden.expressions import (
    CLEAN_FINISH,
    AllOf,
    AnyOf,
    Expression,
    ExpressionError,
    Not,
    NotEmpty,
    Word,
    describe,
    implied,
    leaves,
    parse_expression,
    to_json,
)

WEATHER = Call("get_weather", {"location": "Tokyo", "days": 1})


def passes(expectation: Any, text: str, **more: Any) -> bool:
    return all(item.passed for item in check(parse_expression(expectation), Answer(text, **more)))


@pytest.mark.parametrize(
    ("expectation", "good", "bad"),
    [
        ("red", "A red square", "a blue-colored circle"),
        (["red", "square"], "A red circle", "A blue circle"),
        ({"any": ["red", "square"]}, "A square", "A circle"),
        ({"all": ["red", ["square", "rectangle"]]}, "a RED rectangle", "a red circle"),
        ({"not": "sorry"}, "Here you are", "I am sorry"),
        ({"regex": r"\b\d{3}\b"}, "It is 123.", "It is 12."),
        ({"regex": ["(?i)paris", "lyon"]}, "PARIS", "Lyon"),
        ({"equals": "Paris"}, "  Paris\n", "Paris."),
        ({"exact": "MLX"}, "Hello MLX", "hello mlx"),
        ({"exact": ["Hello", "MLX"]}, "Hello", "hello mlx"),
        ({"not_empty": True}, "x", " \n"),
        ({"all": ["red"], "not": "blue"}, "red", "red and blue"),
    ],
)
def test_an_operator_tells_good_from_bad(expectation: Any, good: str, bad: str) -> None:
    assert passes(expectation, good)
    assert not passes(expectation, bad)


def test_a_schema_checks_the_json_of_the_answer_with_and_without_a_fence() -> None:
    expectation = {"json_schema": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}}
    assert passes(expectation, '{"city": "Paris"}')
    assert passes(expectation, '\n```json\n{"city": "Paris"}\n```\n')
    for bad in ('{"city": 3}', "{}", "Paris", '```\n["Paris"]\n```'):
        assert not passes(expectation, bad)


def test_a_schema_that_points_elsewhere_fails_without_being_fetched() -> None:
    found = check(parse_expression({"json_schema": {"$ref": "http://127.0.0.1:9/schema.json"}}), Answer("{}"))
    assert not found[0].passed
    assert "which is not in it" in found[0].failed[0]


@pytest.mark.parametrize(
    ("tool", "calls", "holds"),
    [
        ("get_weather", (WEATHER,), True),
        ({"name": "get_weather", "args": {"location": "Tokyo"}}, (WEATHER,), True),
        ({"name": "get_weather", "args": {"days": 1.0}}, (WEATHER,), True),
        ({"name": "get_weather", "args": {"days": True}}, (WEATHER,), False),
        ({"name": "get_weather", "args": {"location": "tokyo"}}, (WEATHER,), False),
        ({"name": "get_weather", "args": {"unit": "C"}}, (WEATHER,), False),
        ("get_time", (WEATHER,), False),
        ("get_weather", (), False),
        ("get_weather", (Call("get_time", {}), WEATHER), False),
        ({"name": "get_weather", "only": False}, (Call("get_time", {}), WEATHER), True),
        ("get_weather", (WEATHER, WEATHER), False),
        ({"name": "get_weather", "only": False}, (WEATHER, WEATHER), True),
        ({"name": "get_weather", "args": {"location": "Tokyo"}}, (WEATHER, Call("get_weather", {})), False),
        ({"name": "get_weather", "args": {"location": "Tokyo"}}, (Call("get_weather", None),), False),
    ],
)
def test_a_tool_expectation_reads_the_parsed_arguments(tool: Any, calls: tuple[Call, ...], holds: bool) -> None:
    assert passes({"tool": tool}, "", finish=FinishReason.TOOL_CALLS, calls=calls) is holds


def test_text_that_looks_like_a_call_is_not_one() -> None:
    assert not passes({"tool": "get_weather"}, 'get_weather({"location": "Tokyo"})')


def test_an_answer_cut_short_never_passes_unless_that_is_expected() -> None:
    assert not passes("red", "a red", finish=FinishReason.LENGTH)
    assert not passes({"not": "sorry"}, "", finish=FinishReason.LENGTH)
    assert passes({"all": ["red"], "finish": "length"}, "a red", finish=FinishReason.LENGTH)
    assert not passes({"finish": "length"}, "a red", finish=FinishReason.STOP)


def test_thinking_does_not_satisfy_a_check() -> None:
    result = GenerationResult(text="<think>It is red.</think>It is blue.", thinking="red, surely")
    result.finished = Finished(FinishReason.STOP, Usage(), Timing())
    assert not holds(parse_expression("red"), Answer.of(result))
    assert holds(parse_expression("blue"), Answer.of(result))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("plain", "plain"),
        ("<think>a</think>b<think>c</think>d", "bd"),
        ("never opened</think>b", "b"),
        ("b<think>never closed", "b"),
        ("<think>\n\n</think>\n\nParis", "\n\nParis"),
    ],
)
def test_the_final_answer_holds_no_thinking(text: str, answer: str) -> None:
    assert final_answer(text) == answer


def test_an_answer_takes_its_calls_with_parsed_arguments() -> None:
    result = GenerationResult(tool_calls=[ToolCall("1", "f", '{"a": 1}'), ToolCall("2", "g", "[broken")])
    result.finished = Finished(FinishReason.TOOL_CALLS, Usage(), Timing())
    assert Answer.of(result).calls == (Call("f", {"a": 1}), Call("g", None))


def test_the_record_says_what_hit_and_where() -> None:
    (found, answered, finish, _) = check(
        parse_expression({"all": ["red", ["square", "rectangle"]]}), Answer("A red square.")
    )
    assert [(hit.text, hit.start, hit.end) for hit in found.hits] == [("red", 2, 5), ("square", 6, 12)]
    assert found.expr == {"all": ["red", ["square", "rectangle"]]}
    assert found.failed == ()
    assert (answered.name, answered.expr) == ("answered", {"answered": True})
    assert finish.expr == {"finish": ["stop", "tool_calls"]}


def test_the_record_says_what_was_missing_or_in_the_way() -> None:
    found, *_ = check(
        parse_expression({"all": ["red", ["square", "box"]], "not": "blue"}), Answer("A red, blue circle")
    )
    assert found.failed == ('no word "square"', 'no word "box"', "blue is there at 7")
    assert [hit.text for hit in found.hits] == ["red"]


@pytest.mark.parametrize(
    ("value", "says", "path"),
    [
        ("", "empty text", ()),
        ([], "at least one", ()),
        ({}, "expects nothing", ()),
        (3, "a string, a list or a table", ()),
        ({"al": ["red"]}, 'did you mean "all"?', ()),
        ({"all": ["red", {"regexp": "x"}]}, 'did you mean "regex"?', ("all", 1)),
        ({"regex": "("}, "cannot be read", ("regex",)),
        ({"finish": "done"}, "finish is one of", ("finish",)),
        ({"tool": {"nam": "x"}}, 'did you mean "name"?', ("tool", "nam")),
        ({"tool": {"args": {}}}, "needs the tool's name", ("tool",)),
        ({"json_schema": {"type": "objekt"}}, "no JSON schema", ("json_schema",)),
        ({"exact": [3]}, "Text is expected", ("exact", 0)),
        ({"script": "1 == 1"}, "no operator", ()),
    ],
)
def test_a_wrong_expectation_is_refused_with_its_place(value: Any, says: str, path: tuple[str | int, ...]) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(value)
    assert says in caught.value.message
    assert caught.value.path[: len(path)] == path


texts = st.sampled_from(["red", "blue", "Hello", "a b", "4"])
json_values = st.one_of(st.booleans(), st.integers(-3, 3), texts, st.lists(texts, max_size=2))
leaf_values = st.one_of(
    texts,
    st.builds(lambda text: {"exact": text}, texts),
    st.builds(lambda text: {"equals": text}, texts),
    st.builds(lambda text: {"regex": text}, st.sampled_from(["r.d", "^b", r"\d"])),
    st.builds(lambda args: {"tool": {"name": "f", "args": args}}, st.dictionaries(texts, json_values, max_size=2)),
    st.just({"not_empty": True}),
    st.just({"finish": ["length"]}),
)
expectations = st.recursive(
    leaf_values,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3),
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=6,
)
answers = st.builds(
    Answer,
    st.lists(st.sampled_from(["red", "blue", "Hello", "a", "b", "4", "."]), max_size=5).map(" ".join),
    st.sampled_from([FinishReason.STOP, FinishReason.LENGTH, FinishReason.TOOL_CALLS]),
    st.lists(st.builds(Call, st.just("f"), st.dictionaries(texts, json_values, max_size=2)), max_size=2).map(tuple),
)


@given(expectations)
def test_what_is_recorded_reads_back_as_the_same_expectation(value: Any) -> None:
    expression = parse_expression(value)
    assert parse_expression(to_json(expression)) == expression
    assert describe(expression)


@given(expectations, answers)
def test_not_is_the_opposite(value: Any, answer: Answer) -> None:
    expression = parse_expression(value)
    assert holds(Not(expression), answer) is not holds(expression, answer)


@given(st.lists(expectations, min_size=1, max_size=3), answers)
def test_all_is_every_part_and_any_is_some_part(values: list[Any], answer: Answer) -> None:
    parts: tuple[Expression, ...] = tuple(map(parse_expression, values))
    each = [holds(part, answer) for part in parts]
    assert holds(AllOf(parts), answer) is all(each)
    assert holds(AnyOf(parts), answer) is any(each)


@given(expectations, answers)
def test_hits_point_at_the_answer_and_failures_are_explained(value: Any, answer: Answer) -> None:
    expression = parse_expression(value)
    for item in check(expression, answer):
        assert bool(item.failed) is not item.passed
        for hit in item.hits:
            assert 0 <= hit.start <= hit.end <= len(answer.text)


@given(expectations, answers)
def test_only_an_expectation_that_speaks_of_it_lets_a_cut_or_empty_answer_pass(value: Any, answer: Answer) -> None:
    expression = parse_expression(value)
    passed = all(item.passed for item in check(expression, answer))
    asked = implied(expression)
    if passed and asked["finish"] == CLEAN_FINISH:
        assert answer.finish is not FinishReason.LENGTH
    if passed and not any(isinstance(leaf, NotEmpty) for leaf in leaves(expression)):
        assert answer.text.strip() or answer.calls


@pytest.mark.parametrize("expectation", [{"not": "paris"}, {"not": {"tool": "f"}}, {"finish": "stop"}])
def test_nothing_said_is_no_pass(expectation: Any) -> None:
    assert not passes(expectation, " \n")
    assert passes(expectation, "Rome")


def test_emptiness_passes_where_it_is_expected() -> None:
    assert passes({"not": {"not_empty": True}}, "")
    assert not passes({"not": {"not_empty": True}}, "x")


def test_a_reason_that_nobody_knows_is_no_clean_end() -> None:
    answer = Answer("A red square", FinishReason.OTHER, said="content_filter")
    (failed,) = [item for item in check(parse_expression("red"), answer) if not item.passed]
    assert failed.failed == ("finish is content_filter, not stop or tool_calls",)
    for speaks in ({"all": ["red"], "not": {"finish": "length"}}, ["red", {"finish": "length"}]):
        assert not passes(speaks, "A red square", finish=FinishReason.OTHER, said="content_filter")


def test_an_end_with_calls_needs_a_call() -> None:
    assert not passes("paris", "Paris", finish=FinishReason.TOOL_CALLS)


@pytest.mark.parametrize("expectation", ["paris", {"not": "london"}, {"not_empty": True}])
def test_a_call_that_nothing_asks_for_is_no_pass(expectation: Any) -> None:
    assert not passes(expectation, "Paris", finish=FinishReason.TOOL_CALLS, calls=(Call("rm_rf", {}),))


STRICT = Tool(
    "get_weather",
    "",
    {
        "type": "object",
        "required": ["location"],
        "properties": {
            "location": {"type": "string"},
            "unit": {"enum": ["celsius", "fahrenheit"]},
            "more": {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
        },
    },
)


@pytest.mark.parametrize(
    ("arguments", "good"),
    [
        ({"location": "Tokyo"}, True),
        ({"location": "Tokyo", "unit": "celsius", "more": {}}, True),
        ({}, False),
        ({"location": "Tokyo", "unit": "kelvin"}, False),
        ({"location": "Tokyo", "more": {"b": 1}}, False),
    ],
)
def test_a_call_must_be_one_that_its_tool_takes(arguments: dict[str, Any], good: bool) -> None:
    answer = Answer("", FinishReason.TOOL_CALLS, (Call("get_weather", arguments),))
    found = check(parse_expression({"tool": "get_weather"}), answer, (STRICT,))
    assert all(item.passed for item in found) is good


TAKES_LOCATION = Tool("get_weather", "", {"type": "object", "properties": {"location": {"type": "string"}}})


def test_an_argument_that_the_tool_does_not_take_is_no_pass() -> None:
    answer = Answer("", FinishReason.TOOL_CALLS, (WEATHER,))
    found = check(parse_expression({"tool": "get_weather"}), answer, (TAKES_LOCATION,))
    assert [item.failed for item in found if not item.passed] == [
        ("get_weather was called with what it does not take: it has no days",)
    ]
    loose = parse_expression({"tool": {"name": "get_weather", "only": False}})
    assert all(item.passed for item in check(loose, answer, (TAKES_LOCATION,)))


def test_every_call_that_is_needed_may_come() -> None:
    both = {"all": [{"tool": "get_weather"}, {"tool": "get_time"}]}
    time = Call("get_time", {})
    assert passes(both, "", finish=FinishReason.TOOL_CALLS, calls=(WEATHER, time))
    assert not passes(both, "", finish=FinishReason.TOOL_CALLS, calls=(WEATHER, time, Call("other", {})))
    assert not passes({"any": both["all"]}, "", finish=FinishReason.TOOL_CALLS, calls=(WEATHER, time))


CITY = {"type": "object", "properties": {"city": {"type": "string"}, "founded": {"type": "number"}}}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "number"}, "NaN"),
        ({"type": "number"}, "-Infinity"),
        (CITY, "{}"),
        (CITY, '{"city": "Rome"}'),
        ({"type": "array", "items": CITY}, "[{}]"),
        (CITY, '{"city": "Rome", "city": "Oslo", "founded": 1}'),
        ({"type": "string", "format": "date"}, '"yesterday"'),
        ({"type": "string", "format": "date-time"}, '"2026-11-28"'),
        ({"type": "string", "format": "uri"}, '"no address"'),
        ({"type": "string", "format": "email"}, '"nobody"'),
        ({"const": 1}, "[" * 5000 + "]" * 5000),
        ({"properties": {"city": {"type": "string"}}}, "42"),
        ({"properties": {"city": {"type": "string"}}}, "null"),
        ({"type": "array", "contains": CITY}, "[{}]"),
        ({"type": "number"}, "1e999"),
        ({"type": "string", "format": "email"}, '"@"'),
        ({"type": "object", "additionalProperties": False, "properties": {}}, '{"a": 1}'),
        ({"type": "object", "additionalProperties": {"type": "string"}}, '{"a": 1}'),
    ],
)
def test_json_is_read_strictly(schema: Any, text: str) -> None:
    assert not passes({"json_schema": schema}, text)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (CITY, '{"city": "Rome", "founded": -753}'),
        (CITY | {"required": []}, "{}"),
        ({"type": "string", "format": "date-time"}, '"2026-11-28T12:00:00Z"'),
        ({"const": "caf\u00e9"}, '"cafe\u0301"'),
        ({"not": {"properties": {"a": {"const": 1}}}}, '{"a": 1}'),
    ],
)
def test_a_schema_means_what_it_says(schema: Any, text: str) -> None:
    assert passes({"json_schema": schema}, text) is (schema != {"not": {"properties": {"a": {"const": 1}}}})


@pytest.mark.parametrize(
    ("expectation", "text", "says"),
    [
        ({"regex": "^(a|aa)+$"}, "a" * 60 + "!", "was given up after"),
        ({"json_schema": {"type": "string", "pattern": "^(a|aa)+$"}}, f'"{"a" * 60}!"', "was given up after"),
        (
            {"json_schema": {"additionalProperties": False, "patternProperties": {"^(a|aa)+$": {"type": "integer"}}}},
            f'{{"{"a" * 60}!": 1}}',
            "was given up after",
        ),
        ({"json_schema": {"$ref": "#"}}, "1", "refers to itself without end"),
        ({"json_schema": {"$ref": "#/$defs/x"}}, "1", "is not in it"),
    ],
)
def test_what_cannot_be_found_out_fails_and_so_does_its_opposite(
    expectation: Any, text: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.golden.patterns.LIMIT_S", 0.1)
    for asked in (expectation, {"not": expectation}):
        (failed,) = [item for item in check(parse_expression(asked), Answer(text)) if not item.passed]
        assert says in failed.failed[0]


UNKNOWN = {"judge": {"model": "m", "rubric": "It is polite."}}


@pytest.mark.parametrize(
    ("expectation", "held"),
    [
        (["red", UNKNOWN], True),
        ([UNKNOWN, "red"], True),
        (["blue", UNKNOWN], False),
        ({"not": {"all": ["blue", UNKNOWN]}}, True),
        ({"not": ["blue", UNKNOWN]}, False),
        ({"all": ["red", UNKNOWN]}, False),
        ({"all": [["red", UNKNOWN], "red"]}, True),
    ],
)
def test_what_cannot_be_found_out_counts_only_where_the_rest_does_not_decide(expectation: Any, held: bool) -> None:
    found = check(parse_expression(expectation), Answer("a red square"))[0]
    assert (found.passed, found.graded) == (held, found.graded and not held)
    if not held:
        assert "not graded" in found.failed[0]


def test_what_fails_beside_something_that_cannot_be_found_out_is_named() -> None:
    (found, *_) = check(parse_expression({"all": ["blue", UNKNOWN]}), Answer("a red square"))
    assert found.failed == ('no word "blue"',)


@pytest.mark.parametrize("expectation", [{"equals": "Caf\u00e9"}, {"regex": "^Caf\u00e9$"}, {"regex": "Caf.$"}])
def test_how_accents_are_encoded_matters_nowhere(expectation: Any) -> None:
    assert passes(expectation, "Cafe\u0301")
    found, *_ = check(parse_expression(expectation), Answer("Cafe\u0301"))
    assert [(hit.start, hit.end) for hit in found.hits] == [(0, 5)]


def test_a_word_is_the_plainest_expectation() -> None:
    assert parse_expression("red") == Word("red")
