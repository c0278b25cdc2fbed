"""Rerankers at work: encoders that read a query and a text together and say how well the one answers the other."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from core.calls.requests import EmbeddingRequest
from core.catalog import Float32, ModelInfo
from core.mlx.embeddings.loading import LoadedEmbedder
from core.mlx.embeddings.queue import Row, TextQueue
from core.mlx.embeddings.runtime import EmbeddingRuntime
from core.mlx.models.folder_view import readable
from core.mlx.models.lexicon import loading, longest_text
from core.mlx.models.loading import evaluate
from core.mlx.models.precision import arrange


def load_steps(info: ModelInfo, allow_code: bool, way: Float32 | None = None) -> Generator[float, None, LoadedEmbedder]:
    """Load a reranker, yielding the fraction done after each piece; returns the loaded model.

    `way` and what is raised are as in `core.mlx.models.loading.load_steps`.
    """
    with loading(info, allow_code), readable(info) as folder:
        from mlx_vlm.reranker_loader import load_sequence_classification_model
        from transformers import AutoTokenizer

        model = load_sequence_classification_model(folder, lazy=True)
        arrange(model, way)
        yield from evaluate(model)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=allow_code)
        window = longest_text(info, getattr(model.config, "pad_token_id", None), tokenizer)
        loaded = LoadedEmbedder(info, model, tokenizer, window, tokenizer.pad_token_id or 0, size=1)
        score(loaded, read(loaded, "a", ["a"]))
    return loaded


def read(loaded: LoadedEmbedder, query: str, texts: list[str]) -> list[Row]:
    """What the model reads of each text with the query."""
    read = loaded.tokenizer([query] * len(texts), texts, padding=False, truncation=False)
    rows = [Row(ids) for ids in read["input_ids"]]
    for row, segments in zip(rows, read.get("token_type_ids", ()), strict=False):
        row.segments = segments
    return rows


def score(loaded: LoadedEmbedder, rows: Sequence[Row]) -> np.ndarray[Any, Any]:
    """How well each row's text answers its query, 0 to 1, as mlx-vlm's server tells it; float32, shape (rows, 1)."""
    longest = max(map(len, rows))
    padded = {
        "input_ids": (loaded.pad_id, rows),
        "attention_mask": (0, [[1] * len(row) for row in rows]),
    }
    if all(row.segments is not None for row in rows):
        padded["token_type_ids"] = (0, [row.segments or [] for row in rows])
    arrays = {
        name: mx.array([[*row, *[filler] * (longest - len(row))] for row in values])
        for name, (filler, values) in padded.items()
    }
    logits = loaded.model(**arrays).logits
    return np.array(mx.sigmoid(logits.astype(mx.float32)).reshape(len(rows), 1))


class PairQueue(TextQueue):
    """Texts with the query of their request."""

    def _rows(self, request: EmbeddingRequest, texts: list[str]) -> list[Row]:
        return read(self._loaded, request.query or "", texts)


class RerankRuntime(EmbeddingRuntime):
    """A reranker: what comes of each text is a vector of one number."""

    def _make_queue(self, loaded: LoadedEmbedder) -> TextQueue:
        return PairQueue(loaded, self._failure)

    def _compute(self, rows: Sequence[Row]) -> np.ndarray[Any, Any]:
        return score(self.loaded, rows)
