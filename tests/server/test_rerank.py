"""POST /v1/rerank, over models with random weights: to an embeddings model a text is nearest to itself."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import Api

BODY = {"model": "tiny/bert", "query": "green", "documents": ["a red square", "green", {"text": "blue and round"}]}


@pytest.fixture
def http(tiny_api: Api) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=tiny_api.url, headers={"x-api-key": tiny_api.key}, timeout=60) as client:
        yield client


def test_the_nearest_comes_first(http: httpx.Client) -> None:
    told = http.post("/v1/rerank", json=BODY).json()
    scores = [one["relevance_score"] for one in told["results"]]
    assert told["results"][0]["index"] == 1
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(1, abs=1e-3)
    assert sorted(one["index"] for one in told["results"]) == [0, 1, 2]
    assert all("document" not in one for one in told["results"])
    assert told["model"] == "tiny/bert"
    assert told["usage"]["total_tokens"] > 0


def test_scores_are_cosines_of_the_embeddings(http: httpx.Client) -> None:
    texts = ["green", "a red square", "blue and round"]
    vectors = [
        one["embedding"]
        for one in http.post("/v1/embeddings", json={"model": "tiny/bert", "input": texts}).json()["data"]
    ]
    told = http.post("/v1/rerank", json={"model": "tiny/bert", "query": texts[0], "documents": texts[1:]}).json()
    for one in told["results"]:
        cosine = sum(a * b for a, b in zip(vectors[0], vectors[1 + one["index"]], strict=True))
        assert one["relevance_score"] == pytest.approx(cosine, abs=1e-3)


def test_a_reranker_tells_0_to_1_and_may_be_the_default(http: httpx.Client) -> None:
    told = http.post("/v1/rerank", json=BODY | {"model": "tiny/reranker"}).json()
    scores = [one["relevance_score"] for one in told["results"]]
    assert told["model"] == "tiny/reranker"
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score < 1 for score in scores)
    assert told["usage"]["total_tokens"] > 0
    default = http.post("/v1/rerank", json=BODY | {"model": "default"}).json()["model"]
    assert default in ("tiny/bert", "tiny/qwen3-embedding", "tiny/reranker")  # whichever is loaded
    kinds = {one["id"]: one["kind"] for one in http.get("/v1/models").json()["data"]}
    assert kinds["tiny/reranker"] == "reranker"


def test_only_so_many_are_told_with_their_texts(http: httpx.Client) -> None:
    told = http.post("/v1/rerank", json=BODY | {"top_n": 1, "return_documents": True}).json()
    assert [(one["index"], one["document"]) for one in told["results"]] == [(1, {"text": "green"})]


@pytest.mark.parametrize("model", ["tiny/bert", "tiny/reranker"])
def test_equal_texts_stay_in_their_order(http: httpx.Client, model: str) -> None:
    told = http.post("/v1/rerank", json={"model": model, "query": "green", "documents": ["red square"] * 14}).json()
    assert len({one["relevance_score"] for one in told["results"]}) == 1
    assert [one["index"] for one in told["results"]] == list(range(14))


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"documents": []}, 400, "documents must have at least 1 item"),
        ({"documents": [7]}, 400, "documents[0]"),
        ({"top_n": 0}, 400, "top_n"),
        ({"query": None}, 400, "query"),
        ({"model": "pocket/qwen3"}, 400, "tiny/bert"),
        ({"model": "pocket/gemma3"}, 400, "tiny/reranker"),
        ({"model": "none"}, 404, "none"),
        ({"documents": ["green", ""]}, 400, "documents[1] is an empty text"),
        ({"query": ""}, 400, "query is an empty text"),
        ({"model": "tiny/reranker", "query": ""}, 400, "query is an empty text"),
        ({"model": "tiny/reranker", "documents": ["green", "x " * 70]}, 400, "documents[1] with the query has"),
        ({"documents": ["green", "x " * 70]}, 400, "documents[1] has"),
        ({"instruction": "Find shapes."}, 400, "leave it out"),
        ({"documents": ["red"] * 2048}, 400, "documents has 2048 texts; at most 2047"),
        ({"model": "pocket/qwen3", "documents": ["red"] * 2048}, 400, "documents has 2048 texts; at most 2047"),
    ],
)
def test_what_cannot_be_ordered_is_said(http: httpx.Client, change: dict[str, object], status: int, says: str) -> None:
    answer = http.post("/v1/rerank", json=BODY | change)
    assert answer.status_code == status, answer.text
    assert says in answer.json()["error"]["message"]
