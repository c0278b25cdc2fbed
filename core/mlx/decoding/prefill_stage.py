"""Admitted prompts on their way into the batch: read a chunk at a time, none of them computed twice."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import trim_prompt_cache

from core.calls.events import FinishReason, Prefill
from core.calls.generation import Generation
from core.errors import EngineError
from core.mlx.decoding.apart_trial import sees_usual_images
from core.mlx.decoding.batch import Batch
from core.mlx.decoding.prefill_task import PrefillTask, next_alone, next_group
from core.mlx.decoding.prefix_reuse import PrefixReuse
from core.mlx.decoding.row import Row
from core.mlx.decoding.scorer import Scorer
from core.mlx.decoding.text_prefill import TextPrefill
from core.mlx.decoding.vision_prefill import VisionPrefill
from core.mlx.kv.image_embeddings import ImageEmbeddings
from core.mlx.models.loading import LoadedWeights
from core.mlx.models.vision_decoder import RopeOffset, VisionDecoder
from core.mlx.prompt.image_inputs import unseen
from core.mlx.prompt.token_counts import check_fit
from core.mlx.token_budget import TokenBudget

log = logging.getLogger(__name__)

PATIENCE = 3
"""Steps for which a prompt of many chunks makes way: a short one that joins takes as many to its first token."""


class PrefillStage:
    """Between the queue and the batch. `step` lets in what may join, or reads a chunk of a prompt that may not yet.

    A chunk holds as many tokens as `budget` allows, fewer where others would stand for it too long: rows, other
    prompts, or other models, which `beside` tells. In a step as many chunks are read as fit its time. Prompts of one
    chunk at most are left to the batch, `joint_rows` of them at a time; answers that are to be scored after them go to
    the `scorer`. `failure` makes an EngineError of what a model
    raises over a prompt: it ends that request alone.
    """

    def __init__(
        self,
        loaded: LoadedWeights,
        decoder: Any,
        batch: Batch,
        scorer: Scorer,
        reuse: PrefixReuse,
        images: ImageEmbeddings,
        budget: TokenBudget,
        stream: mx.Stream,
        joint_rows: int,
        failure: Callable[[Exception], EngineError],
        beside: Callable[[], bool] = lambda: False,
    ) -> None:
        self.tasks: list[PrefillTask] = []
        """In the order of their admission."""
        self._loaded = loaded
        self._decoder = decoder
        self._batch = batch
        self._scorer = scorer
        self._reuse = reuse
        self._images = images
        self._budget = budget
        self._stream = stream
        self._joint_rows = joint_rows
        self._failure = failure
        self._beside = beside
        self._chunks = 0
        self._passed_over = 0

    def __len__(self) -> int:
        return len(self.tasks)

    def enter(self, tasks: Iterable[PrefillTask]) -> None:
        """Take in requests that have been admitted."""
        self.tasks += tasks

    def step(self) -> None:
        """Let prompts into the batch, or read a chunk of one; again while another as long would half fit the budget."""
        began, spent = time.monotonic(), 0.0
        while self._piece():
            before, spent = spent, time.monotonic() - began
            if spent + (spent - before) / 2 > self._budget.seconds:
                return

    def cancel(self, generation: Generation) -> bool:
        """End a request now; returns whether it was here. What has been read of its prompt is kept."""
        task = next((task for task in self.tasks if task.row.generation is generation), None)
        if task is None:
            return False
        self.tasks.remove(task)
        if task.work is not None:
            self._reuse.store(task.row, task.work.cache, task.row.key[: task.work.done])
        task.row.finish(FinishReason.CANCELLED)
        return True

    def fail(self, error: EngineError) -> None:
        """End every request with `error`."""
        for task in self.tasks:
            task.row.generation.fail(error)
        self.tasks.clear()

    @property
    def _chunk(self) -> int:
        """Tokens that are read next."""
        alone = len(self.tasks) == 1 and not len(self._batch) and not self._beside()
        return self._budget.limit if alone else self._budget.beside

    def _piece(self) -> bool:
        """Let the prompts that fit one chunk together into the batch, or else advance one of the others by a chunk.

        Returns whether there may be more to do before the batch's turn.
        """
        chunk = self._chunk
        for task in [task for task in self.tasks if task.work is None]:
            with self._owner(task):
                self._begin(task)
        alone = next_alone(self.tasks, chunk, self._chunks)
        if alone is None or self._passed_over < PATIENCE:
            group = [] if self._batch.reading else next_group(self.tasks, chunk, self._joint_rows)
            for task in group:
                with self._owner(task):
                    (self._batch if task.answer is None else self._scorer).insert(task)
                    self.tasks.remove(task)
            if group or (self._batch.entering and alone is not None and alone.left > chunk):
                self._passed_over += 1
                return False
        self._passed_over = 0
        if alone is not None:
            self._chunks += 1
            with self._owner(alone):
                self._advance(alone, chunk)
        return alone is not None

    @contextmanager
    def _owner(self, task: PrefillTask) -> Iterator[None]:
        """What raises over one prompt ends that request and no other."""
        try:
            yield
        except Exception as error:
            self.tasks.remove(task)
            task.row.generation.fail(error if isinstance(error, EngineError) else self._told(error, task))

    def _told(self, error: Exception, task: PrefillTask) -> EngineError:
        """Whose fault it is: some vision towers raise at images of odd sizes, which a client sent."""
        images = task.row.generation.request.images
        at_images = isinstance(task.work, VisionPrefill) and task.work.encoding
        if at_images and images and sees_usual_images(self._loaded):
            log.warning("%s failed at images: %s: %s", self._loaded.info.id, type(error).__name__, error)
            return unseen(self._loaded.info.id, images)
        return self._failure(error)

    def _begin(self, task: PrefillTask) -> None:
        """Give a prompt what is known of it already, unless another row is still at that."""
        row, inputs = task.row, task.inputs
        leader, shared = self._reuse.leader(row.key, self._running()) if task.kept else (None, 0)
        if leader is not None and leader.prefilled < shared:
            return
        if self._reuse.snapshots:
            leader = None  # what it left at a snapshot point is in the prefix cache
        if leader is None:
            for _ in (task.recall if task.kept else None) or ():
                return  # a piece of it was read from disk
        cache, row.cached = self._known(task, leader, shared)
        row.prefilled = row.cached
        row.generation.feed(Prefill(row.cached, inputs.length, row.cached))
        if isinstance(self._decoder, VisionDecoder):
            if inputs.features is not None:
                model, name = self._loaded.model, self._loaded.info.id
                task.work = VisionPrefill(self._decoder, model, inputs, self._images, name, cache, row.cached)
                return
            if cache is not None:
                cache[-1] = RopeOffset()
        task.work = TextPrefill(self._decoder, inputs, cache, row.cached)

    def _known(self, task: PrefillTask, leader: Row | None, shared: int) -> tuple[list[Any] | None, int]:
        """A cache of the first tokens of a prompt, as far as there is any, and how many."""
        if not task.kept:
            return None, 0
        return self._reuse.fetch(task.row.key) if leader is None else self._copied(leader, shared)

    def _running(self) -> Iterator[Row]:
        """The rows of which there is KV already."""
        yield from self._batch.rows
        yield from (task.row for task in self.tasks if task.work is not None)

    def _copied(self, leader: Row, shared: int) -> tuple[list[Any], int]:
        """A cache of the first `shared` tokens of a running row."""
        if leader.uid is not None:
            found, held = self._batch.cache_of(leader)
        else:
            work = next(task.work for task in self.tasks if task.row is leader)
            assert work is not None
            found, held = work.cache, work.done
        cache = copy.deepcopy(found)
        trim_prompt_cache(cache, held - shared)
        return cache, shared

    def _advance(self, task: PrefillTask, chunk: int) -> None:
        """Read a chunk of a prompt that is too long, or has images to encode, for the batch."""
        row, work = task.row, task.work
        assert work is not None
        before, began = work.done, time.monotonic()
        stop = next((end for end in self._reuse.stop_points(row) if end > before), 0)
        with mx.stream(self._stream):
            task.finished = work.step(chunk, stop)
        if work.done > before:
            self._budget.saw(work.done - before, time.monotonic() - began)
        inputs = task.inputs
        if inputs.length != row.prompt_tokens:  # an image has another number of tokens than its processor said
            check_fit(self._loaded, inputs.length)
            row.prompt_tokens, row.image_tokens = inputs.length, inputs.image_tokens
        row.prefilled = work.done
        row.cached = min(row.cached, work.done)  # a model that cannot go on from there has begun anew
        if work.done != before or task.finished:  # else it has looked at an image
            row.generation.feed(Prefill(work.done, row.prompt_tokens, row.cached))
        passed = max(before, work.indivisible - 1)
        self._reuse.store_snapshots(row, passed, work.done, lambda: copy.deepcopy(work.cache))
