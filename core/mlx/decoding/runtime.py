"""One text or vision model at work: its requests go through the queue and the prefill stage into the batch."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import make_prompt_cache

from core.calls.clock import Clock
from core.calls.events import FinishReason
from core.calls.generation import Generation
from core.calls.scoring import Scoring
from core.errors import EngineError, GenerationFailed, ModelUnloaded
from core.mlx.decoding.batch import Batch
from core.mlx.decoding.batch_support import Batching, find_batching, known_batching
from core.mlx.decoding.output import OutputParser
from core.mlx.decoding.prefill_stage import PrefillStage
from core.mlx.decoding.prefix_reuse import PrefixReuse
from core.mlx.decoding.queue import AdmissionQueue
from core.mlx.decoding.reader import RequestReader
from core.mlx.decoding.row import Row
from core.mlx.decoding.scorer import Scorer
from core.mlx.kv.store import KvStore
from core.mlx.models.loading import LoadedWeights
from core.mlx.models.vision_decoder import VisionDecoder
from core.mlx.token_budget import TokenBudget
from core.settings import Settings

log = logging.getLogger(__name__)

JOINT_ROWS = 8
"""Rows whose prompts are prefilled together, if they fit one chunk."""
LARGEST = 4
"""Times `prefill_chunk` that are processed at once where that is quick; with its default, as many as mlx-lm's 2,048."""


class Runtime:
    """All methods run on the MLX thread. `step` does one decode step and at most one chunk of prefill.

    More than one chunk where the clock says that it takes less than the settings' `prefill_ms`, and a smaller one where
    others would stand for it too long.
    """

    def __init__(
        self, loaded: LoadedWeights, settings: Settings, stream: mx.Stream, store: KvStore, batching: Batching
    ) -> None:
        self.loaded = loaded
        self.last_used = time.monotonic()
        self._store = store
        decoder = _decoder(loaded)
        rows = 1 if batching is Batching.NEVER else settings.max_batch
        joint_rows = min(JOINT_ROWS, rows) if batching is Batching.ALWAYS else 1
        chunk, alone = settings.prefill_chunk, loaded.ranks.size == 1  # ranks would part where the clock decides
        budget = TokenBudget(chunk, chunk, LARGEST * chunk, settings.prefill_ms / 1000 if alone else 0.0)
        reuse = PrefixReuse(loaded.info.id, store.prefixes, make_prompt_cache(decoder))
        self._batch = Batch(
            decoder, loaded, reuse, budget, stream, rows=rows, joint_rows=joint_rows, chunk=LARGEST * chunk
        )
        beside = lambda: store.meter.crowded  # noqa: E731
        self._scorer = Scorer(decoder, loaded, reuse, budget, stream, rows=rows, joint_rows=joint_rows)
        self._prefill = PrefillStage(
            loaded,
            decoder,
            self._batch,
            self._scorer,
            reuse,
            store.images,
            budget,
            stream,
            joint_rows,
            self._failure,
            beside,
        )
        reader = RequestReader(loaded, store.prefixes, reuse.snapshots, store.meter, self._failure)
        self._queue = AdmissionQueue(loaded, reader, store, rows, self._failure)

    @property
    def running(self) -> int:
        return len(self._batch) + len(self._prefill) + len(self._scorer)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def busy(self) -> bool:
        return bool(self.running or self.waiting)

    def submit(self, work: Generation | Scoring, clock: Clock) -> None:
        """Queue a request; it joins the batch when there is room."""
        generation = self._scorer.ask(work) if isinstance(work, Scoring) else work
        self._queue.add(generation, clock, self.running)

    def step(self) -> None:
        """Admit, prefill a chunk, score one, decode a token for every row. A failing step fails its rows, never the
        thread."""
        self.last_used = time.monotonic()
        for over in self._scorer.forgotten():
            self._end(over)
        self._prefill.enter(self._queue.admit([*self._batch.rows, *self._scorer.rows], self._prefill.tasks))
        self._prefill.step()
        self._scorer.step(self._failure)
        try:
            if len(self._batch):
                self._batch.step()
        except Exception as error:  # the library's failures are many; the thread outlives all of them
            self._batch.fail(error if isinstance(error, EngineError) else self._failure(error))
            self._batch.restart()

    def cancel(self, work: Generation | Scoring) -> bool:
        """End a request of this model now; returns whether it was here. What it generated so far stays with it."""
        generation = self._scorer.prompt_of(work) if isinstance(work, Scoring) else work
        return generation is not None and self._end(generation)

    def _end(self, generation: Generation) -> bool:
        waiting = self._queue.remove(generation)
        if waiting is not None:
            parser = OutputParser(self.loaded.markers)
            Row(generation, waiting.clock, parser, self.loaded.spelling, None, 0).finish(FinishReason.CANCELLED)
            return True
        if self._prefill.cancel(generation) or self._scorer.remove(generation):
            return True
        row = self._batch.find(generation)
        if row is None:
            return False
        self._batch.remove(row)
        row.finish(FinishReason.CANCELLED)
        return True

    def close(self, error: EngineError | None = None) -> None:
        """End every request with `error` and give the memory back; the runtime is of no use afterwards."""
        name = self.loaded.info.id
        running = error or ModelUnloaded(f"{name} was unloaded while the request was running.")
        self._batch.fail(running)
        self._prefill.fail(running)
        unbegun = error or ModelUnloaded(f"{name} was unloaded before the request began.")
        self._queue.fail(unbegun)
        self._scorer.fail(running)
        self._batch.close()
        self._store.forget(name)
        del self._batch, self._prefill, self._scorer, self._queue, self.loaded

    def _failure(self, error: Exception) -> GenerationFailed:
        log.info("%s failed", self.loaded.info.id, exc_info=error)
        return GenerationFailed(f"{self.loaded.info.id} failed while generating: {type(error).__name__}: {error}")


def _decoder(loaded: LoadedWeights) -> Any:
    return VisionDecoder(loaded.model) if loaded.processor is not None else loaded.model


def batching_steps(loaded: LoadedWeights, settings: Settings) -> Generator[float, None, Batching]:
    """What a model's rows may share: found by a trial, yielding 1.0 between its pieces, or known from an earlier one.

    On the stream that is the thread's default.
    """
    decoder = _decoder(loaded)
    if loaded.ranks.size == 1:
        memory = settings.cache_dir / "batching"
        return (yield from known_batching(decoder, loaded.vocabulary, loaded.identity, memory))
    # All ranks take part in a trial, or none; and in one go, or they would be at different layers between two pieces.
    trial = find_batching(decoder, loaded.vocabulary)
    while True:
        try:
            next(trial)
        except StopIteration as end:
            return Batching(loaded.ranks.least(end.value))
