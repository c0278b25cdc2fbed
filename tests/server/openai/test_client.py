"""The official OpenAI client against the real engine and the pocket models."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from core.engine import Engine
from core.pocket import POCKET_MODELS
from core.settings import Settings
from server.lifecycle import ApiServer
from tests.conftest import Api
from tests.server.pictures import png
from tests.server.streams import check_openai, heard
from tests.server.waiting import wait_for

TEXT = "pocket/qwen3"
VISION = "pocket/gemma3"
CAPITAL = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
WEATHER = "What is the current weather in Oslo? Use the get_weather tool to find out."
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a given location",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string", "description": "City name, e.g. 'Tokyo'"}},
            "required": ["location"],
        },
    },
}
STILL: dict[str, Any] = {"temperature": 0, "max_tokens": 128, "reasoning_effort": "none"}


@pytest.fixture(scope="module")
def client(api: Api) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=api.url + "/v1", api_key=api.key, max_retries=0) as client:
        yield client


def test_an_answer_with_its_usage(client: openai.OpenAI) -> None:
    done = client.chat.completions.create(model=TEXT, messages=CAPITAL, **STILL)
    (choice,) = done.choices
    assert choice.message.content is not None
    assert "paris" in choice.message.content.lower()
    assert choice.finish_reason == "stop"
    assert done.model == TEXT
    assert done.usage is not None
    assert done.usage.prompt_tokens > 10
    assert 0 < done.usage.completion_tokens < 20
    assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens
    assert done._request_id is not None


def test_a_stream_says_the_same_token_by_token(client: openai.OpenAI) -> None:
    messages = [{"role": "user", "content": "Hello! Please respond with a single sentence greeting."}]
    whole = client.chat.completions.create(model=TEXT, messages=messages, **STILL)
    options = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(model=TEXT, messages=messages, stream=True, stream_options=options, **STILL)
    )
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert "".join(pieces) == whole.choices[0].message.content
    assert whole.usage is not None
    assert chunks[-1].usage is not None
    assert len(pieces) > whole.usage.completion_tokens / 2, "tokens arrive one by one, not in lumps"
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens


def test_thinking_is_apart_from_the_answer(client: openai.OpenAI) -> None:
    fields = STILL | {"reasoning_effort": "high"}
    message = client.chat.completions.create(model=TEXT, messages=CAPITAL, **fields).choices[0].message
    assert message.reasoning_content
    assert "<think>" not in (message.content or "") + message.reasoning_content
    without = client.chat.completions.create(model=TEXT, messages=CAPITAL, **STILL).choices[0].message
    assert not hasattr(without, "reasoning_content")


def test_a_tool_is_called_and_its_result_read(client: openai.OpenAI) -> None:
    messages: list[dict[str, Any]] = [{"role": "user", "content": WEATHER}]
    choice = client.chat.completions.create(model=TEXT, messages=messages, tools=[TOOL], **STILL).choices[0]
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls or []
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"location": "Oslo"}
    messages += [
        choice.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "Sunny, 21 degrees."},
    ]
    after = client.chat.completions.create(model=TEXT, messages=messages, tools=[TOOL], **STILL)
    assert after.choices[0].message.content
    assert after.usage is not None
    assert after.usage.prompt_tokens > 100


def test_tool_arguments_stream_in_fragments(api: Api) -> None:
    body = {"model": TEXT, "messages": [{"role": "user", "content": WEATHER}], "tools": [TOOL], "stream": True} | STILL
    headers = {"authorization": f"Bearer {api.key}"}
    raw = httpx.post(api.url + "/v1/chat/completions", json=body, headers=headers, timeout=60).content
    (message,) = check_openai(heard(raw))
    assert json.loads(message["tool_calls"][0]["arguments"]) == {"location": "Oslo"}
    assert message["finish_reason"] == "tool_calls"
    assert raw.count(b'"arguments"') > 4


@pytest.mark.parametrize(("choice", "called"), [("none", False), ("required", True)])
def test_tool_choice_decides(client: openai.OpenAI, choice: str, called: bool) -> None:
    done = client.chat.completions.create(model=TEXT, messages=CAPITAL, tools=[TOOL], tool_choice=choice, **STILL)
    assert bool(done.choices[0].message.tool_calls) is called


def test_the_system_prompt_is_followed(client: openai.OpenAI) -> None:
    messages = [
        {"role": "system", "content": "You are a translator. Always respond in the target language only."},
        {"role": "user", "content": 'Translate the following to French: "The cat sat on the mat."'},
    ]
    content = client.chat.completions.create(model=TEXT, messages=messages, **STILL).choices[0].message.content
    assert "chat" in (content or "").lower().split()


def test_a_stop_sequence_ends_the_answer_and_is_no_part_of_it(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model=TEXT, messages=CAPITAL, **STILL).choices[0].message.content or ""
    stop = whole[2:4]
    cut = client.chat.completions.create(model=TEXT, messages=CAPITAL, stop=[stop], **STILL).choices[0]
    assert cut.message.content == whole[:2]
    assert cut.finish_reason == "stop"


def test_max_tokens_cuts_and_says_so(client: openai.OpenAI) -> None:
    done = client.chat.completions.create(
        model=TEXT, messages=CAPITAL, max_completion_tokens=1, reasoning_effort="none", temperature=0
    )
    assert done.choices[0].finish_reason == "length"
    assert done.usage is not None
    assert done.usage.completion_tokens == 1


def test_a_seed_makes_an_answer_repeatable_and_choices_differ(client: openai.OpenAI) -> None:
    fields: dict[str, Any] = {"temperature": 2.0, "max_tokens": 24, "seed": 7, "reasoning_effort": "none"}
    first, second = (client.chat.completions.create(model=TEXT, messages=CAPITAL, n=3, **fields) for _ in range(2))
    texts = [choice.message.content for choice in first.choices]
    assert texts == [choice.message.content for choice in second.choices]
    assert len(set(texts)) > 1


@pytest.fixture
def narrow(settings: Settings, tmp_path: Path) -> Iterator[openai.OpenAI]:
    """A client of a server with "narrow": the text model with a window of 96 tokens."""
    folder = tmp_path / "models" / "narrow"
    shutil.copytree(next(model.folder for model in POCKET_MODELS if model.id == TEXT), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 96}))
    wider = settings.model_copy(update={"model_folders": [folder.parent], "data_dir": tmp_path / "data"})
    with Engine(wider) as engine:
        server = ApiServer(engine, wider)
        with openai.OpenAI(base_url=server.start(0) + "/v1", api_key=server.key, max_retries=0) as client:
            yield client
        server.stop()


def test_a_schema_without_max_tokens_goes_on_to_the_window_and_says_that_it_was_cut(narrow: openai.OpenAI) -> None:
    endless = {"type": "array", "items": {"type": "integer"}, "minItems": 96}
    asked: dict[str, Any] = {
        "model": "narrow",
        "messages": CAPITAL,
        "response_format": {"type": "json_schema", "json_schema": {"name": "numbers", "schema": endless}},
        "reasoning_effort": "none",
        "temperature": 0,
    }
    done = narrow.chat.completions.create(**asked)
    assert done.choices[0].finish_reason == "length"
    assert done.usage is not None
    assert done.usage.total_tokens == 96
    *_, last, usage = narrow.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    assert last.choices[0].finish_reason == "length"
    assert usage.usage.total_tokens == 96


def test_json_schema_constrains_the_answer(client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"capital": {"type": "string", "maxLength": 12}},
        "required": ["capital"],
        "additionalProperties": False,
    }
    asked = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    content = client.chat.completions.create(model=TEXT, messages=CAPITAL, response_format=asked, **STILL)
    assert list(json.loads(content.choices[0].message.content or "")) == ["capital"]


def test_logprobs_are_reported_for_each_token(client: openai.OpenAI) -> None:
    done = client.chat.completions.create(model=TEXT, messages=CAPITAL, logprobs=True, top_logprobs=3, **STILL)
    logprobs = done.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content
    assert "".join(token.token for token in logprobs.content) == done.choices[0].message.content
    for token in logprobs.content:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 3
        assert token.logprob == pytest.approx(token.top_logprobs[0].logprob), "greedy: the best one was taken"


def test_a_plain_completion_continues_its_prompt(client: openai.OpenAI) -> None:
    done = client.completions.create(model=TEXT, prompt="The capital of France is", max_tokens=4, temperature=0)
    assert done.choices[0].text
    assert done.usage is not None
    assert done.usage.completion_tokens <= 4
    chunks = client.completions.create(
        model=TEXT, prompt="The capital of France is", max_tokens=4, temperature=0, stream=True
    )
    assert "".join(chunk.choices[0].text for chunk in chunks) == done.choices[0].text


@pytest.mark.parametrize("color", ["red", "blue"])
def test_an_image_is_seen(client: openai.OpenAI, color: str) -> None:
    uri = "data:image/png;base64," + base64.b64encode(png(color)).decode()
    question = "Describe this image in one sentence. What shape do you see and what color is it?"
    content = [{"type": "image_url", "image_url": {"url": uri}}, {"type": "text", "text": question}]
    done = client.chat.completions.create(
        model=VISION, messages=[{"role": "user", "content": content}], temperature=0, max_tokens=128
    )
    assert color in (done.choices[0].message.content or "").lower()
    assert done.usage is not None
    assert done.usage.prompt_tokens > 30, "image tokens count"


def test_an_image_to_a_text_model_is_refused_with_a_sentence(client: openai.OpenAI) -> None:
    uri = "data:image/png;base64," + base64.b64encode(png()).decode()
    content = [{"type": "image_url", "image_url": {"url": uri}}]
    with pytest.raises(openai.BadRequestError, match="vision model"):
        client.chat.completions.create(model=TEXT, messages=[{"role": "user", "content": content}])


def test_a_prompt_over_the_window_is_refused_with_the_numbers(client: openai.OpenAI) -> None:
    messages = [{"role": "user", "content": "word " * 9000}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=TEXT, messages=messages)
    assert caught.value.code == "context_length_exceeded"
    assert "4096" in caught.value.message


def test_values_out_of_range_are_refused(client: openai.OpenAI) -> None:
    for fields in ({"temperature": 9}, {"top_p": -1}, {"max_tokens": 0}, {"stop": ""}, {"n": 99}):
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model=TEXT, messages=CAPITAL, **fields)


def test_the_models_are_listed_with_what_is_loaded(client: openai.OpenAI) -> None:
    client.chat.completions.create(model=TEXT, messages=CAPITAL, **STILL)
    models = {model.id: model for model in client.models.list()}
    assert models[TEXT].model_extra is not None
    assert models[TEXT].model_extra["loaded"] is True
    assert client.models.retrieve(TEXT).id == TEXT
    with pytest.raises(openai.NotFoundError, match="pocket/qwen3"):
        client.chat.completions.create(model="pocket/qwen", messages=CAPITAL)


@pytest.mark.parametrize("name", ["default", "quick", "full"])
def test_names_of_convenience(client: openai.OpenAI, name: str) -> None:
    done = client.chat.completions.create(model=name, messages=CAPITAL, **STILL)
    assert done.model.startswith("pocket/")


def test_many_clients_share_the_loaded_model(api: Api, engine: Engine) -> None:
    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(base_url=api.url + "/v1", api_key=api.key) as many:
            asked = (many.chat.completions.create(model=TEXT, messages=CAPITAL, **STILL) for _ in range(24))
            return [done.choices[0].message.content or "" for done in await asyncio.gather(*asked)]

    engine.load(TEXT).result()
    (before,) = [model for model in engine.status().models if model.id == TEXT]
    assert all("paris" in text.lower() for text in asyncio.run(ask()))
    (loaded,) = [model for model in engine.status().models if model.id == TEXT]
    assert loaded.loads == before.loads


def test_a_client_that_leaves_frees_its_row(api: Api, engine: Engine, client: openai.OpenAI) -> None:
    messages = [{"role": "user", "content": "Hello!"}]
    endless = {"temperature": 2.0, "max_tokens": 3500}
    stream = client.chat.completions.create(model=TEXT, messages=messages, stream=True, **endless)
    next(iter(stream))
    stream.close()
    wait_for(lambda: api.server.record.entries()[-1].state == "cancelled")
    client.chat.completions.create(model=TEXT, messages=CAPITAL, **STILL)
    wait_for(lambda: engine.status().running == 0)
