"""The official OpenAI client's Responses half against the real engine and the pocket models."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, Literal

import httpx
import openai
import pytest
from pydantic import BaseModel

from tests.conftest import Api
from tests.server.pictures import png
from tests.server.response_streams import check_body, check_response
from tests.server.streams import heard

TEXT = "pocket/qwen3"
VISION = "pocket/gemma3"
CAPITAL = "What is the capital of France? Answer in one word."
WEATHER = "What is the current weather in Oslo? Use the get_weather tool to find out."
TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather in a given location",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string", "description": "City name, e.g. 'Tokyo'"}},
        "required": ["location"],
    },
    "strict": False,
}
STILL: dict[str, Any] = {
    "model": TEXT,
    "temperature": 0,
    "max_output_tokens": 128,
    "reasoning": {"effort": "none"},
}


class Answer(BaseModel):
    capital: Literal["Paris", "Rome"]
    certain: bool


@pytest.fixture(scope="module")
def client(api: Api) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=api.url + "/v1", api_key=api.key, max_retries=0) as client:
        yield client


@pytest.fixture
def other(api: Api) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=api.url + "/v1", api_key=api.key, max_retries=0)


def test_an_answer_with_its_usage(client: openai.OpenAI) -> None:
    done = client.responses.create(input=CAPITAL, **STILL)
    assert "paris" in done.output_text.lower()
    assert (done.status, done.model) == ("completed", TEXT)
    assert done.usage is not None
    assert done.usage.input_tokens > 10
    assert 0 < done.usage.output_tokens < 20
    assert done.usage.total_tokens == done.usage.input_tokens + done.usage.output_tokens
    assert done.usage.output_tokens_details.reasoning_tokens == 0
    assert client.responses.input_tokens.count(
        model=TEXT, input=CAPITAL, reasoning={"effort": "none"}
    ).input_tokens == (done.usage.input_tokens)
    again = client.responses.create(input=CAPITAL, **STILL)
    assert again.usage is not None
    assert again.usage.input_tokens_details.cached_tokens > 0


def test_a_raw_answer_has_its_request_id(client: openai.OpenAI) -> None:
    raw = client.responses.with_raw_response.create(input=CAPITAL, user="me", **STILL)
    assert raw.headers["x-request-id"]
    assert raw.headers["x-assay-warnings"] == "no effect: user"
    assert raw.parse().output_text
    check_body(raw.http_response.json())


def test_a_stream_says_the_same_token_by_token(client: openai.OpenAI) -> None:
    asked = "Hello! Please respond with a single sentence greeting."
    whole = client.responses.create(input=asked, **STILL)
    events = list(client.responses.create(input=asked, stream=True, **STILL))
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(pieces) == whole.output_text
    assert whole.usage is not None
    assert len(pieces) > whole.usage.output_tokens / 2, "tokens arrive one by one, not in lumps"
    with client.responses.stream(input=asked, **STILL) as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert snapshots[-1] == final.output_text == whole.output_text
    assert final.usage is not None
    assert final.usage.output_tokens == whole.usage.output_tokens


async def test_the_asynchronous_client_says_the_same(other: openai.AsyncOpenAI) -> None:
    whole = await other.responses.create(input=CAPITAL, **STILL)
    async with other.responses.stream(input=CAPITAL, **STILL) as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_response()
    assert final.output_text == whole.output_text
    parsed = await other.responses.parse(input=CAPITAL, text_format=Answer, **STILL)
    assert parsed.output_parsed is not None
    got = await other.responses.retrieve(whole.id)
    assert got.output_text == whole.output_text
    await other.close()


@pytest.mark.parametrize("summary", [None, "auto"])
def test_thinking_is_an_item_before_the_answer(client: openai.OpenAI, summary: Literal["auto"] | None) -> None:
    fields = STILL | {"reasoning": {"effort": "high", "summary": summary}}
    thought, said = client.responses.create(input=CAPITAL, **fields).output
    assert (thought.type, said.type) == ("reasoning", "message")
    parts = thought.summary if summary else thought.content
    assert parts
    assert "<think>" not in parts[0].text
    assert bool(thought.summary) is bool(summary)
    with client.responses.stream(input=CAPITAL, **fields) as stream:
        kind = "response.reasoning_summary_text.delta" if summary else "response.reasoning_text.delta"
        deltas = [event.delta for event in stream if event.type == kind]
    assert "".join(deltas) == parts[0].text


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_is_called_and_its_result_read(client: openai.OpenAI, streamed: bool) -> None:
    if streamed:
        with client.responses.stream(input=WEATHER, tools=[TOOL], **STILL) as stream:
            first: Any = stream.get_final_response()
    else:
        first = client.responses.create(input=WEATHER, tools=[TOOL], **STILL)
    (call,) = first.output
    assert (call.type, call.name) == ("function_call", "get_weather")
    assert json.loads(call.arguments) == {"location": "Oslo"}
    result: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "Sunny, 21 degrees."}]
    after = client.responses.create(input=result, previous_response_id=first.id, tools=[TOOL], **STILL)
    assert after.output_text
    by_hand: Any = [{"role": "user", "content": WEATHER}, call.to_dict(), *result]
    whole = client.responses.create(input=by_hand, tools=[TOOL], store=False, **STILL)
    assert whole.output_text == after.output_text
    assert whole.usage is not None
    assert after.usage is not None
    assert whole.usage.input_tokens == after.usage.input_tokens
    items = list(client.responses.input_items.list(after.id, limit=1, order="asc"))
    assert [item.type for item in items] == ["message", "function_call", "function_call_output"]


def test_arguments_stream_in_fragments(api: Api) -> None:
    body = STILL | {"input": WEATHER, "tools": [TOOL], "stream": True}
    headers = {"authorization": f"Bearer {api.key}"}
    events = heard(httpx.post(api.url + "/v1/responses", json=body, headers=headers, timeout=60).content)
    response = check_response(events)
    assert json.loads(response["output"][0]["arguments"]) == {"location": "Oslo"}
    assert sum(event.event == "response.function_call_arguments.delta" for event in events) > 4


@pytest.mark.parametrize(("choice", "called"), [("none", False), ("required", True)])
def test_tool_choice_decides(client: openai.OpenAI, choice: Any, called: bool) -> None:
    done = client.responses.create(input=CAPITAL, tools=[TOOL], tool_choice=choice, **STILL)
    assert any(item.type == "function_call" for item in done.output) is called


def test_only_allowed_tools_are_called(client: openai.OpenAI) -> None:
    other: Any = {"type": "function", "name": "get_time", "parameters": {"type": "object", "properties": {}}}
    allowed: Any = {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "get_time"}],
    }
    done = client.responses.create(input=WEATHER, tools=[TOOL, other], tool_choice=allowed, **STILL)
    assert [item.name for item in done.output if item.type == "function_call"] == ["get_time"]
    assert [tool.name for tool in done.tools if tool.type == "function"] == ["get_weather", "get_time"]


def test_an_answer_of_a_class_is_parsed(client: openai.OpenAI) -> None:
    done = client.responses.parse(input=CAPITAL, text_format=Answer, **STILL)
    assert isinstance(done.output_parsed, Answer)
    with client.responses.stream(input=CAPITAL, text_format=Answer, **STILL) as stream:
        assert stream.get_final_response().output_parsed == done.output_parsed


def test_an_image_is_seen(client: openai.OpenAI) -> None:
    content: Any = [
        {"type": "input_image", "image_url": "data:image/png;base64," + base64.b64encode(png("red")).decode()},
        {
            "type": "input_text",
            "text": "Describe this image in one sentence. What shape do you see and what color is it?",
        },
    ]
    fields = STILL | {"model": VISION}
    done = client.responses.create(input=[{"role": "user", "content": content}], **fields)
    assert "red" in done.output_text.lower()
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(input=[{"role": "user", "content": content}], **STILL)
    assert refused.value.code == "unsupported_input"


def test_an_answer_that_is_cut_is_incomplete(client: openai.OpenAI) -> None:
    fields = STILL | {"max_output_tokens": 2}
    done = client.responses.create(input="Count from one to twenty.", **fields)
    assert done.status == "incomplete"
    assert done.incomplete_details is not None
    assert done.incomplete_details.reason == "max_output_tokens"
    assert done.output[-1].status == "incomplete"  # type: ignore[union-attr]


def test_logprobs_join_to_the_text(client: openai.OpenAI) -> None:
    done = client.responses.create(input=CAPITAL, include=["message.output_text.logprobs"], top_logprobs=2, **STILL)
    (part,) = done.output[0].content  # type: ignore[union-attr]
    assert part.type == "output_text"
    assert part.logprobs
    assert "".join(one.token for one in part.logprobs) == part.text
    assert all(len(one.top_logprobs) == 2 for one in part.logprobs)


def test_a_response_is_fetched_and_deleted(client: openai.OpenAI) -> None:
    done = client.responses.create(input=CAPITAL, metadata={"a": "b"}, **STILL)
    assert client.responses.retrieve(done.id) == done
    assert client.responses.cancel(done.id).status == "completed"
    client.responses.delete(done.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(done.id)
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(input="And?", previous_response_id=done.id, **STILL)
    assert refused.value.code == "previous_response_not_found"


def test_errors_are_the_clients_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.responses.create(input=CAPITAL, **STILL | {"model": "pocket/qwen4"})
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(input=CAPITAL, tools=[{"type": "file_search", "vector_store_ids": ["a"]}], **STILL)
    assert refused.value.param == "tools[0].type"
    with pytest.raises(openai.BadRequestError) as long:
        client.responses.create(input="word " * 20_000, **STILL)
    assert (long.value.code, long.value.param) == ("context_length_exceeded", "input")
    with pytest.raises(openai.BadRequestError) as none:
        client.responses.create(input=CAPITAL, **STILL | {"max_output_tokens": 0})
    assert none.value.param == "max_output_tokens"
