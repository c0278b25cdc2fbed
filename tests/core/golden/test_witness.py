"""What the engine tells of an answer, held against the bare tokenizer and the files, on every route."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from transformers import AutoTokenizer

from core.calls.events import Event, Finished
from core.calls.requests import GenerationRequest, Message, Role, Sampling
from core.calls.witness import ASKS, FIELD, Witness, tokens_sha256
from core.catalog import Catalog, fingerprint
from core.engine import Engine
from core.golden.routes import InProcess, Route
from core.golden.routes.anthropic import Anthropic
from core.golden.routes.http import HttpRoute
from core.golden.routes.openai import OpenAI
from core.golden.routes.responses import Responses
from core.golden.suite import BUILTIN, ROUTES
from core.media.images import read_image
from tests.conftest import Api

TEXT, VISION = "pocket/qwen3", "pocket/qwen2-vl"
RED, BLUE = (read_image(BUILTIN / "images" / f"{name}.png") for name in ("red_square", "blue_circle"))
ASKED = GenerationRequest(
    TEXT,
    (Message.text(Role.SYSTEM, "Be brief."), Message.text(Role.USER, "What is the capital of France?")),
    sampling=Sampling(temperature=0.0, max_tokens=40, seed=11, stop=("END",)),
    thinking=False,
)


@pytest.fixture
def routes(engine: Engine, api: Api) -> dict[str, Route]:
    return {
        "in-process": InProcess(engine),
        "openai": HttpRoute(OpenAI(), api.url, api.key),
        "responses": HttpRoute(Responses(), api.url, api.key),
        "anthropic": HttpRoute(Anthropic(), api.url, api.key),
    }


def ask(route: Route, request: GenerationRequest) -> Finished:
    async def read() -> list[Event]:
        try:
            return [event async for event in route.stream(request)]
        finally:
            await route.aclose()

    finished = asyncio.run(read())[-1]
    assert isinstance(finished, Finished)
    return finished


def witness(finished: Finished) -> Witness:
    assert finished.witness is not None
    return finished.witness


@pytest.mark.parametrize("name", ROUTES)
def test_the_witness_names_the_prompt_the_model_and_what_was_in_force(
    name: str, routes: dict[str, Route], catalog: Catalog
) -> None:
    finished = ask(routes[name], ASKED)
    told, info = witness(finished), catalog.get(TEXT)
    tokenizer = AutoTokenizer.from_pretrained(info.path)
    turns = [{"role": message.role.value, "content": message.plain_text} for message in ASKED.messages]
    tokens = tokenizer.apply_chat_template(turns, add_generation_prompt=True, enable_thinking=False)["input_ids"]
    assert (told.prompt_sha256, told.prompt_tokens) == (tokens_sha256(tokens), len(tokens))
    assert told.completion_tokens == finished.usage.completion_tokens == len(told.completion)
    assert told.completion_sha256 == tokens_sha256(told.completion)
    assert told.model == fingerprint(info)
    assert told.images == ()
    in_force = {name: told.sampling[name] for name in ("temperature", "seed", "max_tokens", "top_p", "top_k")}
    assert in_force == {"temperature": 0.0, "seed": 11, "max_tokens": 40, "top_p": 1.0, "top_k": 0}
    assert list(told.sampling["stop"]) == ["END"]


def test_all_routes_tell_the_same_of_images_and_of_what_nobody_set(routes: dict[str, Route]) -> None:
    shown = (Message.text(Role.USER, "Compare these two images.", RED, BLUE),)
    request = GenerationRequest(VISION, shown, sampling=Sampling(max_tokens=12, seed=5))
    told = [witness(ask(route, request)) for route in routes.values()]
    assert [image.sha256 for image in told[0].images] == [RED.sha256, BLUE.sha256]
    assert all(image.tokens for image in told[0].images)
    assert told[0].sampling["temperature"] is not None
    for field in ("prompt_sha256", "images", "completion_sha256", "completion", "model", "precision"):
        assert getattr(told[1], field) == getattr(told[0], field) == getattr(told[2], field)
    for other in told[1:]:
        assert json.loads(json.dumps(other.sampling)) == json.loads(json.dumps(told[0].sampling))


def test_a_seed_that_nobody_set_is_told(engine: Engine) -> None:
    request = replace(ASKED, sampling=Sampling(temperature=1.0, max_tokens=12))
    first = ask(InProcess(engine), request)
    again = replace(request, sampling=Sampling(temperature=1.0, max_tokens=12, seed=witness(first).sampling["seed"]))
    assert witness(ask(InProcess(engine), again)).completion_sha256 == witness(first).completion_sha256


def test_a_request_that_was_cancelled_while_it_waited_has_no_witness(engine: Engine) -> None:
    generation = engine.generate(ASKED)
    generation.cancel()
    finished = generation.result().finished
    assert finished is not None
    assert finished.witness is None or finished.witness.prompt_tokens > 0


BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4, "n": 2, "seed": 3},
    "/v1/messages": {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4},
}


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api.url, headers={"authorization": f"Bearer {api.key}"}, timeout=60) as client:
        yield client


@pytest.mark.parametrize("path", BODIES)
def test_only_who_asks_is_told_streamed_or_not(path: str, client: httpx.Client) -> None:
    body = BODIES[path] | {"model": TEXT}
    assert FIELD not in client.post(path, json=body).json()
    assert FIELD not in client.post(path, json=body | {"stream": True}).text
    whole = client.post(path, json=body, headers={ASKS: "1"}).json()[FIELD]
    assert len(whole) == body.get("n", 1)
    streamed = client.post(path, json=body | {"stream": True}, headers={ASKS: "1"}).text
    event = next(part for part in streamed.split("\n\n") if part.startswith(f"event: {FIELD}"))
    told = json.loads(event.partition("data: ")[2])[FIELD]
    assert [Witness.from_json(item).prompt_sha256 for item in told] == [item["prompt_sha256"] for item in whole]
