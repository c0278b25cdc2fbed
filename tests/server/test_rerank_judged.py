"""POST /v1/rerank by a model that writes: how much likelier yes is than no, as mlx-vlm tells it of Qwen3-Reranker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tokenizers import Tokenizer

from core.engine import Engine
from core.settings import Settings
from server import rerank_judged
from tests.conftest import Api, served
from tests.tiny import text_shapes
from tests.tiny.texts import make_text_model

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
def api(settings: Settings, folder: Path) -> Iterator[Api]:
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
    told = told_by_mlx_vlm(folder, instruction or rerank_judged.INSTRUCTION)
    assert [found[place] for place in range(len(TEXTS))] == pytest.approx(told, abs=1e-3)
    assert json.loads(answer.text)["usage"]["prompt_tokens"] > 3 * 20
