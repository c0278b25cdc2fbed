"""A folder with an embedding model to the model in memory, and texts through it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from core.catalog import Float32, ModelInfo
from core.errors import UnsupportedInput
from core.mlx.models.folder_view import readable
from core.mlx.models.lexicon import loading, longest_text
from core.mlx.models.loading import evaluate
from core.mlx.models.precision import arrange


@dataclass
class LoadedEmbedder:
    """A model that turns texts into vectors of `size` numbers; `context_length` is in tokens, special ones included.

    A reranker makes a vector of one number of a query and a text.
    """

    info: ModelInfo
    model: Any
    tokenizer: Any
    context_length: int
    pad_id: int
    size: int = 0


def load_steps(info: ModelInfo, allow_code: bool, way: Float32 | None = None) -> Generator[float, None, LoadedEmbedder]:
    """Load an embedding model, yielding the fraction done after each piece; returns the loaded model.

    `way` is as in `core.mlx.models.loading.load_steps`. Raises as that does, and UnsupportedInput for a model that
    gives a vector for each token.
    """
    with loading(info, allow_code), readable(info) as folder:
        from mlx_vlm.embedding_loader import load_embedding_model
        from mlx_vlm.models.pooling import read_pooling_config
        from transformers import AutoTokenizer

        model = load_embedding_model(folder, lazy=True)
        arrange(model, way)
        yield from evaluate(model)
        model.pooling_config = read_pooling_config(folder)  # the loader leaves it to its caller
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=allow_code)
        pad_id = tokenizer.pad_token_id
        window = longest_text(info, getattr(model.config, "pad_token_id", None), tokenizer)
        loaded = LoadedEmbedder(info, model, tokenizer, window, 0 if pad_id is None else pad_id)
        loaded.size = embed(loaded, [tokenizer.encode("a") or [0]]).shape[1]
    return loaded


def embed(loaded: LoadedEmbedder, rows: Sequence[list[int]]) -> np.ndarray[Any, Any]:
    """Vectors of length 1, float32, shape (rows, size). Rows are padded on the right to the longest and masked."""
    longest = max(len(row) for row in rows)
    tokens = np.full((len(rows), longest), loaded.pad_id, dtype=np.int32)
    mask = np.zeros((len(rows), longest), dtype=np.int32)
    for place, row in enumerate(rows):
        tokens[place, : len(row)] = row
        mask[place, : len(row)] = 1
    vectors = loaded.model(mx.array(tokens), attention_mask=mx.array(mask)).text_embeds
    if vectors is None or vectors.ndim != 2:
        raise UnsupportedInput(
            f"{loaded.info.id} does not make one vector of a text (late interaction makes one for each token). "
            "Use an embeddings model that does."
        )
    return unit(np.array(vectors.astype(mx.float32)))


def unit(vectors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Each row divided by its L2 norm. Done in float32: what a half-precision model normalised is off by 1e-3."""
    norms: np.ndarray[Any, Any] = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: np.ndarray[Any, Any] = vectors / np.maximum(norms, 1e-12)
    return scaled
