"""What each block and field of an Anthropic body means to the engine."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from core.calls.requests import ImagePart, Message, Role, TextPart, ThinkingPart, Tool, ToolCallPart, ToolMode
from core.errors import EngineError, InvalidRequest, UnsupportedInput
from core.media.images import check_image
from server.anthropic.decode import decode_messages, image_urls, thinking_shown
from server.anthropic.schema import MessagesRequest
from server.decoded import Decoded
from tests.server.pictures import png

HELLO = [{"role": "user", "content": "Hello"}]
IMAGE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": base64.b64encode(png()).decode()},
}


def parse(**body: Any) -> MessagesRequest:
    return MessagesRequest.model_validate({"model": "m", "max_tokens": 9, "messages": HELLO} | body)


def decode(**body: Any) -> Decoded:
    return decode_messages(parse(**body), {"https://example.com/a.png": check_image(png())})


def test_the_system_prompt_comes_first_without_the_billing_header() -> None:
    decoded = decode(
        system=[
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=1; cch=abc"},
            {"type": "text", "text": "You are terse.", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "Always."},
        ]
    )
    assert decoded.request.messages[0] == Message(Role.SYSTEM, (TextPart("You are terse.\n\nAlways."),))
    assert decoded.warnings == (
        "no effect: system[].cache_control",
        "system[0] is a billing header and was dropped",
    )
    assert decode(system="Short.").request.messages[0] == Message.text("system", "Short.")


def test_a_system_message_among_the_messages_keeps_its_place() -> None:
    messages = decode(messages=[*HELLO, {"role": "system", "content": "Note."}]).request.messages
    assert [message.role for message in messages] == [Role.USER, Role.SYSTEM]


def test_tool_results_come_before_what_the_user_says_and_may_hold_images() -> None:
    messages = decode(
        messages=[
            *HELLO,
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "assay-1"},
                    {"type": "redacted_thinking", "data": "xyz"},
                    {"type": "text", "text": "Looking."},
                    {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "sky"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": [IMAGE]},
                    {"type": "text", "text": "Well?"},
                ],
            },
        ]
    ).request.messages
    assert messages[1].parts == (ThinkingPart("Hm."), TextPart("Looking."), ToolCallPart("t1", "look", {"at": "sky"}))
    assert [message.role for message in messages[2:]] == [Role.TOOL, Role.USER]
    result = messages[2].parts[0]
    assert result.call_id == "t1"
    assert result.is_error
    assert isinstance(result.content[0], ImagePart)


def test_images_documents_and_search_results() -> None:
    content = [
        IMAGE,
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {"type": "document", "title": "T", "source": {"type": "text", "media_type": "text/plain", "data": "Body"}},
        {"type": "search_result", "title": "S", "source": "s.org", "content": [{"type": "text", "text": "Found"}]},
    ]
    parts = decode(messages=[{"role": "user", "content": content}]).request.messages[0].parts
    assert isinstance(parts[0], ImagePart)
    assert isinstance(parts[1], ImagePart)
    assert parts[2:] == (TextPart("T\n\nBody"), TextPart("S\ns.org\nFound"))
    inner = [{"type": "tool_result", "tool_use_id": "t", "content": content[1:2]}]
    assert image_urls(parse(messages=[{"role": "user", "content": inner}])) == (True, ["https://example.com/a.png"])


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        ({"type": "image", "source": {"type": "url", "url": "file:///etc/passwd"}}, EngineError),
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, InvalidRequest),
        (
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "x"}},
            UnsupportedInput,
        ),
        ({"type": "container_upload", "file_id": "f"}, UnsupportedInput),
        ({"type": "tool_result", "content": "x"}, InvalidRequest),
    ],
)
def test_blocks_that_no_model_can_be_given_are_refused(block: dict[str, Any], fault: type[EngineError]) -> None:
    with pytest.raises(fault):
        decode(messages=[{"role": "user", "content": [block]}])


def test_tools_of_the_client_are_offered_and_those_of_anthropic_left_out_and_said_so() -> None:
    decoded = decode(
        tools=[
            {"name": "look", "description": "Looks.", "input_schema": {"type": "object"}, "defer_loading": True},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
        ],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
    )
    assert decoded.request.tools == (Tool("look", "Looks.", {"type": "object"}),)
    assert decoded.request.tool_choice.mode is ToolMode.REQUIRED
    assert decoded.one_call
    assert decoded.warnings == (
        "no effect: tools[].defer_loading, tools[].max_uses",
        "tools[1] (web_search_20250305) is not the client's own and was left out",
    )


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        (None, False),
        ({"type": "disabled"}, False),
        ({"type": "adaptive"}, None),
        ({"type": "enabled", "budget_tokens": 2048}, True),
    ],
)
def test_thinking_is_off_unless_asked_for(thinking: object, expected: object) -> None:
    assert decode(thinking=thinking).request.thinking is expected


def test_thinking_may_be_asked_for_without_its_text() -> None:
    assert thinking_shown(parse(thinking={"type": "adaptive"}))
    assert not thinking_shown(parse(thinking={"type": "adaptive", "display": "omitted"}))


def test_sampling_and_output_format() -> None:
    schema = {"type": "object"}
    request = decode(
        temperature=0.5,
        top_p=0.9,
        top_k=4,
        stop_sequences=["END"],
        output_config={"effort": "high", "format": {"type": "json_schema", "schema": schema}},
    ).request
    assert (request.sampling.temperature, request.sampling.top_p, request.sampling.top_k) == (0.5, 0.9, 4)
    assert (request.sampling.max_tokens, request.sampling.stop) == (9, ("END",))
    assert request.json_schema == schema


def test_what_claude_code_adds_is_accepted_and_reported() -> None:
    decoded = decode(
        context_management={"edits": []},
        metadata={"user_id": "u"},
        output_config={"effort": "high"},
        service_tier="auto",
    )
    assert decoded.warnings == ("no effect: context_management, metadata, service_tier, output_config.effort",)
