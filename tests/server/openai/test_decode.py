"""What each field of an OpenAI body means to the engine."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from core.calls.requests import ImagePart, Message, Role, TextPart, ThinkingPart, Tool, ToolCallPart, ToolResultPart
from core.errors import EngineError, InvalidRequest, UnsupportedInput
from core.media.images import check_image
from server.decoded import Decoded
from server.openai.decode import decode_chat, decode_completion, image_urls
from server.openai.schema import ChatRequest, CompletionRequest
from tests.server.pictures import png

HELLO = [{"role": "user", "content": "Hello"}]


def decode(**body: Any) -> Decoded:
    parsed = ChatRequest.model_validate({"model": "m", "messages": HELLO} | body)
    return decode_chat(parsed, {"https://example.com/a.png": check_image(png())})


def test_roles_and_both_forms_of_content() -> None:
    messages = decode(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            {"role": "assistant", "content": None, "reasoning_content": "Hm."},
        ]
    ).request.messages
    assert messages == (
        Message(Role.SYSTEM, (TextPart("Be brief."),)),
        Message(Role.USER, (TextPart("Hi"),)),
        Message(Role.ASSISTANT, (ThinkingPart("Hm."),)),
    )


def test_images_keep_their_place_whether_inline_or_fetched() -> None:
    inline = "data:image/png;base64," + base64.b64encode(png()).decode()
    content = [
        {"type": "image_url", "image_url": {"url": inline, "detail": "high"}},
        {"type": "text", "text": "and"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]
    decoded = decode(messages=[{"role": "user", "content": content}])
    assert [type(part) for part in decoded.request.messages[0].parts] == [ImagePart, TextPart, ImagePart]
    assert decoded.warnings == ("no effect: messages[].content[].image_url.detail",)
    body = ChatRequest.model_validate({"model": "m", "messages": [{"role": "user", "content": content}]})
    assert image_urls(body) == (True, ["https://example.com/a.png"])


@pytest.mark.parametrize("url", ["file:///etc/passwd", "/etc/passwd", "ftp://example.com/a.png", ""])
def test_an_image_is_never_a_path(url: str) -> None:
    with pytest.raises(EngineError):
        decode(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}])


def test_a_tool_conversation() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    function = {"name": "f", "description": "Does.", "parameters": {"type": "object"}}
    decoded = decode(
        messages=[
            *HELLO,
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
        ],
        tools=[{"type": "function", "function": function}],
        tool_choice={"type": "function", "function": {"name": "f"}},
        parallel_tool_calls=False,
    )
    assert decoded.request.messages[1].parts == (ToolCallPart("c1", "f", {"a": 1}),)
    assert decoded.request.messages[2] == Message(Role.TOOL, (ToolResultPart("c1", (TextPart("42"),)),))
    assert decoded.request.tools == (Tool("f", "Does.", {"type": "object"}),)
    assert (decoded.request.tool_choice.mode, decoded.request.tool_choice.name) == ("required", "f")
    assert decoded.one_call


def test_arguments_that_a_model_wrote_wrongly_do_not_end_the_conversation() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": '}}
    decoded = decode(messages=[*HELLO, {"role": "assistant", "tool_calls": [call]}])
    assert decoded.request.messages[1].parts == (ToolCallPart("c1", "f", {"arguments": '{"a": '}),)
    assert "tool_calls[0].function.arguments is not a JSON object" in decoded.warnings[0]


def test_sampling_fields_reach_the_engine() -> None:
    sampling = decode(
        temperature=0,
        top_p=0.5,
        top_k=7,
        min_p=0.1,
        repetition_penalty=1.1,
        presence_penalty=0.2,
        frequency_penalty=0.3,
        logit_bias={"12": -5},
        seed=3,
        max_tokens=10,
        max_completion_tokens=20,
        stop="END",
        logprobs=True,
        top_logprobs=2,
    ).request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p) == (0, 0.5, 7, 0.1)
    assert (sampling.repetition_penalty, sampling.presence_penalty, sampling.frequency_penalty) == (1.1, 0.2, 0.3)
    assert (sampling.logit_bias, sampling.seed, sampling.max_tokens) == ({12: -5.0}, 3, 20)
    assert (sampling.stop, sampling.logprobs) == (("END",), 2)


@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        ({}, None),
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": "high"}, True),
        ({"chat_template_kwargs": {"enable_thinking": False}}, False),
    ],
)
def test_thinking_is_switched_by_what_clients_of_local_servers_send(fields: dict[str, Any], thinking: object) -> None:
    assert decode(**fields).request.thinking is thinking


def test_response_formats() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    asked = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
    assert decode(response_format={"type": "text"}).request.json_schema is None
    assert decode(response_format={"type": "json_object"}).request.json_schema == {"type": "object"}
    assert decode(response_format=asked).request.json_schema == schema
    with pytest.raises(InvalidRequest) as caught:
        decode(response_format={"type": "grammar"})
    assert caught.value.param == "response_format"


def test_fields_without_effect_are_reported_once_each_and_nulls_are_not() -> None:
    messages = [{"role": "user", "content": "a", "name": "x"}, {"role": "user", "content": "b", "name": "y"}]
    decoded = decode(messages=messages, user="me", store=True, metadata=None)
    assert decoded.warnings == ("no effect: user, store, messages[].name",)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("function_call", "auto"),
        ("audio", {"voice": "x"}),
        ("modalities", ["text", "audio"]),
        ("chat_template", "x"),
    ],
)
def test_fields_that_change_the_kind_of_answer_are_refused(field: str, value: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(**{field: value})
    assert caught.value.param == field
    assert decode(**{field: None}).warnings == ()


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ({"role": "robot", "content": "x"}, InvalidRequest),
        ({"role": "tool", "content": "x"}, InvalidRequest),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}, UnsupportedInput),
        ({"role": "user", "content": [{"type": "image_url"}]}, InvalidRequest),
    ],
)
def test_messages_that_cannot_be_read_are_refused(message: dict[str, Any], fault: type[EngineError]) -> None:
    with pytest.raises(fault, match=r"messages\[0\]"):
        decode(messages=[message])


def test_logprobs_of_alternatives_need_logprobs() -> None:
    with pytest.raises(InvalidRequest):
        decode(top_logprobs=3)


def test_a_plain_completion_takes_one_prompt() -> None:
    body = CompletionRequest.model_validate({"model": "m", "prompt": ["Once"], "max_tokens": 5, "logprobs": 1})
    request = decode_completion(body).request
    assert (request.prompt, request.messages, request.sampling.max_tokens) == ("Once", (), 5)
    with pytest.raises(InvalidRequest):
        decode_completion(CompletionRequest.model_validate({"model": "m", "prompt": "a", "suffix": "b"}))
