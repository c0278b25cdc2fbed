"""Prompts as tokens and back, without a model in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from core.engine import Engine
from core.golden.routes.openai import data_uri
from core.pocket import POCKET_MODELS
from tests.conftest import Api
from tests.pictures import png

TEXT = "Ça va, 世界? <|im_end|> 42"
CHAT = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture
def http(api: Api) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api.url, headers={"x-api-key": api.key}, timeout=60) as client:
        yield client


@pytest.mark.parametrize("model", [model.id for model in POCKET_MODELS])
def test_a_text_comes_back_from_its_tokens(http: httpx.Client, model: str) -> None:
    told = http.post("/tokenize", json={"model": model, "prompt": TEXT, "return_token_strs": True}).json()
    assert told["count"] == len(told["tokens"]) == len(told["token_strs"]) > 5
    assert told["max_model_len"] == 4096
    back = http.post("/detokenize", json={"model": model, "tokens": told["tokens"]}).json()["prompt"]
    assert back.endswith(TEXT)


def test_a_conversation_is_counted_as_the_answer_counts_it(http: httpx.Client) -> None:
    body = {"model": "pocket/qwen3", "messages": CHAT}
    told = http.post("/tokenize", json=body).json()
    answer = http.post("/v1/chat/completions", json=body | {"max_tokens": 4}).json()
    assert told["count"] == answer["usage"]["prompt_tokens"]
    assert told["token_strs"] is None
    text = http.post("/detokenize", json={"model": "pocket/qwen3", "tokens": told["tokens"]}).json()["prompt"]
    assert "<|im_start|>user\nWhat is the capital of France?<|im_end|>" in text


def test_no_model_is_loaded_for_it(http: httpx.Client, engine: Engine) -> None:
    engine.unload("pocket/gemma3", cancel=True).result(30)
    assert http.post("/tokenize", json={"model": "pocket/gemma3", "messages": CHAT}).status_code == 200
    assert "pocket/gemma3" not in [model.id for model in engine.status().models]


@pytest.mark.parametrize(
    ("path", "change", "status", "says"),
    [
        ("/tokenize", {"model": "none", "prompt": "a"}, 404, "GET /v1/models"),
        ("/tokenize", {"prompt": 5}, 400, "prompt"),
        ("/tokenize", {}, 400, "either messages"),
        ("/detokenize", {"tokens": [10**9]}, 400, "1000000000 is no token of pocket/qwen3"),
        ("/detokenize", {"tokens": [-(10**299)]}, 400, "A number of 300 digits is no token"),
        ("/detokenize", {"tokens": [-1]}, 400, "-1 is no token"),
        ("/detokenize", {"tokens": ["a"]}, 400, "tokens[0]"),
        ("/detokenize", {}, 400, "tokens is missing"),
    ],
)
def test_what_cannot_be_read_is_said(
    http: httpx.Client, path: str, change: dict[str, object], status: int, says: str
) -> None:
    answer = http.post(path, json={"model": "pocket/qwen3"} | change)
    assert answer.status_code == status, answer.text
    assert says in answer.json()["error"]["message"]


@pytest.mark.parametrize("model", ["pocket/qwen2-vl", "pocket/gemma3"])
def test_an_image_is_told_as_the_token_that_stands_for_it(http: httpx.Client, model: str) -> None:
    image = {"type": "image_url", "image_url": {"url": data_uri(png("red", (200, 90)))}}
    asked = {"model": model, "messages": [{"role": "user", "content": [{"type": "text", "text": "What?"}, image]}]}
    told = http.post("/tokenize", json=asked | {"return_token_strs": True}).json()
    assert told["count"] == len(told["tokens"]) == len(told["token_strs"])
    mark, often = Counter(told["token_strs"]).most_common(1)[0]
    assert often > 10
    assert "image" in mark
    answer = http.post("/v1/chat/completions", json=asked | {"max_tokens": 1}).json()
    assert answer["usage"]["prompt_tokens"] == told["count"]


@pytest.mark.parametrize("model", ["tiny/bert", "tiny/qwen3-embedding", "tiny/reranker"])
def test_models_that_read_without_writing_tell_tokens_too(tiny_api: Api, model: str) -> None:
    with httpx.Client(base_url=tiny_api.url, headers={"x-api-key": tiny_api.key}, timeout=60) as http:
        told = http.post(
            "/tokenize", json={"model": model, "prompt": "the red house", "return_token_strs": True}
        ).json()
        assert (told["token_strs"][0], told["token_strs"][-1]) == ("[CLS]", "[SEP]")
        assert told["max_model_len"] in (64, 128)
        if model != "tiny/reranker":
            usage = http.post("/v1/embeddings", json={"model": model, "input": "the red box"}).json()["usage"]
            assert told["count"] == usage["prompt_tokens"]
        back = http.post("/detokenize", json={"model": model, "tokens": told["tokens"]}).json()["prompt"]
        assert back.startswith("[CLS] the red")
        refused = http.post("/tokenize", json={"model": model, "messages": CHAT})
        assert refused.status_code == 400
        assert "chat needs a text or vision model" in refused.json()["error"]["message"]


def test_no_tokens_are_no_text(http: httpx.Client) -> None:
    assert http.post("/detokenize", json={"model": "pocket/qwen3", "tokens": []}).json() == {"prompt": ""}


def test_of_a_prompt_far_beyond_the_window_no_tokens_are_told(http: httpx.Client) -> None:
    told = http.post("/tokenize", json={"model": "pocket/qwen3", "prompt": "\n? " * 80_000}).json()
    assert told["count"] == len(told["tokens"]) > 4096
    answer = http.post("/tokenize", json={"model": "pocket/qwen3", "prompt": "\n? " * 1_000_000})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "context_length_exceeded"
    assert "more than 262144 tokens and pocket/qwen3 reads at most 4096" in error["message"]
