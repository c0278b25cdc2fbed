"""Whatever stands in a body, it is refused in a sentence, or what is repeated and listed of it is of OpenAI's types."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from core.calls.events import Event, Finished, FinishReason, TextDelta, ThinkingDelta, Timing, ToolCallStart, Usage
from core.errors import EngineError
from server.body import to_json
from server.openai.responses.conversation import gathered
from server.openai.responses.decode import decode_response
from server.openai.responses.encode import ResponseStream
from server.openai.responses.schema import ResponsesRequest
from server.openai.responses.store import ResponseStore
from tests.server.response_streams import check_body, check_page

BODY: dict[str, Any] = {
    "model": "m",
    "input": [
        {"role": "developer", "content": "x"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "t"}], "content": None},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "namespace": "n"},
        {"type": "function_call_output", "call_id": "c", "output": "x"},
        {"role": "assistant", "content": "y"},
    ],
    "instructions": "i",
    "metadata": {"a": "b"},
    "tools": [
        {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True},
        {"type": "namespace", "name": "n", "description": "d", "tools": [{"type": "function", "name": "f"}]},
        {"type": "web_search"},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    "text": {"format": {"type": "json_schema", "name": "a", "schema": {}}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["message.output_text.logprobs"],
    "max_output_tokens": 5,
    "temperature": 1,
    "previous_response_id": None,
    "truncation": "auto",
    "user": "u",
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    steps = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for step in steps:
        yield from places(value[step], (*path, step))


PLACES = [path for path in places(BODY) if path != ("reasoning", "effort")]
"""An effort is passed on whatever it is called: lists of them grow."""
OTHER: list[Any] = [None, "", 0, -1, True, [], {}, "x", [None], [[]], {"a": None}, {"type": "x"}, ["a"], 10**30]
EVENTS: list[Event] = [
    ThinkingDelta("a"),
    TextDelta("b"),
    ToolCallStart(0, "c", "n__f"),
    Finished(FinishReason.STOP, Usage(), Timing()),
]


@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from([..., *OTHER])), min_size=1, max_size=2))
@settings(deadline=None, max_examples=200)
def test_a_body_is_refused_in_a_sentence_or_answered_by_the_types(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    body = copy.deepcopy(BODY)
    for path, value in changes:
        change(body, path, value)
    store = ResponseStore(None, 1_000_000)
    try:
        asked = ResponsesRequest.model_validate(body)
        conversation = gathered(asked, store)
        decode_response(asked, conversation.items, {})
    except (ValidationError, EngineError):
        return
    kept: list[dict[str, Any]] = []
    stream = ResponseStream(asked, "m", kept.append)
    for event in EVENTS:
        stream.feed(event)
    response = stream.whole()
    check_body(response)
    store.put(response, conversation.pieces)
    found = store.get(response["id"])
    assert found is not None
    assert found.response == json.loads(to_json(response))
    check_page({"object": "list", "data": found.input, "first_id": "a", "last_id": "b", "has_more": False})
    store.close()


def change(body: Any, path: tuple[Any, ...], value: Any) -> None:
    """Put a value in a place, or take away what is there (...); nothing where an earlier change took the place away."""
    *way, last = path
    try:
        for step in way:
            body = body[step]
        if value is ...:
            del body[last]
        else:
            body[last] = copy.deepcopy(value)
    except (KeyError, IndexError, TypeError):
        pass
