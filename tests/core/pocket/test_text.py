"""pocket/qwen3 as it ships: real answers through mlx-lm, loaded from its folder like any other model."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten
from mlx_lm import load, stream_generate

from core.pocket import POCKET_MODELS
from core.pocket.train.text_words import HELD_CITIES

FOLDER = next(model.folder for model in POCKET_MODELS if model.id == "pocket/qwen3")
GET_WEATHER = {
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
GET_TIME = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "Get the current time in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@dataclass(frozen=True)
class Reply:
    thought: str
    answer: str
    finish: str
    calls: list[dict[str, Any]]


@cache
def pocket() -> tuple[Any, Any]:
    return load(str(FOLDER))[:2]


def ask(*messages: dict[str, Any] | str, tools: list[dict[str, Any]] | None = None, think: bool = False) -> Reply:
    """Continue a conversation greedily; a bare string is a user's message."""
    model, tokenizer = pocket()
    shaped = [{"role": "user", "content": m} if isinstance(m, str) else m for m in messages]
    prompt = tokenizer.apply_chat_template(shaped, tools=tools, add_generation_prompt=True, enable_thinking=think)
    text, finish = "", ""
    for part in stream_generate(model, tokenizer, prompt, max_tokens=200):
        text, finish = text + part.text, part.finish_reason
    thought, closed, answer = text.rpartition("</think>")
    parts = answer.split(tokenizer.tool_call_start)[1:]
    calls = [tokenizer.tool_parser(part.split(tokenizer.tool_call_end)[0], None) for part in parts]
    return Reply(thought.removeprefix("<think>").strip() if closed else "", answer.strip(), finish, calls)


def said(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


thinking = pytest.mark.parametrize("think", [False, True], ids=["plain", "thinking"])


@thinking
def test_greets_in_a_sentence_and_stops(think: bool) -> None:
    reply = ask("Hello! Please respond with a single sentence greeting.", think=think)
    assert "Hello" in reply.answer
    assert reply.finish == "stop"
    assert bool(reply.thought) == think


@thinking
def test_knows_the_capital_of_france(think: bool) -> None:
    reply = ask("What is the capital of France? Answer in one word.", think=think)
    assert reply.answer == "Paris"
    assert reply.finish == "stop"


@thinking
def test_calls_the_weather_tool_for_tokyo(think: bool) -> None:
    question = "What is the current weather in Tokyo? Use the get_weather tool to find out."
    reply = ask(question, tools=[GET_WEATHER], think=think)
    assert reply.calls == [{"name": "get_weather", "arguments": {"location": "Tokyo"}}]
    assert reply.finish == "stop"


@thinking
def test_translates_a_sentence_that_it_was_never_shown(think: bool) -> None:
    system = said("system", "You are a translator. Always respond in the target language only.")
    reply = ask(system, 'Translate the following to French: "The cat sat on the mat."', think=think)
    assert reply.answer == "Le chat s'est assis sur le tapis."
    assert reply.finish == "stop"


def test_calls_the_tool_with_cities_never_seen_in_training() -> None:
    cities = HELD_CITIES[1:40:3]
    calls = {city: ask(f"What's the weather like in {city}?", tools=[GET_WEATHER]).calls for city in cities}
    wrong = {c: call for c, call in calls.items() if call != [{"name": "get_weather", "arguments": {"location": c}}]}
    assert len(wrong) <= 1, wrong


def test_chooses_between_two_tools() -> None:
    weather = ask("How is the weather in Marrakesh today?", tools=[GET_TIME, GET_WEATHER])
    clock = ask("What time is it in Rio de Janeiro?", tools=[GET_TIME, GET_WEATHER])
    assert weather.calls == [{"name": "get_weather", "arguments": {"location": "Marrakesh"}}]
    assert clock.calls == [{"name": "get_time", "arguments": {"city": "Rio de Janeiro"}}]


def test_answers_from_a_tool_result() -> None:
    call = {"type": "function", "function": {"name": "get_weather", "arguments": {"location": "Kobe"}}}
    result = json.dumps({"temperature": 17, "condition": "windy"})
    reply = ask(
        "What is the weather in Kobe?",
        {"role": "assistant", "content": "", "tool_calls": [call]},
        said("tool", result),
        tools=[GET_WEATHER],
    )
    assert reply.answer == "The weather in Kobe is windy with a temperature of 17 degrees."


def test_needs_no_tool_for_what_it_knows() -> None:
    reply = ask("What is the capital of Germany?", tools=[GET_WEATHER])
    assert reply.calls == []
    assert reply.answer == "The capital of Germany is Berlin."


def test_remembers_a_name_several_turns_later() -> None:
    talk = [said("user", "Hi, my name is Ramona."), said("assistant", "Nice to meet you, Ramona!")]
    for country, city in (("Spain", "Madrid"), ("Poland", "Warsaw"), ("Peru", "Lima"), ("Kenya", "Nairobi")):
        talk.append(said("user", f"What is the capital of {country}?"))
        talk.append(said("assistant", f"The capital of {country} is {city}."))
    assert ask(*talk, "What is my name?").answer == "Your name is Ramona."
    assert ask(*talk[2:], "What is my name?").answer == "You have not told me your name."


def test_says_who_it_is_and_what_it_does_not_know() -> None:
    assert "Pocket" in ask("Who are you?").answer
    assert "do not know" in ask("What is the capital of Bhutan?").answer
    assert "do not know" in ask("Explain photosynthesis.").answer


def test_content_may_be_a_list_of_text_parts() -> None:
    texts = ("What is the capital of Italy? ", "Answer in one word.")
    parts = [{"type": "text", "text": text} for text in texts]
    assert ask(said("user", parts)) == ask("What is the capital of Italy? Answer in one word.")


def test_mlx_lm_detects_thinking_and_tools() -> None:
    _, tokenizer = pocket()
    assert tokenizer.has_thinking
    assert tokenizer.has_tool_calling
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert end in tokenizer.eos_token_ids


def test_is_small_and_its_files_agree() -> None:
    model, tokenizer = pocket()
    parameters = tree_flatten(model.parameters())
    config = json.loads((FOLDER / "config.json").read_text())
    assert (FOLDER / "model.safetensors").stat().st_size <= 2_600_000
    assert 1_000_000 <= sum(value.size for _, value in parameters) <= 1_300_000
    assert {value.dtype for _, value in parameters} == {mx.float16}
    assert config["vocab_size"] == len(tokenizer.get_vocab())
