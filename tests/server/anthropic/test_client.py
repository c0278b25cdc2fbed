"""The official Anthropic client against the real engine and the pocket models."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest

from tests.conftest import Api
from tests.server.pictures import png
from tests.server.streams import check_anthropic, heard

TEXT = "pocket/qwen3"
VISION = "pocket/gemma3"
CAPITAL = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
WEATHER = [{"role": "user", "content": "What is the current weather in Oslo? Use the get_weather tool to find out."}]
TOOL = {
    "name": "get_weather",
    "description": "Get the current weather in a given location",
    "input_schema": {
        "type": "object",
        "properties": {"location": {"type": "string", "description": "City name, e.g. 'Tokyo'"}},
        "required": ["location"],
    },
}
RAW: dict[str, Any] = {"model": TEXT, "temperature": 0, "max_tokens": 128}
STILL: dict[str, Any] = {"model": TEXT, "max_tokens": 128, "extra_body": {"temperature": 0}}
"""The client has no parameter for the temperature any more; the protocol has."""


def image(color: str = "red") -> dict[str, Any]:
    data = base64.b64encode(png(color)).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


@pytest.fixture(scope="module")
def client(api: Api) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=api.url, api_key=api.key, max_retries=0) as client:
        yield client


def prompt_tokens(usage: Any) -> int:
    return int(usage.input_tokens + usage.cache_read_input_tokens)


def test_an_answer_with_its_usage(client: anthropic.Anthropic) -> None:
    message = client.messages.create(messages=CAPITAL, **STILL)
    (block,) = message.content
    assert block.type == "text"
    assert "paris" in block.text.lower()
    assert (message.stop_reason, message.stop_sequence, message.model) == ("end_turn", None, TEXT)
    assert prompt_tokens(message.usage) > 10
    assert 0 < message.usage.output_tokens < 20
    assert message._request_id is not None


def test_a_stream_says_the_same_token_by_token(client: anthropic.Anthropic) -> None:
    messages = [{"role": "user", "content": "Hello! Please respond with a single sentence greeting."}]
    whole = client.messages.create(messages=messages, **STILL)
    with client.messages.stream(messages=messages, **STILL) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert "".join(pieces) == whole.content[0].text == final.content[0].text
    assert len(pieces) > whole.usage.output_tokens / 2, "tokens arrive one by one, not in lumps"
    assert final.stop_reason == whole.stop_reason == "end_turn"
    assert prompt_tokens(final.usage) == prompt_tokens(whole.usage)
    assert final.usage.output_tokens == whole.usage.output_tokens


def test_the_events_on_the_wire_keep_their_order(api: Api) -> None:
    body = RAW | {"messages": CAPITAL, "stream": True, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    headers = {"x-api-key": api.key, "anthropic-version": "2023-06-01", "anthropic-beta": "a,b"}
    answer = httpx.post(api.url + "/v1/messages?beta=true", json=body, headers=headers, timeout=60)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["request-id"].startswith("req_")
    events = heard(answer.content)
    message = check_anthropic(events)
    assert [block["type"] for block in message["content"]] == ["thinking", "text"]
    usage = events[0].data["message"]["usage"]
    assert usage["input_tokens"] + usage["cache_read_input_tokens"] > 10, "the start knows the prompt's length"
    assert message["usage"]["output_tokens_details"]["thinking_tokens"] > 0


def test_thinking_can_be_echoed_back(client: anthropic.Anthropic) -> None:
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    first = client.messages.create(messages=CAPITAL, thinking=thinking, **STILL)
    assert [block.type for block in first.content] == ["thinking", "text"]
    turns = [*CAPITAL, {"role": "assistant", "content": first.content}, {"role": "user", "content": "Thanks!"}]
    assert client.messages.create(messages=turns, thinking=thinking, **STILL).content


def test_a_tool_is_called_and_its_result_read(client: anthropic.Anthropic) -> None:
    with client.messages.stream(messages=WEATHER, tools=[TOOL], **STILL) as stream:
        fragments = [event.partial_json for event in stream if event.type == "input_json"]
        message = stream.get_final_message()
    call = message.content[-1]
    assert (message.stop_reason, call.type, call.name) == ("tool_use", "tool_use", "get_weather")
    assert call.input == {"location": "Oslo"}
    assert len(fragments) > 2, "arguments arrive as they are written"
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "Sunny, 21 degrees."}
    turns = [*WEATHER, {"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
    after = client.messages.create(messages=turns, tools=[TOOL], **STILL)
    assert after.content
    assert prompt_tokens(after.usage) > prompt_tokens(message.usage)


def test_a_tool_can_be_forced_and_forbidden(client: anthropic.Anthropic) -> None:
    forced = client.messages.create(messages=CAPITAL, tools=[TOOL], tool_choice={"type": "any"}, **STILL)
    assert [block.type for block in forced.content] == ["tool_use"]
    free = client.messages.create(messages=WEATHER, tools=[TOOL], tool_choice={"type": "none"}, **STILL)
    assert free.stop_reason == "end_turn"


def test_the_system_prompt_is_followed(client: anthropic.Anthropic) -> None:
    ask = [{"role": "user", "content": 'Translate the following to French: "The cat sat on the mat."'}]
    system = "You are a translator. Always respond in the target language only."
    message = client.messages.create(system=system, messages=ask, **STILL)
    assert "chat" in message.content[0].text.lower().split()


def test_a_stop_sequence_is_named(client: anthropic.Anthropic) -> None:
    whole = client.messages.create(messages=CAPITAL, **STILL).content[0].text
    stop = whole[2:4]
    cut = client.messages.create(messages=CAPITAL, stop_sequences=["nothing", stop], **STILL)
    assert (cut.stop_reason, cut.stop_sequence, cut.content[0].text) == ("stop_sequence", stop, whole[:2])
    with client.messages.stream(messages=CAPITAL, stop_sequences=[stop], **STILL) as stream:
        assert stream.get_final_message().stop_sequence == stop


def test_max_tokens_cuts_and_says_so_and_more_than_the_window_is_no_fault(client: anthropic.Anthropic) -> None:
    cut = client.messages.create(messages=CAPITAL, **STILL | {"max_tokens": 1})
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 1)
    with client.messages.stream(messages=CAPITAL, **STILL | {"max_tokens": 32000}) as stream:
        assert stream.get_final_message().stop_reason == "end_turn"


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": CAPITAL},
        {"messages": CAPITAL, "system": "Be brief."},
        {"messages": WEATHER, "tools": [TOOL]},
    ],
    ids=["plain", "system", "tools"],
)
def test_counted_tokens_are_the_tokens_used(client: anthropic.Anthropic, fields: dict[str, Any]) -> None:
    counted = client.messages.count_tokens(model=TEXT, **fields).input_tokens
    assert counted == prompt_tokens(client.messages.create(**STILL, **fields).usage)


def test_a_later_turn_reads_the_earlier_ones_from_the_cache(client: anthropic.Anthropic) -> None:
    turns: list[dict[str, Any]] = [{"role": "user", "content": "Hello! My name is Ada and I live in Lima."}]
    first = client.messages.create(messages=turns, **STILL)
    turns += [{"role": "assistant", "content": first.content}, {"role": "user", "content": "What is my name?"}]
    second = client.messages.create(messages=turns, **STILL)
    assert second.usage.cache_read_input_tokens > 10
    assert second.usage.input_tokens < prompt_tokens(second.usage)
    assert prompt_tokens(second.usage) == client.messages.count_tokens(model=TEXT, messages=turns).input_tokens


@pytest.mark.parametrize("color", ["red", "blue"])
def test_an_image_is_seen_and_counted(client: anthropic.Anthropic, color: str) -> None:
    question = "Describe this image in one sentence. What shape do you see and what color is it?"
    ask = [{"role": "user", "content": [image(color), {"type": "text", "text": question}]}]
    message = client.messages.create(messages=ask, **STILL | {"model": VISION})
    assert color in message.content[0].text.lower()
    counted = client.messages.count_tokens(model=VISION, messages=ask).input_tokens
    assert counted == prompt_tokens(message.usage)


def test_an_image_inside_a_tool_result_is_seen(client: anthropic.Anthropic) -> None:
    turns = [
        {"role": "user", "content": "Describe the picture."},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [image()]}]},
    ]
    without = [*turns[:2], {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "-"}]}]
    counts = [client.messages.count_tokens(model=VISION, messages=ask).input_tokens for ask in (turns, without)]
    assert counts[0] > counts[1] + 20
    assert client.messages.create(messages=turns, **STILL | {"model": VISION}).content


def test_an_image_to_a_text_model_is_refused_with_a_sentence(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="vision model"):
        client.messages.create(messages=[{"role": "user", "content": [image()]}], **STILL)


def test_a_prompt_over_the_window_is_refused_in_known_words(client: anthropic.Anthropic) -> None:
    ask = [{"role": "user", "content": "word " * 9000}]
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: \d+ tokens > 4096 maximum"):
        client.messages.create(messages=ask, **STILL)
    with (
        pytest.raises(anthropic.BadRequestError, match="prompt is too long"),
        client.messages.stream(messages=ask, **STILL) as stream,
    ):
        stream.until_done()


def test_errors_carry_the_protocol_s_types(api: Api, client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as missing:
        client.messages.create(messages=CAPITAL, **STILL | {"model": "claude-opus-4-5"})
    assert missing.value.body["error"]["type"] == "not_found_error"
    assert missing.value.request_id == missing.value.body["request_id"]
    with (
        anthropic.Anthropic(base_url=api.url, api_key="wrong", max_retries=0) as stranger,
        pytest.raises(anthropic.AuthenticationError),
    ):
        stranger.messages.create(messages=CAPITAL, **STILL)


def test_what_claude_code_sends_is_answered(api: Api) -> None:
    body = RAW | {
        "max_tokens": 32000,
        "stream": True,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cch=1f2e3"},
            {"type": "text", "text": "You are a coding agent.", "cache_control": {"type": "ephemeral"}},
        ],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "<system-reminder>Be brief.</system-reminder>"},
                    {"type": "text", "text": CAPITAL[0]["content"], "cache_control": {"type": "ephemeral"}},
                ],
            },
            {"role": "system", "content": "The user's time zone is UTC."},
        ],
        "tools": [{**TOOL, "defer_loading": True, "cache_control": {"type": "ephemeral"}}],
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "metadata": {"user_id": "user_x"},
    }
    headers = {
        "authorization": f"Bearer {api.key}",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14",
        "user-agent": "claude-cli/2.1.0 (external, cli)",
    }
    answer = httpx.post(api.url + "/v1/messages?beta=true", json=body, headers=headers, timeout=120)
    assert answer.status_code == 200, answer.text
    message = check_anthropic(heard(answer.content))
    assert message["content"]
    assert "billing header" in answer.headers["x-assay-warnings"]
    entry = api.server.record.entries()[-1]
    assert (entry.client, entry.protocol, entry.state) == ("claude-cli/2.1.0 (external, cli)", "anthropic", "done")
    assert entry.prompt_tokens > 0
    assert entry.completion_tokens == message["usage"]["output_tokens"]
    assert entry.ttft_s is not None
    assert entry.tps


def test_models_in_anthropic_s_shape(client: anthropic.Anthropic) -> None:
    models = {model.id: model for model in client.models.list()}
    assert models[TEXT].type == "model"
    assert client.models.retrieve(TEXT).max_input_tokens == 4096
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("pocket/none")
