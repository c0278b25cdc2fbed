"""One request by three protocols and in process: the same text, thinking, calls, finish and usage."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from core.calls.events import GenerationResult
from core.calls.requests import GenerationRequest, Message, Role, Sampling, Tool
from core.engine import Engine
from core.golden.routes import InProcess, Route
from core.golden.routes.anthropic import Anthropic
from core.golden.routes.http import HttpRoute
from core.golden.routes.openai import OpenAI
from core.golden.routes.responses import Responses
from core.media.images import check_image
from tests.conftest import Api
from tests.server.pictures import png

WEATHER = Tool(
    "get_weather",
    "Get the current weather in a given location",
    {
        "type": "object",
        "properties": {"location": {"type": "string", "description": "City name, e.g. 'Tokyo'"}},
        "required": ["location"],
    },
)


def request(text: str, *images: Any, model: str = "pocket/qwen3", **fields: Any) -> GenerationRequest:
    asked = GenerationRequest(
        model,
        (Message.text(Role.SYSTEM, "You are helpful."), Message.text(Role.USER, text, *images)),
        sampling=Sampling(temperature=0.0, max_tokens=64, seed=3),
        thinking=False,
    )
    return replace(asked, **fields)


REQUESTS = {
    "text": request("What is the capital of France? Answer in one word."),
    "thinking": request("What is the capital of France? Answer in one word.", thinking=True),
    "cut": request("Count from one to twenty.", sampling=Sampling(temperature=0.0, max_tokens=3)),
    "sampled": request("Tell me a short story.", sampling=Sampling(temperature=1.0, max_tokens=24, seed=5)),
    "call": request("What is the current weather in Oslo? Use the get_weather tool to find out.", tools=(WEATHER,)),
    "image": request("What color is this?", check_image(png("red")), model="pocket/gemma3"),
}


@pytest.mark.parametrize("asked", REQUESTS.values(), ids=list(REQUESTS))
def test_every_way_to_ask_gives_the_same(asked: GenerationRequest, engine: Engine, api: Api) -> None:
    routes: dict[str, Route] = {
        "in-process": InProcess(engine),
        "openai": HttpRoute(OpenAI(), api.url, api.key),
        "responses": HttpRoute(Responses(), api.url, api.key),
        "anthropic": HttpRoute(Anthropic(), api.url, api.key),
    }
    told = {name: outcome(asyncio.run(collected(route, asked))) for name, route in routes.items()}
    assert told == dict.fromkeys(routes, told["in-process"])


async def collected(route: Route, asked: GenerationRequest) -> GenerationResult:
    result = GenerationResult()
    async for event in route.stream(asked):
        result.add(event)
    await route.aclose()
    return result


def outcome(result: GenerationResult) -> dict[str, Any]:
    assert result.finished is not None
    usage = result.finished.usage
    return {
        "text": result.text,
        "thinking": result.thinking,
        "calls": [(call.name, call.parsed) for call in result.tool_calls],
        "finish": result.finished.reason,
        "usage": (usage.prompt_tokens, usage.completion_tokens, usage.thinking_tokens),
    }
