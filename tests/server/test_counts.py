"""Prompts of any length by the official clients: counted, and refused with their number before a model is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from core.engine import Engine
from core.settings import Settings
from tests.conftest import Api, served

TEXT, VISION = "pocket/qwen3", "pocket/gemma3"
WINDOW = 4096
FEW = 1_000


@pytest.fixture(scope="module")
def cold(settings: Settings) -> Iterator[Engine]:
    """An engine that has loaded nothing."""
    with Engine(settings) as engine:
        yield engine


@pytest.fixture(scope="module")
def api(cold: Engine, settings: Settings) -> Iterator[Api]:
    yield from served(cold, settings)


@pytest.fixture(scope="module")
def claude(api: Api) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=api.url, api_key=api.key, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def gpt(api: Api) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=api.url + "/v1", api_key=api.key, max_retries=0) as client:
        yield client


def turns(words: int) -> Any:
    return [{"role": "user", "content": "word " * words}]


def counted(claude: anthropic.Anthropic, words: int, model: str = TEXT) -> int:
    return claude.messages.count_tokens(model=model, messages=turns(words)).input_tokens


@pytest.mark.parametrize("model", [TEXT, VISION])
def test_a_prompt_of_any_length_is_counted(cold: Engine, claude: anthropic.Anthropic, model: str) -> None:
    around = counted(claude, FEW, model) - FEW
    for words in (24_001, 62_000):
        assert counted(claude, words, model) == words + around
    assert cold.status().models == ()


def test_the_input_of_a_response_is_counted_too(cold: Engine, gpt: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    told = gpt.responses.input_tokens.count(model=TEXT, input="word " * 24_001)
    few = gpt.responses.input_tokens.count(model=TEXT, input="word " * FEW)
    assert told.input_tokens - few.input_tokens == 24_001 - FEW
    assert cold.status().models == ()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("words", [4_100, 24_001, 62_000])
def test_an_overflow_says_the_true_number_before_the_model_is_loaded(
    cold: Engine, claude: anthropic.Anthropic, gpt: openai.OpenAI, words: int, stream: bool
) -> None:
    with pytest.raises(anthropic.BadRequestError) as refused:
        claude.messages.create(model=TEXT, max_tokens=9, messages=turns(words), stream=stream)
    tokens = counted(claude, words)
    assert refused.value.body["error"]["message"] == f"prompt is too long: {tokens} tokens > {WINDOW} maximum"
    asked: list[Any] = [
        lambda: gpt.chat.completions.create(model=TEXT, messages=turns(words), stream=stream),
        lambda: gpt.responses.create(model=TEXT, input=turns(words), stream=stream),
    ]
    for ask in asked:
        with pytest.raises(openai.BadRequestError) as overflow:
            ask()
        assert overflow.value.code == "context_length_exceeded"
        number = int(overflow.value.message.split("The prompt has ")[1].split()[0])
        assert abs(number - tokens) < 9  # the protocols differ in whether the model is to think, left unsaid
        assert f"This model's maximum context length is {WINDOW} tokens." in overflow.value.message
    assert cold.status().models == ()


def test_a_model_that_is_not_there_is_answered_with_some_that_are(
    gpt: openai.OpenAI, claude: anthropic.Anthropic
) -> None:
    asked: list[Any] = [
        lambda: gpt.chat.completions.create(model="gpt-7", messages=turns(1)),
        lambda: gpt.models.retrieve("gpt-7"),
        lambda: claude.messages.create(model="gpt-7", max_tokens=9, messages=turns(1)),
        lambda: gpt.embeddings.create(model="gpt-7", input="Hi"),
    ]
    for ask in asked:
        with pytest.raises((openai.NotFoundError, anthropic.NotFoundError)) as missing:
            ask()
        told = str(missing.value.body)
        assert any(name in told for name in (TEXT, VISION))
        assert "GET /v1/models" in told
        assert "assay " not in told
    with pytest.raises(openai.NotFoundError, match=r"Did you mean pocket/qwen3.*\? GET /v1/models lists"):
        gpt.models.retrieve("pocket/qwen")
