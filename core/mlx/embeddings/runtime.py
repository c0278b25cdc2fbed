"""One embedding model at work: texts of several requests share a forward pass."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from core.calls.clock import Clock
from core.calls.embedding import Embedding
from core.errors import EngineError, GenerationFailed, ModelUnloaded
from core.mlx.embeddings.loading import LoadedEmbedder, embed, unit
from core.mlx.embeddings.queue import Row, TextQueue
from core.mlx.token_budget import TokenBudget
from core.settings import Settings

STEP_S = 0.1
"""Seconds that a batch should take: it keeps other models waiting for so long. The batch's size follows from it."""

SMALLEST_BATCH = 32
"""Tokens, padding included; a text that is longer than a batch goes alone: these models read a text in one piece."""


class EmbeddingRuntime:
    """All methods run on the MLX thread. `step` embeds one batch.

    The first holds `prefill_chunk` tokens, padding included; those after it as many as take STEP_S, at most eight
    times as many.
    """

    def __init__(self, loaded: LoadedEmbedder, settings: Settings, stream: mx.Stream) -> None:
        self.loaded = loaded
        self.last_used = time.monotonic()
        self.budget = TokenBudget(settings.prefill_chunk, SMALLEST_BATCH, 8 * settings.prefill_chunk, STEP_S)
        self._stream = stream
        self._queue = self._make_queue(loaded)

    @property
    def running(self) -> int:
        return sum(job.embedding.admitted for job in self._queue)

    @property
    def waiting(self) -> int:
        return len(self._queue) - self.running

    @property
    def busy(self) -> bool:
        return len(self._queue) > 0

    def submit(self, embedding: Embedding, clock: Clock) -> None:
        """Queue a request; its texts join a batch when those before it have."""
        self._queue.add(embedding, clock)

    def cancel(self, embedding: Embedding) -> bool:
        """Forget a request; returns whether it was here. `step` finds by itself those whose future was cancelled."""
        here = self._queue.remove(embedding)
        if here:
            embedding.future.cancel()
        return here

    def close(self, error: EngineError | None = None) -> None:
        """End every request with `error` and give the memory back; the runtime is of no use afterwards."""
        unloaded = ModelUnloaded(f"{self.loaded.info.id} was unloaded before it had finished.")
        self._queue.fail(self._queue, error or unloaded)
        del self._queue, self.loaded

    def step(self) -> None:
        """Embed one batch. A failing batch fails its requests, never the thread."""
        self.last_used = time.monotonic()
        self._queue.finish()
        batch = self._queue.batch(self.budget.limit)
        if not batch:
            return
        rows = [job.tokens[place] for job, place in batch]
        began = time.monotonic()
        try:
            with mx.stream(self._stream):
                vectors = self._compute(rows)
            if not np.isfinite(vectors).all():
                raise ValueError("a vector holds numbers that are not finite")
        except Exception as error:  # the library's failures are many; the thread outlives all of them
            self._queue.fail({job for job, _ in batch}, self._failure(error))
            mx.clear_cache()
            return
        self.budget.saw(len(rows) * max(len(row) for row in rows), time.monotonic() - began)
        for (job, place), vector in zip(batch, vectors, strict=True):
            size = job.embedding.request.dimensions
            if size is not None and size < len(vector):
                vector = unit(vector[None, :size])[0]
            job.take(place, vector.tolist())
        self._queue.finish()

    def _make_queue(self, loaded: LoadedEmbedder) -> TextQueue:
        return TextQueue(loaded, self._failure)

    def _compute(self, rows: Sequence[Row]) -> np.ndarray[Any, Any]:
        """A vector for each row."""
        return embed(self.loaded, rows)

    def _failure(self, error: Exception) -> EngineError:
        if isinstance(error, EngineError):
            return error
        return GenerationFailed(f"{self.loaded.info.id} failed on these texts: {type(error).__name__}: {error}")
