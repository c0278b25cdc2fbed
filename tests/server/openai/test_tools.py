"""Tools of chat completions: those that are allowed, those of free text, and the functions of old."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from pydantic import ValidationError

from core.calls.events import Finished, FinishReason, GenerationResult, Timing, ToolCallDelta, ToolCallStart, Usage
from core.calls.requests import TextPart, ToolCallPart, ToolChoice, ToolMode, ToolResultPart
from core.errors import InvalidRequest
from server.openai.encode import ChatStream, Head, chat_body
from server.openai.schema import ChatRequest
from server.openai.tools import Shape, shape
from tests.conftest import Api
from tests.server.openai.test_client import STILL, TEXT, TOOL, WEATHER
from tests.server.openai.test_decode import decode
from tests.server.streams import encoded

FUNCTION = TOOL["function"]
OTHER = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}
SAY = {"type": "custom", "custom": {"name": "say", "description": "Says it."}}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [OTHER]}}


def custom(**form: Any) -> dict[str, Any]:
    return {"type": "custom", "custom": {"name": "say", "format": form}}


def test_only_the_allowed_tools_are_shown() -> None:
    request = decode(tools=[TOOL, OTHER], tool_choice=ALLOWED).request
    assert [tool.name for tool in request.tools] == ["get_time"]
    assert request.tool_choice == ToolChoice(ToolMode.REQUIRED)


def test_functions_of_old_are_tools() -> None:
    decoded = decode(functions=[FUNCTION], function_call={"name": "get_weather"})
    assert [tool.name for tool in decoded.request.tools] == ["get_weather"]
    assert decoded.request.tool_choice == ToolChoice(ToolMode.REQUIRED, "get_weather")
    assert decoded.one_call
    assert decoded.warnings == ()
    assert decode(functions=[FUNCTION], function_call="none").request.tool_choice == ToolChoice(ToolMode.NONE)


def test_results_of_functions_belong_to_the_last_call_of_their_name() -> None:
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a": 1}'}},
        {"role": "function", "name": "f", "content": "42"},
    ]
    _, call, result = decode(messages=messages).request.messages
    assert call.parts == (ToolCallPart("function_call_1", "f", {"a": 1}),)
    assert result.parts == (ToolResultPart("function_call_1", (TextPart("42"),)),)


def test_a_custom_tool_is_a_function_of_one_text() -> None:
    (tool,) = decode(tools=[SAY]).request.tools
    assert tool.parameters["properties"] == {"input": {"type": "string"}}
    assert not tool.strict
    (held,) = decode(tools=[custom(type="grammar", grammar={"syntax": "regex", "definition": "a|b"})]).request.tools
    assert held.parameters["properties"] == {"input": {"type": "string", "pattern": "^(?:a|b)$"}}
    assert held.strict
    called = {"id": "c", "type": "custom", "custom": {"name": "say", "input": "Oh."}}
    messages = [
        {"role": "assistant", "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "c", "content": "said"},
    ]
    assert decode(messages=messages).request.messages[0].parts == (ToolCallPart("c", "say", {"input": "Oh."}),)


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        ({"functions": [FUNCTION], "tools": [TOOL]}, "functions", "send all of them as tools"),
        ({"function_call": "auto"}, "function_call", "needs functions; with tools, send tool_choice"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].name", "needs name"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0].name", "Send that message"),
        ({"tools": [{"type": "browser"}]}, "tools[0].type", "functions can be called here, and custom tools"),
        ({"tools": [{"type": "custom"}]}, "tools[0].custom", "needs it, with a name"),
        (
            {"tools": [custom(type="grammar", grammar={"syntax": "lark", "definition": "start: /a/"})]},
            "tools[0].custom.format",
            "'lark', which cannot be held here: send one of the syntax 'regex'",
        ),
        ({"tools": [custom(type="xml")]}, "tools[0].custom.format", "send text, or grammar"),
        ({"tools": [TOOL], "tool_choice": ALLOWED}, "tool_choice.allowed_tools.tools[0]", "not among the tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "tool_choice.allowed_tools", "a mode and tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "custom"}}, "tool_choice", "with its name, or none, auto"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]}, "messages[0].tool_calls[0].function", ""),
    ],
)
def test_what_has_no_meaning_is_refused_with_what_to_send(body: dict[str, Any], param: str, says: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode(**body)
    assert refused.value.param == param
    assert says in refused.value.message


def test_a_bias_for_a_word_says_what_to_send() -> None:
    with pytest.raises(
        ValidationError, match=r"gives a bias to 'hello', which is no token: send the numbers of tokens"
    ):
        decode(logit_bias={"hello": 5})


def play(form: Shape, *names: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The whole choice and the streamed chunks of an answer that calls these."""
    events: list[Any] = []
    for index, name in enumerate(names):
        events += [ToolCallStart(index, f"call_{index}", name), ToolCallDelta(index, '{"input": "O')]
        events += [ToolCallDelta(index, 'h \\"."}')]
    events.append(Finished(FinishReason.TOOL_CALLS, Usage(9, 9), Timing()))
    result, stream = GenerationResult(), ChatStream(Head("m"), shape=form)
    frames = [frame for event in events for frame in stream.feed(event)]
    for event in events:
        result.add(event)
    chunks = [one.data["choices"][0] for one in encoded(frames)]
    return chat_body(Head("m"), [result], form)["choices"][0], chunks


def test_calls_are_answered_in_the_shape_of_their_tools() -> None:
    whole, chunks = play(
        shape(ChatRequest.model_validate({"model": "m", "messages": [{"role": "user"}], "tools": [SAY]})), "say", "f"
    )
    assert [call["type"] for call in whole["message"]["tool_calls"]] == ["custom", "function"]
    assert whole["message"]["tool_calls"][0]["custom"] == {"name": "say", "input": 'Oh ".'}
    deltas = [call for chunk in chunks for call in chunk["delta"].get("tool_calls", [])]
    assert [(one["index"], one["custom"]["input"]) for one in deltas if "custom" in one] == [(0, ""), (0, 'Oh ".')]
    assert "".join(one["function"]["arguments"] for one in deltas if "function" in one) == '{"input": "Oh \\"."}'

    whole, chunks = play(Shape(old=True), "f")
    assert whole["finish_reason"] == chunks[-1]["finish_reason"] == "function_call"
    assert whole["message"]["function_call"] == {"name": "f", "arguments": '{"input": "Oh \\"."}'}
    assert whole["message"]["content"] is None
    assert chunks[0]["delta"] == {"role": "assistant", "content": None}
    calls = [chunk["delta"]["function_call"] for chunk in chunks if "function_call" in chunk["delta"]]
    assert calls[0] == {"name": "f", "arguments": ""}
    assert "".join(call["arguments"] for call in calls) == '{"input": "Oh \\"."}'


@pytest.fixture(scope="module")
def client(api: Api) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=api.url + "/v1", api_key=api.key, max_retries=0) as client:
        yield client


def test_the_official_client_calls_a_function_of_old_and_reads_its_result(client: openai.OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": WEATHER}]
    asked: dict[str, Any] = {"model": TEXT, "functions": [FUNCTION], **STILL}
    choice = client.chat.completions.create(messages=messages, **asked).choices[0]
    assert choice.finish_reason == "function_call"
    assert choice.message.function_call is not None
    assert json.loads(choice.message.function_call.arguments) == {"location": "Oslo"}
    messages += [
        choice.message.model_dump(exclude_none=True),
        {"role": "function", "name": "get_weather", "content": "Sunny."},
    ]
    assert client.chat.completions.create(messages=messages, **asked).choices[0].message.content


def test_the_official_client_has_only_allowed_and_custom_tools_called(client: openai.OpenAI) -> None:
    asked: Any = [{"role": "user", "content": WEATHER}]
    done = client.chat.completions.create(model=TEXT, messages=asked, tools=[TOOL, OTHER], tool_choice=ALLOWED, **STILL)
    assert [call.function.name for call in done.choices[0].message.tool_calls or []] == ["get_time"]
    yes: Any = custom(type="grammar", grammar={"syntax": "regex", "definition": "yes|no"})
    pick: Any = {"type": "custom", "custom": {"name": "say"}}
    done = client.chat.completions.create(model=TEXT, messages=asked, tools=[yes], tool_choice=pick, **STILL)
    (call,) = done.choices[0].message.tool_calls or []
    assert call.type == "custom"
    assert call.custom.input in ("yes", "no")


NOTHING: list[dict[str, Any]] = [{"role": "user", "content": None}]


@pytest.mark.parametrize(
    ("path", "body", "param", "says"),
    [
        (
            "chat/completions",
            {"tools": [custom(type="grammar", grammar={"syntax": "regex", "definition": "a)|(b"})]},
            "tools[0].custom.format.grammar.definition",
            "tools[0].custom.format.grammar.definition is 'a)|(b', which cannot be held",
        ),
        ("chat/completions", {"max_completion_tokens": 0}, "max_completion_tokens", "max_completion_tokens is 0"),
        ("chat/completions", {"max_tokens": 0}, "max_tokens", "max_tokens is 0"),
        ("chat/completions", {"logprobs": True, "top_logprobs": 99}, "top_logprobs", "top_logprobs is 99"),
        (
            "chat/completions",
            {"functions": [FUNCTION], "function_call": {"name": "g"}},
            "function_call",
            "Send it, too",
        ),
        ("chat/completions", {"tool_choice": "required"}, "tool_choice", "Send tools, or auto"),
        ("chat/completions", {"messages": NOTHING}, "messages", "one message that holds something"),
        ("responses", {"max_output_tokens": 0}, "max_output_tokens", "max_output_tokens is 0"),
        ("responses", {"input": [{"content": "x"}]}, "input[0]", "a message needs its role"),
    ],
)
def test_a_refusal_names_the_field_that_was_sent(
    api: Api, path: str, body: dict[str, Any], param: str, says: str
) -> None:
    usual = {"messages": [{"role": "user", "content": "Hi"}]} if path != "responses" else {"input": "Hi"}
    answer = httpx.post(
        f"{api.url}/v1/{path}", json={"model": "pocket/qwen3", **usual, **body}, headers={"x-api-key": api.key}
    )
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["param"] == param
    assert says in error["message"]
