"""Rerankers score as mlx-vlm's own server does, whatever stands beside a text in its batch."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.calls.requests import EmbeddingRequest
from core.catalog import Catalog, ModelKind
from core.engine import Engine
from core.errors import ContextOverflow, UnsupportedInput
from core.settings import Settings
from tests.tiny.embedders import BERT, RERANKERS, make_embedder, make_reranker

QUERY = "the cat on the mat"
TEXTS = ("a dog sat", "the cat sat on a mat at dawn", "cold bread", "red car runs over the warm loaf", "cat")


def told_by_mlx_vlm(folder: Path) -> list[float]:
    from mlx_vlm.reranker_loader import load_reranker
    from mlx_vlm.server.reranking import normalize_item, score_documents

    model, processor = load_reranker(folder)
    items = [normalize_item(text, "document") for text in TEXTS]
    scores, _ = score_documents(model, processor, model.config, normalize_item(QUERY, "query"), items, None)
    return list(scores)


@pytest.mark.parametrize("kind", RERANKERS)
def test_scores_are_those_of_mlx_vlm(kind: str, settings: Settings, tmp_path: Path) -> None:
    folder = make_reranker(tmp_path / "tiny" / kind, RERANKERS[kind])
    with Engine(settings.model_copy(update={"model_folders": [tmp_path]})) as engine:
        info = engine.catalog.get(f"tiny/{kind}")
        assert (info.kind, info.problem) == (ModelKind.RERANKER, None)
        found = engine.embed(EmbeddingRequest(info.id, TEXTS, query=QUERY)).result(60)
    assert [score for (score,) in found.vectors] == pytest.approx(told_by_mlx_vlm(folder), abs=1e-4)
    assert len({round(score, 4) for (score,) in found.vectors}) == len(TEXTS)


def test_a_classifier_of_several_labels_is_no_reranker(tmp_path: Path, settings: Settings) -> None:
    labels = {"id2label": {"0": "good", "1": "bad"}, "architectures": ["BertForSequenceClassification"]}
    make_embedder(tmp_path / "tiny" / "mood", {**BERT, **labels})
    info = Catalog(settings.model_copy(update={"model_folders": [tmp_path]})).get("tiny/mood")
    assert info.kind is ModelKind.UNKNOWN
    assert "classifier" in (info.problem or "")


def test_what_is_too_long_says_which_text(tiny_engine: Engine) -> None:
    long = ("cat", " ".join(["dog"] * 70))
    labels = ("documents[0]", "documents[1]")
    asked = EmbeddingRequest("tiny/reranker", long, query=QUERY, labels=labels)
    with pytest.raises(ContextOverflow, match=r"documents\[1\] with the query has 78 tokens"):
        tiny_engine.embed(asked).result(60)


def test_a_reranker_makes_no_embeddings_and_an_embeddings_model_takes_no_query(tiny_engine: Engine) -> None:
    with pytest.raises(UnsupportedInput, match="is a reranker model and makes no embeddings"):
        tiny_engine.embed(EmbeddingRequest("tiny/reranker", ("cat",)))
    with pytest.raises(UnsupportedInput, match="in order of a query. Use a reranker, such as tiny/reranker"):
        tiny_engine.embed(EmbeddingRequest("tiny/bert", ("cat",), query="dog"))
