"""Whatever the engine says, however it is cut, the events of a response are OpenAI's, whole and in order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.calls.events import (
    Event,
    Finished,
    FinishReason,
    Prefill,
    TextDelta,
    ThinkingDelta,
    Timing,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from core.errors import ContextOverflow, EngineError, GenerationFailed, InvalidImage, QueueFull, RequestCancelled
from server.errors import from_engine
from server.frames import PINGS_TO_AN_EVENT, Frame
from server.openai.responses.encode import ResponseStream
from server.openai.responses.items import InputItem, listed, turns
from server.openai.responses.schema import ResponsesRequest
from tests.server.response_streams import check_body, check_response, said
from tests.server.streams import encoded, heard
from tests.server.test_streams_hold import END, EVENTS, texts

FEW = settings(deadline=None, max_examples=50)
"""Every event is held against a model of some hundred classes, which are built when the first comes."""

FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "reasoning": st.sampled_from(
            [{"summary": "auto"}, {"effort": "low"}, {"effort": "none", "summary": "detailed"}]
        ),
        "include": st.lists(
            st.sampled_from(["reasoning.encrypted_content", "message.output_text.logprobs"]), unique=True
        ),
        "instructions": st.text(max_size=5),
        "metadata": st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
        "temperature": st.floats(0, 2),
        "parallel_tool_calls": st.booleans(),
        "text": st.sampled_from([{"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}}}]),
        "tools": st.just([{"type": "function", "name": "f", "parameters": {"type": "object"}}]),
        "tool_choice": st.sampled_from(
            ["required", {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}]
        ),
    },
)


def request(**fields: Any) -> ResponsesRequest:
    return ResponsesRequest.model_validate({"model": "m", "input": "Hi"} | fields)


def stream_of(kept: list[dict[str, Any]], **fields: Any) -> ResponseStream:
    return ResponseStream(request(**fields), "m", kept.append)


def fed(stream: ResponseStream, events: list[Event]) -> list[Frame]:
    return [frame for event in events for frame in stream.feed(event)]


def thoughts(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, ThinkingDelta))


def of_kind(response: dict[str, Any], kind: str) -> list[str]:
    return [said(item) for item in response["output"] if item["type"] == kind]


@given(EVENTS, END, FIELDS)
@FEW
def test_a_stream_is_whole_and_in_order(events: list[Event], end: Finished, fields: dict[str, Any]) -> None:
    kept: list[dict[str, Any]] = []
    stream = stream_of(kept, **fields)
    response = check_response(encoded([*fed(stream, [*events, end, TextDelta("late")]), *stream.close()]))
    assert "".join(of_kind(response, "message")) == texts(events)
    assert "".join(of_kind(response, "reasoning")) == thoughts(events)
    assert len(of_kind(response, "function_call")) == sum(isinstance(event, ToolCallStart) for event in events)
    assert response["status"] == ("incomplete" if end.reason is FinishReason.LENGTH else "completed")
    assert response["usage"]["output_tokens"] == end.usage.completion_tokens
    assert kept == [response]


SAID = st.lists(
    st.tuples(st.sampled_from(["thinking", "text", "call"]), st.lists(st.text(min_size=1, max_size=9), min_size=1)),
    max_size=5,
)
"""An answer in pieces: what is said, and how it is cut."""


def played(answer: list[tuple[str, list[str]]], *, joined: bool) -> list[Event]:
    """The engine's events for an answer, in its pieces, or each kind in one."""
    found: list[Event] = []
    calls = 0
    for kind, pieces in answer:
        cut = ["".join(pieces)] if joined else pieces
        if kind == "call":
            found.append(ToolCallStart(calls, f"call_{calls}", "f"))
            found += [ToolCallDelta(calls, piece) for piece in cut]
            calls += 1
        else:
            found += [(ThinkingDelta if kind == "thinking" else TextDelta)(piece) for piece in cut]
    return [*found, Finished(FinishReason.STOP, Usage(9, 9), Timing())]


@given(SAID, FIELDS)
@FEW
def test_items_depend_neither_on_the_pieces_nor_on_streaming(
    answer: list[tuple[str, list[str]]], fields: dict[str, Any]
) -> None:
    found = []
    for joined in (True, False):
        stream = stream_of([], **fields)
        events = played(answer, joined=joined)
        found.append(check_response(encoded([*fed(stream, events), *stream.close()])))
    waiting = stream_of([], **fields)
    result = waiting.collector()
    for event in played(answer, joined=False):
        result.add(event)
    found.append(waiting.whole())
    check_body(found[-1])
    assert result.text == "".join(of_kind(found[-1], "message"))
    assert _without_ids(found[0]) == _without_ids(found[1]) == _without_ids(found[2])


def _without_ids(response: dict[str, Any]) -> dict[str, Any]:
    output = [{name: value for name, value in item.items() if name != "id"} for item in response["output"]]
    return response | {"output": output, "id": "", "created_at": 0, "completed_at": 0}


FAILURES: list[tuple[EngineError, str, str]] = [
    (GenerationFailed("It broke."), "failed", "server_error"),
    (QueueFull("Too many."), "failed", "rate_limit_exceeded"),
    (InvalidImage("No image."), "failed", "invalid_image"),
    (ContextOverflow("Too long.", 9, 5), "failed", "context_length_exceeded"),
    (RequestCancelled("Stopped."), "cancelled", "server_error"),
]


@pytest.mark.parametrize(("error", "status", "code"), FAILURES)
@given(EVENTS)
@FEW
def test_a_stream_that_fails_says_so_and_ends(error: EngineError, status: str, code: str, events: list[Event]) -> None:
    kept: list[dict[str, Any]] = []
    stream = stream_of(kept)
    told = from_engine(error, "req_1")
    frames = [*fed(stream, events), *stream.fail(told)]
    response = check_response(encoded(frames))
    assert (response["status"], response["error"]) == (status, {"code": code, "message": told.message})
    assert stream.feed(TextDelta("late")) == []
    assert kept == [response]


def test_a_failure_names_the_field_as_it_is_called_here() -> None:
    stream = stream_of([])
    told = from_engine(ContextOverflow("Long.", 9, 5), "req_1")
    *_, error, _ = encoded([*stream.feed(Prefill(0, 9)), *stream.fail(told)])
    assert error.data["param"] == "input"


def test_a_call_tells_its_arguments_as_they_come_and_one_without_any_has_an_empty_object() -> None:
    stream = stream_of([])
    events: list[Event] = [
        ThinkingDelta("Hm."),
        TextDelta("Let me look."),
        ToolCallStart(0, "call_a", "get_weather"),
        ToolCallDelta(0, '{"location":'),
        ToolCallDelta(0, ' "Oslo"}'),
        ToolCallStart(1, "call_b", "get_time"),
        Finished(FinishReason.TOOL_CALLS, Usage(9, 20, 4, 0, 3), Timing()),
    ]
    told = encoded([*fed(stream, events), *stream.close()])
    response = check_response(told)
    assert [item["type"] for item in response["output"]] == ["reasoning", "message", "function_call", "function_call"]
    assert of_kind(response, "function_call") == ['{"location": "Oslo"}', "{}"]
    assert [item.get("call_id") for item in response["output"][2:]] == ["call_a", "call_b"]
    deltas = [one.data["delta"] for one in told if one.event == "response.function_call_arguments.delta"]
    assert deltas == ['{"location":', ' "Oslo"}', "{}"]
    assert response["usage"] == {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 29,
    }


def test_a_call_of_a_function_in_a_namespace_has_both_names() -> None:
    function = {"type": "function", "name": "stop", "parameters": {"type": "object"}}
    space = {"type": "namespace", "name": "agents", "description": "Agents.", "tools": [function]}
    stream = stream_of([], tools=[space])
    events: list[Event] = [ToolCallStart(0, "c", "agents__stop"), ToolCallStart(1, "d", "stop"), END_CUT]
    response = check_response(encoded([*fed(stream, events), *stream.close()]))
    assert [(item["name"], item.get("namespace")) for item in response["output"]] == [
        ("stop", "agents"),
        ("stop", None),
    ]
    assert response["tools"] == [space]


def test_what_was_cut_is_incomplete() -> None:
    stream = stream_of([])
    events: list[Event] = [ToolCallStart(0, "c", "f"), ToolCallDelta(0, '{"a'), END_CUT]
    response = check_response(encoded([*fed(stream, events), *stream.close()]))
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert (response["output"][0]["status"], response["output"][0]["arguments"]) == ("incomplete", '{"a')


END_CUT = Finished(FinishReason.LENGTH, Usage(9, 9), Timing())


def test_logprobs_come_only_where_they_are_asked_for() -> None:
    scored = TextDelta("Hi", (TokenLogprob(1, "Hi", -0.5, (TokenLogprob(2, "Ho", -1.5),)),))
    for include in ([], ["message.output_text.logprobs"]):
        stream = stream_of([], include=include)
        response = check_response(encoded([*fed(stream, [scored, END_CUT]), *stream.close()]))
        (found,) = response["output"][0]["content"]
        assert [one["token"] for one in found["logprobs"]] == (["Hi"] if include else [])


def test_thinking_that_is_sent_back_sealed_is_read_again() -> None:
    stream = stream_of([], include=["reasoning.encrypted_content"])
    response = check_response(encoded([*fed(stream, [ThinkingDelta("Hm, 2+2 …"), END_CUT]), *stream.close()]))
    (item,) = response["output"]
    back = InputItem.model_validate(
        {"type": "reasoning", "summary": [], "encrypted_content": item["encrypted_content"]}
    )
    (turn,) = turns([("input[0]", back)], {}, [])
    assert [part.text for part in turn.parts] == ["Hm, 2+2 …"]  # type: ignore[union-attr]
    assert listed([back])[0]["id"].startswith("rs_")


def test_long_silence_is_filled_with_comments_and_now_and_then_an_event() -> None:
    stream = stream_of([])
    silence = [frame for _ in range(2 * PINGS_TO_AN_EVENT) for frame in stream.ping()]
    assert heard(b"".join(frame.encode() for frame in silence)) == []
    begun = stream.feed(Prefill(0, 9))
    pings = [frame for _ in range(PINGS_TO_AN_EVENT) for frame in stream.ping()]
    (alive,) = encoded(pings)
    assert alive.event == "response.in_progress"
    assert check_response(encoded([*begun, *pings, *fed(stream, [END_CUT]), *stream.close()]))["status"] == "incomplete"
