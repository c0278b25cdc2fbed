"""POST /v1/embeddings, with the official OpenAI client and raw HTTP, over models with random weights."""

from __future__ import annotations

import asyncio
import base64
import re
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from core.calls.embedding import EmbeddingResult
from core.calls.requests import EmbeddingRequest
from core.engine import Engine
from server.openai.embeddings import EmbeddingsBody, decode, encode
from tests.conftest import Api
from tests.server.waiting import wait_for

MODEL = "tiny/bert"
TEXTS = ["the cat sat on the mat", "a ship left the harbour"]


@pytest.fixture(scope="module")
def client(tiny_api: Api) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=tiny_api.url + "/v1", api_key=tiny_api.key, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def http(tiny_api: Api) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {tiny_api.key}"}
    with httpx.Client(base_url=tiny_api.url, headers=headers, timeout=60) as client:
        yield client


def test_the_client_gets_the_engines_vectors(client: openai.OpenAI, tiny_engine: Engine) -> None:
    """The official client asks for base64 by itself, and decodes it."""
    made = client.embeddings.create(model=MODEL, input=TEXTS)
    wanted = tiny_engine.embed(EmbeddingRequest(MODEL, tuple(TEXTS))).result(60)
    assert [item.index for item in made.data] == [0, 1]
    assert np.array([item.embedding for item in made.data]) == pytest.approx(np.array(wanted.vectors), abs=1e-7)
    assert made.model == MODEL
    assert made.usage.prompt_tokens == made.usage.total_tokens == wanted.prompt_tokens == 15


def test_numbers_and_base64_say_the_same(client: openai.OpenAI) -> None:
    numbers = client.embeddings.create(model=MODEL, input=TEXTS[0], encoding_format="float").data[0].embedding
    raw = client.embeddings.with_raw_response.create(model=MODEL, input=TEXTS[0], encoding_format="base64")
    text = raw.http_response.json()["data"][0]["embedding"]
    assert np.frombuffer(base64.b64decode(text), "<f4") == pytest.approx(numbers, abs=1e-8)
    assert np.linalg.norm(numbers) == pytest.approx(1, abs=1e-6)


def test_fewer_dimensions(client: openai.OpenAI) -> None:
    made = client.embeddings.create(model=MODEL, input=TEXTS, dimensions=8)
    assert [len(item.embedding) for item in made.data] == [8, 8]
    with pytest.raises(openai.BadRequestError, match="the vectors of tiny/bert have 32 numbers") as caught:
        client.embeddings.create(model=MODEL, input=TEXTS, dimensions=99)
    assert caught.value.param == "dimensions"


def test_default_is_a_model_that_can(client: openai.OpenAI) -> None:
    assert client.embeddings.create(model="default", input="cat").model in ("tiny/bert", "tiny/qwen3-embedding")


def test_a_text_over_the_window_is_refused_with_the_numbers(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=r"input\[1\] has 102 tokens.*at most 64") as caught:
        client.embeddings.create(model=MODEL, input=["cat", "cat " * 100])
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.param == "input"


def test_a_wrong_kind_and_an_unknown_model_are_told_apart(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="pocket/qwen3 is a text model and makes no embeddings") as caught:
        client.embeddings.create(model="pocket/qwen3", input="cat")
    assert caught.value.code == "unsupported_input"
    with pytest.raises(openai.NotFoundError, match="text-embedding-3-small"):
        client.embeddings.create(model="text-embedding-3-small", input="cat")
    with pytest.raises(openai.BadRequestError, match="text or vision model"):
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hi"}])


def test_without_an_embeddings_model_default_says_so(api: Api) -> None:
    with (
        openai.OpenAI(base_url=api.url + "/v1", api_key=api.key, max_retries=0) as client,
        pytest.raises(openai.NotFoundError, match="There is no embeddings model on this machine"),
    ):
        client.embeddings.create(model="default", input="cat")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"input": [[1, 2, 3]]}, "input cannot be .*: token numbers mean something.*check_embedding_ctx_length=False"),
        ({"input": [1, 2, 3]}, r"input cannot be \[1, 2, 3\]: token numbers"),
        ({"input": {"text": "cat"}}, "input must be a list, not"),
        ({"input": []}, "input is empty"),
        ({"input": ["cat", ""]}, r"input\[1\] is an empty text"),
        ({"input": ["cat", None]}, r"input\[1\] must be a text, not null"),
        ({"encoding_format": "hex"}, "encoding_format must be 'float' or 'base64', not"),
        ({"dimensions": 0}, "dimensions is 0"),
    ],
)
def test_a_body_that_cannot_be_used_is_a_sentence(http: httpx.Client, fields: dict[str, Any], says: str) -> None:
    answer = http.post("/v1/embeddings", json={"model": MODEL, "input": "cat"} | fields)
    assert answer.status_code == 400
    assert re.search(says, answer.json()["error"]["message"]), answer.text


def test_what_had_no_effect_is_reported(http: httpx.Client) -> None:
    answer = http.post("/v1/embeddings", json={"model": MODEL, "input": "cat", "user": "me"})
    assert answer.status_code == 200
    assert answer.headers["x-assay-warnings"] == "no effect: user"


def test_many_clients_share_the_model(tiny_api: Api) -> None:
    async def ask() -> list[list[float]]:
        async with openai.AsyncOpenAI(base_url=tiny_api.url + "/v1", api_key=tiny_api.key) as many:
            asked = (many.embeddings.create(model=MODEL, input=TEXTS[place % 2]) for place in range(24))
            return [made.data[0].embedding for made in await asyncio.gather(*asked)]

    vectors = np.array(asyncio.run(ask()))
    assert vectors[0::2] == pytest.approx(np.tile(vectors[0], (12, 1)), abs=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 0.01


def test_the_record_shows_the_request(http: httpx.Client, tiny_api: Api) -> None:
    http.post("/v1/embeddings", json={"model": MODEL, "input": TEXTS})
    wait_for(lambda: tiny_api.server.record.entries()[-1].state == "done")
    entry = tiny_api.server.record.entries()[-1]
    assert (entry.model, entry.prompt_tokens, entry.status) == (MODEL, 15, 200)


@pytest.fixture
def held(tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[Future[EmbeddingResult]]:
    """Requests for embeddings that nobody answers."""
    futures: list[Future[EmbeddingResult]] = []

    def embed(request: EmbeddingRequest) -> Future[EmbeddingResult]:
        futures.append(Future())
        return futures[-1]

    monkeypatch.setattr(tiny_engine, "embed", embed)
    return futures


def test_a_client_that_leaves_cancels_its_request(
    tiny_api: Api, held: list[Future[EmbeddingResult]], http: httpx.Client
) -> None:
    with pytest.raises(httpx.ReadTimeout):
        http.post("/v1/embeddings", json={"model": MODEL, "input": "cat"}, timeout=0.5)
    wait_for(lambda: bool(held) and held[0].cancelled())
    wait_for(lambda: tiny_api.server.record.entries()[-1].state == "cancelled")


def test_a_request_that_is_killed_is_told(
    tiny_api: Api, held: list[Future[EmbeddingResult]], http: httpx.Client
) -> None:
    def kill() -> None:
        wait_for(lambda: bool(held) and tiny_api.server.record.kill_all() > 0)

    killer = threading.Thread(target=kill)
    killer.start()
    answer = http.post("/v1/embeddings", json={"model": MODEL, "input": "cat"})
    killer.join()
    assert answer.status_code == 499
    assert answer.json()["error"]["code"] == "request_cancelled"


def test_decoding_and_encoding_need_no_engine() -> None:
    body = EmbeddingsBody(model="m", input="one")
    request = decode(body, "a/b")
    assert (request.model, request.inputs, request.dimensions, request.source) == ("a/b", ("one",), None, "openai")
    made = encode(EmbeddingResult([[0.6, -0.8]], 3), "a/b", as_base64=False)
    assert made["data"] == [{"object": "embedding", "index": 0, "embedding": [0.6, -0.8]}]
    assert encode(EmbeddingResult([[1.0]], 3), "a/b", as_base64=True)["data"][0]["embedding"] == "AACAPw=="
    with pytest.raises((ValidationError, RequestValidationError)):
        EmbeddingsBody(model="m", input=[[1]])
