"""What each field of a body of /v1/responses means to the engine."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from core.calls.requests import (
    ImagePart,
    Message,
    Role,
    TextPart,
    ThinkingPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolMode,
    ToolResultPart,
)
from core.errors import EngineError, InvalidRequest, UnsupportedInput
from core.media.images import check_image
from server.decoded import Decoded
from server.openai.responses.decode import decode_response
from server.openai.responses.items import image_urls, listed
from server.openai.responses.schema import InputItem, ResponsesRequest
from tests.server.pictures import png
from tests.server.response_streams import check_page

WEB = "https://example.com/a.png"
INLINE = "data:image/png;base64," + base64.b64encode(png()).decode()
FUNCTION = {"type": "function", "name": "f", "description": "Does.", "parameters": {"type": "object"}}
OTHER = {"type": "function", "name": "g", "parameters": {"type": "object"}}


def decode(**body: Any) -> Decoded:
    parsed = ResponsesRequest.model_validate({"model": "m", "input": "Hello"} | body)
    items = [(f"input[{index}]", item) for index, item in enumerate(parsed.input)]
    return decode_response(parsed, items, {WEB: check_image(png())})


def test_a_text_is_a_message_of_the_user_and_instructions_come_first() -> None:
    assert decode(instructions="Be brief.").request.messages == (
        Message.text(Role.SYSTEM, "Be brief."),
        Message.text(Role.USER, "Hello"),
    )


def test_items_of_one_turn_are_one_turn() -> None:
    decoded = decode(
        input=[
            {"role": "developer", "content": "Be brief."},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Let me look.", "annotations": [], "logprobs": []}],
            },
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'},
            {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "oops"},
            {"type": "function_call_output", "call_id": "c1", "output": "42"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_image", "image_url": INLINE}]},
            {"role": "assistant", "content": "One."},
            {"role": "assistant", "content": "Two."},
            {"role": "user", "content": "And?"},
        ]
    )
    assert decoded.request.messages == (
        Message.text(Role.SYSTEM, "Be brief."),
        Message.text(Role.USER, "Weather?"),
        Message(
            Role.ASSISTANT,
            (
                ThinkingPart("Hm."),
                TextPart("Let me look."),
                ToolCallPart("c1", "f", {"a": 1}),
                ToolCallPart("c2", "f", {"arguments": "oops"}),
            ),
        ),
        Message(
            Role.TOOL,
            (
                ToolResultPart("c1", (TextPart("42"),)),
                ToolResultPart("c2", (ImagePart(check_image(png())),)),
            ),
        ),
        Message.text(Role.ASSISTANT, "One."),
        Message.text(Role.ASSISTANT, "Two."),
        Message.text(Role.USER, "And?"),
    )
    assert any("input[5].arguments is not a JSON object" in warning for warning in decoded.warnings)


def test_images_keep_their_place_whether_inline_or_fetched() -> None:
    content = [
        {"type": "input_image", "image_url": INLINE},
        {"type": "input_text", "text": "and"},
        {"type": "input_image", "image_url": WEB, "detail": "high"},
    ]
    decoded = decode(input=[{"role": "user", "content": content}])
    assert [type(part) for part in decoded.request.messages[0].parts] == [ImagePart, TextPart, ImagePart]
    assert decoded.warnings == ("no effect: input[].content[].detail",)
    assert image_urls([InputItem.model_validate({"role": "user", "content": content})]) == (True, [WEB])


@pytest.mark.parametrize(
    ("item", "param", "says"),
    [
        ({"role": "tool", "content": "42"}, "input[0].role", "function_call_output"),
        ({"type": "function_call", "name": "f"}, "input[0]", "needs call_id and name"),
        ({"type": "function_call_output", "output": "x"}, "input[0].call_id", "needs call_id"),
        ({"type": "web_search_call", "id": "ws_1"}, None, "'web_search_call', which this server cannot give"),
        ({"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}, None, "input[0].content[0] is of type"),
        (
            {"role": "user", "content": [{"type": "input_image", "file_id": "f"}]},
            "input[0].content[0].image_url",
            "data URI",
        ),
        ({"role": "user", "content": [{"type": "input_image", "image_url": "/etc/passwd"}]}, None, "image"),
    ],
)
def test_items_that_no_model_can_be_given_are_refused(item: dict[str, Any], param: str | None, says: str) -> None:
    with pytest.raises(EngineError, match=".") as refused:
        decode(input=[item])
    assert says in refused.value.message
    assert getattr(refused.value, "param", None) == param


@pytest.mark.parametrize(
    ("choice", "shown", "meant"),
    [
        (None, "fg", ToolChoice()),
        ("none", "fg", ToolChoice(ToolMode.NONE)),
        ("required", "fg", ToolChoice(ToolMode.REQUIRED)),
        ({"type": "function", "name": "g"}, "fg", ToolChoice(ToolMode.REQUIRED, "g")),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "g"}]},
            "g",
            ToolChoice(),
        ),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
            "f",
            ToolChoice(ToolMode.REQUIRED),
        ),
    ],
)
def test_tools_and_which_of_them(choice: Any, shown: str, meant: ToolChoice) -> None:
    request = decode(tools=[FUNCTION, OTHER], tool_choice=choice).request
    assert "".join(tool.name for tool in request.tools) == shown
    assert request.tool_choice == meant
    if "f" in shown:
        assert request.tools[0] == Tool("f", "Does.", {"type": "object"})


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        (
            {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
            "tools[0].type",
            "'code_interpreter'",
        ),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "tools[0].type", "'mcp', which does not run here"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "needs a name"),
        ({"tool_choice": {"type": "function", "name": "h"}}, "tool_choice", "'h', which is not among the tools"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice", "must be a function"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto"}}, "tool_choice.tools", "needs tools"),
        (
            {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "h"}]}},
            "tool_choice.tools[0]",
            "not among the tools",
        ),
        ({"background": True}, "background", "stream = true"),
        ({"conversation": "conv_1"}, "conversation", "previous_response_id"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt", "as input"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format", "json_schema with schema"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format", "json_schema with schema"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata", "17 pairs; at most 16"),
        ({"metadata": {"a": "b" * 513}}, "metadata", "513"),
        ({"metadata": {"a" * 65: "b"}}, "metadata", "65 characters"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_field(fields: dict[str, Any], param: str, says: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode(**fields)
    assert says in refused.value.message
    assert refused.value.param == param


def test_tools_that_clients_add_by_themselves_are_left_out_and_named() -> None:
    decoded = decode(tools=[{"type": "web_search"}, FUNCTION])
    assert [tool.name for tool in decoded.request.tools] == ["f"]
    assert decoded.warnings == ("tools[0] (web_search) runs at OpenAI and was left out",)


def test_functions_of_a_namespace_are_called_by_both_names() -> None:
    space = {"type": "namespace", "name": "agents", "description": "Agents.", "tools": [FUNCTION, OTHER]}
    call = {"type": "function_call", "call_id": "c", "namespace": "agents", "name": "g", "arguments": "{}"}
    decoded = decode(tools=[FUNCTION, space, {"type": "tool_search"}], input=[call])
    assert [tool.name for tool in decoded.request.tools] == ["f", "agents__f", "agents__g"]
    assert decoded.request.messages == (Message(Role.ASSISTANT, (ToolCallPart("c", "agents__g", {}),)),)
    assert "tool_search" in decoded.warnings[0]
    for broken, param in (
        ({"type": "namespace", "tools": []}, "tools[0].name"),
        (space | {"tools": [{"type": "mcp"}]}, "tools[0].tools[0].type"),
        (space | {"tools": [space]}, "tools[0].tools[0].type"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            decode(tools=[broken])
        assert refused.value.param == param


def test_what_has_no_effect_is_named_and_what_is_harmless_is_not() -> None:
    decoded = decode(
        user="u",
        safety_identifier="s",
        prompt_cache_key="k",
        service_tier="auto",
        text={"verbosity": "low"},
        truncation="auto",
        top_logprobs=3,
        include=["reasoning.encrypted_content", "file_search_call.results"],
        max_tool_calls=3,
    )
    (warning,) = decoded.warnings
    assert warning.startswith(
        "no effect: max_tool_calls, user, safety_identifier, prompt_cache_key, service_tier, text"
    )
    for named in ("text.verbosity", "truncation (nothing is dropped", "top_logprobs (ask", "include file_search_call"):
        assert named in warning
    harmless = decode(
        store=False, truncation="disabled", background=False, stream_options={"include_obfuscation": False}
    )
    assert harmless.warnings == ()


def test_how_an_answer_is_made() -> None:
    decoded = decode(
        max_output_tokens=9,
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        seed=7,
        stop="END",
        top_logprobs=2,
        include=["message.output_text.logprobs"],
        parallel_tool_calls=False,
        reasoning={"effort": "high"},
        text={"format": {"type": "json_schema", "name": "a", "strict": True, "schema": {"type": "array"}}},
    )
    sampling = decoded.request.sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.top_k) == (9, 0.5, 0.9, 3)
    assert (sampling.seed, sampling.stop, sampling.logprobs) == (7, ("END",), 2)
    assert (decoded.one_call, decoded.request.thinking) == (True, True)
    assert decoded.request.json_schema == {"type": "array"}
    assert decode(reasoning={"effort": "none"}).request.thinking is False
    assert decode(reasoning={"summary": "auto"}).request.thinking is None
    assert decode(text={"format": {"type": "json_object"}}).request.json_schema == {"type": "object"}


def test_thinking_that_somebody_else_sealed_is_dropped_and_said() -> None:
    items = [{"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}, {"role": "user", "content": "Hi"}]
    decoded = decode(input=items)
    assert len(decoded.request.messages) == 1
    assert decoded.warnings == ("input[0] holds no readable thinking and was dropped",)


def test_items_are_listed_as_openai_lists_them_with_ids_that_stay() -> None:
    raw = [
        {"role": "user", "content": "Hi"},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Ho"},
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm."}]},
        {"type": "function_call", "call_id": "c", "name": "f"},
        {"type": "function_call_output", "call_id": "c", "output": "42"},
        {"type": "message", "role": "developer", "content": [{"type": "input_image", "image_url": INLINE}]},
        {"type": "message", "id": "msg_own", "role": "user", "content": "x"},
    ]
    once, again = (listed(map(InputItem.model_validate, raw)) for _ in range(2))
    assert once == again
    ids = [item["id"] for item in once]
    assert len(set(ids)) == len(ids)
    assert [id.partition("_")[0] for id in ids] == ["msg", "msg", "msg", "rs", "fc", "fco", "msg", "msg"]
    assert ids[-1] == "msg_own"
    page = {"object": "list", "data": once, "first_id": ids[0], "last_id": ids[-1], "has_more": False}
    assert len(check_page(page).data) == len(raw)
    assert listed(map(InputItem.model_validate, once)) == once


def test_arguments_of_calls_are_counted_as_the_body_is() -> None:
    many = "[" + "0," * 60_000 + "0]"
    calls = [{"type": "function_call", "call_id": id, "name": "f", "arguments": many} for id in ("c", "d")]
    with pytest.raises(InvalidRequest) as refused:
        decode(input=calls)
    assert refused.value.message.startswith("The arguments of the calls up to input[1] hold more than 100,000 values")
    assert refused.value.param == "input"


def test_an_item_of_no_known_type_is_refused() -> None:
    with pytest.raises(UnsupportedInput, match="item_reference"):
        decode(input=[{"type": "compaction_trigger"}])
