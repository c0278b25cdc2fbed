"""Logprobs over HTTP: tokens and their bytes join to what is shown, content and thinking apart, streamed or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.conftest import Api

TEXT = "pocket/qwen3"


@pytest.fixture
def client(api: Api) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{api.url}/v1", api_key=api.key, max_retries=0, timeout=60) as client:
        yield client


Scored = tuple[str, list[dict[str, Any]]]


def scored(client: openai.OpenAI, stream: bool, **options: Any) -> tuple[Scored, Scored]:
    """Content and thinking, each with the logprobs of its tokens."""
    asked = {"model": TEXT, "temperature": 0, "max_tokens": 80, "logprobs": True, "top_logprobs": 2, **options}
    content, thought = "", ""
    of_content: list[dict[str, Any]] = []
    of_thought: list[dict[str, Any]] = []
    answers = (
        client.chat.completions.create(**asked, stream=True) if stream else [client.chat.completions.create(**asked)]
    )
    for answer in answers:
        choice = answer.model_dump()["choices"][0]
        message = choice["delta" if stream else "message"]
        content += message.get("content") or ""
        thought += message.get("reasoning_content") or ""
        told = choice["logprobs"] or {}
        of_content += told.get("content") or ()
        of_thought += told.get("reasoning_content") or ()
    return (content, of_content), (thought, of_thought)


WEATHER = {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("What is the capital of France?", {}),
        ("What is the capital of France?", {"stop": ["Paris."]}),
        ("What is the capital of France?", {"max_tokens": 8}),
        ("What is the capital of France?", {"reasoning_effort": "none"}),
        ("What is the weather in Tokyo?", {"tools": [TOOL]}),
        ("Repeat: für 日本語 🙂", {"reasoning_effort": "none"}),
        ("Repeat: für 日本語 🙂", {"reasoning_effort": "none", "temperature": 2, "seed": 3, "max_tokens": 200}),
    ],
)
def test_logprobs_join_to_what_is_shown(
    client: openai.OpenAI, question: str, options: dict[str, Any], stream: bool
) -> None:
    turns = [{"role": "user", "content": question}]
    content, thought = scored(client, stream, messages=turns, **options)
    assert content[0] + thought[0] or "tools" in options
    for text, tokens in (content, thought):
        assert "".join(token["token"] for token in tokens) == text
        assert bytes(byte for token in tokens for byte in token["bytes"]).decode() == text


@pytest.mark.parametrize("stream", [False, True])
def test_each_token_of_a_character_has_its_own_bytes(client: openai.OpenAI, stream: bool) -> None:
    only = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"const": "ü🙂"}}}
    turns = [{"role": "user", "content": "Hi"}]
    (text, tokens), _ = scored(client, stream, messages=turns, reasoning_effort="none", response_format=only)
    assert text == '"ü🙂"'
    assert [token["bytes"] for token in tokens][1:-1] == [[195], [188], [240], [159], [153], [130]]
    assert [token["token"] for token in tokens] == ['"', "", "ü", "", "", "", "🙂", '"']
    assert all(token["bytes"] in [other["bytes"] for other in token["top_logprobs"]] for token in tokens)
