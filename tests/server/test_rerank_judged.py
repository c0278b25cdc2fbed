"""POST /v1/rerank by a model that writes: how much likelier yes is than no, as mlx-vlm tells it of Qwen3-Reranker."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tokenizers import Tokenizer

from core.catalog import ModelKind
from core.engine import Engine
from core.golden.routes.openai import data_uri
from core.settings import Settings
from server import rerank_judged
from tests.conftest import Api, served
from tests.pictures import png
from tests.tiny import text_shapes
from tests.tiny.texts import make_text_model
from tests.tiny.visions import make_vision_model

QUERY = "Where is the harbour?"
TEXTS = ["The harbour is by the sea.", "Bread", "A cat sat on the mat, and it sat there until the dawn."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model to which yes and no are a token each."""
    folder = tmp_path_factory.mktemp("judges") / "tiny" / "judge"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(text_shapes.ARCHITECTURES, "qwen3", {"vocab_size": text_shapes.VOCABULARY + 8})
        make_text_model("qwen3", folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens(list(rerank_judged.ANSWERS))
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def seeing(folder: Path) -> Path:
    """One that sees images, too, beside the other."""
    path = make_vision_model("qwen3_vl", folder.parent)
    tokenizer = json.loads((path / "tokenizer.json").read_text(encoding="utf-8"))
    words = tokenizer["model"]["vocab"]
    usual = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    for word in rerank_judged.ANSWERS:
        filler = next(name for name in words if name.startswith("Ġw") and name[2:].isdecimal())
        words[word] = words.pop(filler)
        tokenizer["added_tokens"].append({"id": words[word], "content": word, **usual})
    (path / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def api(settings: Settings, folder: Path, seeing: Path) -> Iterator[Api]:
    changed = settings.model_copy(update={"model_folders": [folder.parent.parent]})
    with Engine(changed) as engine:
        yield from served(engine, changed)


def told_by_mlx_vlm(folder: Path, instruction: str) -> list[float]:
    from mlx_vlm.reranker_loader import load_reranker
    from mlx_vlm.server import reranking

    model, processor = load_reranker(folder)
    items = [reranking.normalize_item(text, "document") for text in TEXTS]
    with pytest.MonkeyPatch.context() as patch:  # it ends the user's turn twice
        patch.setattr(reranking, "TEXT_SUFFIX", reranking.TEXT_SUFFIX.removeprefix("<|im_end|>\n"))
        query = reranking.normalize_item(QUERY, "query")
        scores, _ = reranking.score_documents(model, processor, model.config, query, items, instruction)
    return list(scores)


@pytest.mark.parametrize("instruction", [None, "Find places."])
def test_scores_are_those_of_mlx_vlm(api: Api, folder: Path, instruction: str | None) -> None:
    body = {"model": "tiny/judge", "query": QUERY, "documents": TEXTS, "instruction": instruction}
    answer = httpx.post(f"{api.url}/v1/rerank", json=body, headers={"x-api-key": api.key}, timeout=60)
    assert answer.status_code == 200, answer.text
    found = {one["index"]: one["relevance_score"] for one in answer.json()["results"]}
    told = told_by_mlx_vlm(folder, instruction or rerank_judged.INSTRUCTIONS[ModelKind.TEXT])
    assert [found[place] for place in range(len(TEXTS))] == pytest.approx(told, abs=1e-3)
    assert json.loads(answer.text)["usage"]["prompt_tokens"] > 3 * 20


def seen_by_mlx_vlm(folder: Path, query: Any, documents: list[Any], instruction: str) -> list[float]:
    from mlx_vlm.reranker_loader import load_reranker
    from mlx_vlm.server import reranking

    model, processor = load_reranker(folder)
    query, *documents = [reranking.normalize_item(item, "item") for item in (query, *documents)]
    return [
        reranking.score_documents(model, processor, model.config, query, [one], instruction)[0][0] for one in documents
    ]


@pytest.mark.parametrize("instruction", [None, "Find places."])
def test_images_are_put_in_order_as_mlx_vlm_does(api: Api, seeing: Path, instruction: str | None) -> None:
    red, green = data_uri(png("red", (96, 64))), data_uri(png("green", (64, 96)))
    query = {"text": QUERY, "image_url": {"url": red}}
    documents = ["Bread", {"image": green}, {"text": "The sea.", "image": red}, {"text": TEXTS[0]}]
    body = {"model": "tiny/qwen3_vl", "query": query, "documents": documents, "return_documents": True}
    told = httpx.post(
        f"{api.url}/v1/rerank", json=body | {"instruction": instruction}, headers={"x-api-key": api.key}, timeout=60
    )
    assert told.status_code == 200, told.text
    found = {one["index"]: one["relevance_score"] for one in told.json()["results"]}
    wanted = instruction or rerank_judged.INSTRUCTIONS[ModelKind.VISION]
    scores = seen_by_mlx_vlm(seeing, query, documents, wanted)
    odds = [math.log(score / (1 - score)) for score in scores]
    shown = [math.log(found[place] / (1 - found[place])) for place in range(len(documents))]
    assert shown == pytest.approx(odds, abs=5e-3)
    assert len({round(one, 2) for one in odds}) == len(odds), "each has a score of its own"
    assert next(one["document"] for one in told.json()["results"] if one["index"] == 1) == {"image": green}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"documents": [{}]}, "documents[0] has neither text nor image"),
        ({"documents": [{"image": "file:///etc/passwd"}]}, "data"),
        ({"model": "tiny/judge", "documents": [{"image": "data:image/png;base64,AA"}]}, "cannot see images"),
        ({"query": {"text": ""}}, "query has neither"),
    ],
)
def test_what_cannot_be_judged_is_said(api: Api, change: dict[str, Any], says: str) -> None:
    body = {"model": "tiny/qwen3_vl", "query": QUERY, "documents": TEXTS} | change
    told = httpx.post(f"{api.url}/v1/rerank", json=body, headers={"x-api-key": api.key}, timeout=60)
    assert told.status_code == 400, told.text
    assert says in told.json()["error"]["message"]
