"""One embedding model at work: texts of several requests share a forward pass, first in, first out."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx
import numpy as np

from core.calls.clock import Clock
from core.calls.embedding import Embedding, EmbeddingResult
from core.errors import ContextOverflow, EngineError, GenerationFailed, InvalidRequest, ModelUnloaded
from core.mlx.embeddings.loading import LoadedEmbedder, embed, unit
from core.mlx.token_budget import Pace
from core.settings import Settings

STEP_S = 0.1
"""Seconds that a batch should take: it keeps other models waiting for so long. The batch's size follows from it."""

SMALLEST_BATCH = 32
"""Tokens, padding included; a text that is longer than a batch goes alone: these models read a text in one piece."""

TOKENIZED_AT_ONCE = 32
"""Texts that are tokenized together, ahead of the batch: the tokenizer spreads them over the cores."""


@dataclass
class _Job:
    """A request with the places of its texts that are still to do, shortest text first: it pads least."""

    embedding: Embedding
    clock: Clock
    todo: deque[int] = field(default_factory=deque)
    tokens: dict[int, list[int]] = field(default_factory=dict)
    vectors: dict[int, list[float]] = field(default_factory=dict)
    prompt_tokens: int = 0

    def __post_init__(self) -> None:
        inputs = self.embedding.request.inputs
        self.todo.extend(sorted(range(len(inputs)), key=lambda place: len(inputs[place])))


class EmbeddingRuntime:
    """All methods run on the MLX thread. `step` embeds one batch.

    The first holds `prefill_chunk` tokens, padding included; those after it as many as take STEP_S, at most eight
    times as many.
    """

    def __init__(self, loaded: LoadedEmbedder, settings: Settings, stream: mx.Stream) -> None:
        self.loaded = loaded
        self.last_used = time.monotonic()
        self.loaded_at = 0.0
        self.load_s = 0.0
        self.memory_bytes = 0
        self.precision = ""
        self.pace = Pace(settings.prefill_chunk, SMALLEST_BATCH, 8 * settings.prefill_chunk, STEP_S)
        self._stream = stream
        self._jobs: deque[_Job] = deque()

    @property
    def running(self) -> int:
        return sum(job.embedding.admitted for job in self._jobs)

    @property
    def waiting(self) -> int:
        return len(self._jobs) - self.running

    @property
    def busy(self) -> bool:
        return bool(self._jobs)

    def submit(self, embedding: Embedding, clock: Clock) -> None:
        """Queue a request; its texts join a batch when those before it have."""
        self._jobs.append(_Job(embedding, clock))

    def cancel(self, embedding: Embedding) -> bool:
        """Forget a request; returns whether it was here. `step` finds by itself those whose future was cancelled."""
        here = [job for job in self._jobs if job.embedding is embedding]
        for job in here:
            job.embedding.future.cancel()
            self._jobs.remove(job)
        return bool(here)

    def close(self, error: EngineError | None = None) -> None:
        """End every request with `error` and give the memory back; the runtime is of no use afterwards."""
        for job in self._jobs:
            job.embedding.fail(error or ModelUnloaded(f"{self.loaded.info.id} was unloaded before it had finished."))
        self._jobs.clear()
        del self.loaded

    def step(self) -> None:
        """Embed one batch. A failing batch fails its requests, never the thread."""
        self.last_used = time.monotonic()
        for job in [job for job in self._jobs if job.embedding.done]:
            self._jobs.remove(job)
        batch = self._batch()
        if not batch:
            return
        rows = [job.tokens[place] for job, place in batch]
        began = time.monotonic()
        try:
            with mx.stream(self._stream):
                vectors = embed(self.loaded, rows)
            if not np.isfinite(vectors).all():
                raise ValueError("a vector holds numbers that are not finite")
        except Exception as error:  # the library's failures are many; the thread outlives all of them
            self._fail({id(job): job for job, _ in batch}.values(), self._failure(error))
            mx.clear_cache()
            return
        self.pace.saw(len(rows) * max(len(row) for row in rows), time.monotonic() - began)
        for (job, place), vector in zip(batch, vectors, strict=True):
            size = job.embedding.request.dimensions
            if size is not None and size < len(vector):
                vector = unit(vector[None, :size])[0]
            job.vectors[place] = vector.tolist()
            job.prompt_tokens += len(job.tokens.pop(place))
        for job in list(self._jobs):
            if not job.todo and not job.tokens:
                self._finish(job)

    def _batch(self) -> list[tuple[_Job, int]]:
        """The next texts in the order of their requests: rows x longest is at most the limit, or one row."""
        batch: list[tuple[_Job, int]] = []
        longest = 0
        for job in list(self._jobs):
            try:
                while job.todo:
                    place = job.todo[0]
                    length = len(self._tokens(job, place))
                    if batch and (len(batch) + 1) * max(longest, length) > self.pace.limit:
                        return batch
                    batch.append((job, job.todo.popleft()))
                    longest = max(longest, length)
            except Exception as error:
                batch = [entry for entry in batch if entry[0] is not job]
                self._fail([job], error if isinstance(error, EngineError) else self._failure(error))
        return batch

    def _tokens(self, job: _Job, place: int) -> list[int]:
        """The tokens of one text; the next few of the same request are tokenized with it."""
        if place not in job.tokens:
            self._admit(job)
            places = list(job.todo)[:TOKENIZED_AT_ONCE]
            inputs = job.embedding.request.inputs
            rows = self.loaded.tokenizer([inputs[other] for other in places], padding=False, truncation=False)
            for other, row in zip(places, rows["input_ids"], strict=True):
                self._check(other, row)
                job.tokens[other] = list(row)
        return job.tokens[place]

    def _admit(self, job: _Job) -> None:
        if job.embedding.admitted:
            return
        job.embedding.admitted = True
        job.clock.admitted = time.monotonic()
        size, info = job.embedding.request.dimensions, self.loaded.info
        if size is not None and size > self.loaded.size:
            raise InvalidRequest(
                f"dimensions is {size}; the vectors of {info.id} have {self.loaded.size} numbers.", "dimensions"
            )

    def _check(self, place: int, row: list[int]) -> None:
        info, limit = self.loaded.info, self.loaded.context_length
        if not row:
            raise InvalidRequest(f"input[{place}] comes to no tokens, which have no meaning to embed.", "input")
        if len(row) > limit:
            raise ContextOverflow(
                f"input[{place}] has {len(row)} tokens and {info.id} reads at most {limit}. Split it.",
                len(row),
                limit,
                "input",
            )

    def _finish(self, job: _Job) -> None:
        self._jobs.remove(job)
        vectors = [job.vectors[place] for place in range(len(job.vectors))]
        job.embedding.finish(EmbeddingResult(vectors, job.prompt_tokens, job.clock.timing()))

    def _fail(self, jobs: Any, error: EngineError) -> None:
        for job in jobs:
            self._jobs.remove(job)
            job.embedding.fail(error)

    def _failure(self, error: Exception) -> EngineError:
        if isinstance(error, EngineError):
            return error
        return GenerationFailed(f"{self.loaded.info.id} failed while embedding: {type(error).__name__}: {error}")
