"""One loaded model at work: requests are admitted first in, first out, and decoded together by BatchGenerator."""

from __future__ import annotations

import copy
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import pairwise
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.generate import BatchGenerator
from mlx_lm.models.cache import make_prompt_cache, trim_prompt_cache

from core.calls.clock import Clock
from core.calls.events import FinishReason, Prefill
from core.calls.generation import Generation
from core.calls.requests import GenerationRequest
from core.errors import EngineError, GenerationFailed, ModelUnloaded
from core.mlx.decoding.admission import make_room
from core.mlx.decoding.batching import Batching, find_batching
from core.mlx.decoding.output import OutputParser
from core.mlx.decoding.prefill import Entrant, TextPrefill, next_alone, next_group
from core.mlx.decoding.reader import RequestReader, check_window
from core.mlx.decoding.row import Row, Waiting
from core.mlx.decoding.row_caches import RowsDecoder, packed, unpacked
from core.mlx.decoding.vision_prefill import VisionPrefill
from core.mlx.kv.prefix_cache import common_prefix
from core.mlx.kv.reuse import Kept
from core.mlx.kv.rollback import always_cuttable, cut_back, cuttable_after_prefill
from core.mlx.models.loading import LoadedWeights
from core.mlx.models.vision_decoder import RopeOffset, VisionDecoder
from core.mlx.prompt.inputs import prepare_inputs
from core.mlx.token_budget import Pace
from core.settings import Settings

log = logging.getLogger(__name__)

JOINT_ROWS = 8
"""Rows whose prompts are prefilled together, if they fit one chunk."""
PATIENCE = 3
"""Steps for which a prompt of many chunks makes way: a short one that joins takes as many to its first token."""
LARGEST = 4
"""Times `prefill_chunk` that are processed at once where that is quick; with its default, as many as mlx-lm's 2,048."""
ASK_AGAIN = 16
"""Steps after which it is looked again whether memory has become free for a prompt, if no row has ended before."""
WORTH_WAITING = 64
"""Prompt tokens in common with a running row for which its prefill is awaited rather than done again."""


class Runtime:
    """All methods run on the MLX thread. `step` does one decode step and at most one chunk of prefill."""

    def __init__(self, loaded: LoadedWeights, settings: Settings, stream: mx.Stream, kept: Kept) -> None:
        self.loaded = loaded
        self.settings = settings
        self.last_used = time.monotonic()
        self.loaded_at = 0.0
        self.load_s = 0.0
        self.memory_bytes = 0
        self.precision = ""
        self._stream = stream
        self._kept = kept
        self._prefixes = kept.prefixes
        self._vision = VisionDecoder(loaded.model) if loaded.processor is not None else None
        self._decoder = self._vision or loaded.model
        # Sliding windows and recurrent states cannot be cut back to where the next turn departs: keep a copy there.
        # Windows can be while a prompt is read, so that only states make prefill stop where the copy is made.
        empty = make_prompt_cache(self._decoder)
        self._snapshots = not always_cuttable(empty)
        self._stops = not cuttable_after_prefill(empty)
        with mx.stream(stream):
            batching = Batching(loaded.ranks.least(find_batching(self._decoder, loaded.vocabulary)))
        self._most_rows = 1 if batching is Batching.NEVER else settings.max_batch
        self._joint_rows = min(JOINT_ROWS, self._most_rows) if batching is Batching.ALWAYS else 1
        alone, chunk = loaded.ranks.size == 1, settings.prefill_chunk  # ranks would part where the clock decides
        self._spell_s = settings.prefill_ms / 1000 if alone else 0.0
        self._pace = Pace(chunk, chunk, LARGEST * chunk, self._spell_s)
        self._reader = RequestReader(loaded, self._prefixes, self._snapshots, self._failure)
        self._queue: deque[Waiting] = deque()
        self._next: Entrant | None = None  # the first of the queue, while there is no room for its KV
        self._crowd = 0  # rows and entrants when that was found out
        self._ask_in = 0  # steps until it is asked again whether there is, unless a row ends before
        self._entrants: list[Entrant] = []  # admitted, in that order, and not in the batch yet
        self._rows: dict[int, Row] = {}
        self._chunks = 0
        self._passed_over = 0
        self._generator = self._make_generator()

    def _make_generator(self) -> BatchGenerator:
        return BatchGenerator(
            RowsDecoder(self._decoder),
            stop_tokens=[[token] for token in self.loaded.eos_ids],
            completion_batch_size=self._most_rows,
            prefill_batch_size=self._joint_rows,
            prefill_step_size=LARGEST * self.settings.prefill_chunk,  # no group is larger than `_pace` allows
            stream=self._stream,
        )

    # -- what the scheduler asks -------------------------------------------------------------------------------------

    @property
    def running(self) -> int:
        return len(self._rows) + len(self._entrants)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def busy(self) -> bool:
        return bool(self._rows or self._queue or self._entrants)

    def submit(self, generation: Generation, clock: Clock) -> None:
        """Queue a request; it joins the batch when there is room."""
        self._queue.append(Waiting(generation, clock))
        if self.running >= self._most_rows or len(self._queue) > 1:
            self._queue[-1].tell(len(self._queue))

    def count_tokens(self, request: GenerationRequest) -> int:
        """Prompt tokens of a request, images included."""
        return prepare_inputs(request, self.loaded).length

    def cancel(self, generation: Generation) -> bool:
        """End a request of this model now; returns whether it was here. What it generated so far stays with it."""
        for waiting in self._queue:
            if waiting.generation is generation:
                self._queue.remove(waiting)
                self._next = None
                self._tell_places()
                parser = OutputParser(self.loaded.markers)
                Row(generation, waiting.clock, parser, None, None, 0).finish(FinishReason.CANCELLED)
                return True
        for entrant in self._entrants:
            if entrant.row.generation is generation:
                self._entrants.remove(entrant)
                if entrant.work is not None:
                    self._keep(entrant.row, entrant.work.cache, entrant.row.key[: entrant.work.done])
                entrant.row.finish(FinishReason.CANCELLED)
                return True
        row_found = next((row for row in self._rows.values() if row.generation is generation), None)
        if row_found is None:
            return False
        self._take_out(row_found)
        row_found.finish(FinishReason.CANCELLED)
        return True

    def close(self, error: EngineError | None = None) -> None:
        """End every request with `error` and give the memory back; the runtime is of no use afterwards."""
        running = error or ModelUnloaded(f"{self.loaded.info.id} was unloaded while the request was running.")
        self._fail_batch(running)
        for entrant in self._entrants:
            entrant.row.generation.fail(running)
        for waiting in self._queue:
            waiting.generation.fail(
                error or ModelUnloaded(f"{self.loaded.info.id} was unloaded before the request began.")
            )
        self._entrants.clear()
        self._queue.clear()
        self._generator.close()
        self._kept.forget(self.loaded.info.id)
        del self._generator, self._decoder, self._vision, self._reader, self.loaded

    # -- work --------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Admit, prefill a chunk, decode a token for every row. A failing step fails its rows, never the thread."""
        self.last_used = time.monotonic()
        self._admit()
        self._prefill()
        try:
            if self._rows:
                self._advance_batch()
        except Exception as error:  # the library's failures are many; the thread outlives all of them
            failure = error if isinstance(error, EngineError) else self._failure(error)
            self._fail_batch(failure)
            self._generator.close()
            self._generator = self._make_generator()
            mx.clear_cache()

    def _admit(self) -> None:
        admitted = False
        if self._next is not None and self._ask_in and self.running == self._crowd:
            self._ask_in -= 1  # asking waits for the device
            return
        while self._queue and self.running < self._most_rows:
            waiting, entrant = self._queue[0], None
            waiting.clock.admitted = time.monotonic()
            try:
                entrant = self._next = self._next or self._reader.entrant(waiting.generation, waiting.clock)
                if not make_room(entrant, self._rows.values(), self._entrants, self.loaded, self._kept):
                    self._ask_in, self._crowd = ASK_AGAIN, self.running
                    break
                self._entrants.append(entrant)
            except Exception as error:
                waiting.generation.fail(error if isinstance(error, EngineError) else self._failure(error))
            self._queue.popleft()
            self._next = None
            waiting.generation.admitted = admitted = True
            if entrant is not None and entrant.inputs.features is not None:
                break  # reading an image takes as long as a step: one at a time
        if admitted:
            self._tell_places()

    def _tell_places(self) -> None:
        for place, waiting in enumerate(self._queue, start=1):
            waiting.tell(place)

    def _prefill(self) -> None:
        """Let prompts into the batch, or prefill a chunk of one; again while another as long would half fit a spell."""
        began, spent = time.monotonic(), 0.0
        while self._prefill_piece():
            before, spent = spent, time.monotonic() - began
            if spent + (spent - before) / 2 > self._spell_s:
                return

    def _prefill_piece(self) -> bool:
        """Let the prompts that fit one chunk together into the batch, or else advance one of the others by a chunk.

        Returns whether there may be more to do before the batch's turn.
        """
        chunk = self._pace.limit
        for entrant in [entrant for entrant in self._entrants if entrant.work is None]:
            with self._owner(entrant):
                self._begin(entrant)
        alone = next_alone(self._entrants, chunk, self._chunks)
        if alone is None or self._passed_over < PATIENCE:
            pending = any(row.prefilled < row.prompt_tokens - 1 for row in self._rows.values())
            group = [] if pending else next_group(self._entrants, chunk, self._joint_rows)
            for entrant in group:
                with self._owner(entrant):
                    self._insert(entrant)
                    self._entrants.remove(entrant)
            if group or (self._entering and alone is not None and alone.left > chunk):
                self._passed_over += 1
                return False
        self._passed_over = 0
        if alone is not None:
            self._chunks += 1
            with self._owner(alone):
                self._advance(alone)
        return alone is not None

    @property
    def _entering(self) -> bool:
        """Whether a row of the batch has no token yet."""
        return any(row.completion_tokens == 0 for row in self._rows.values())

    @contextmanager
    def _owner(self, entrant: Entrant) -> Iterator[None]:
        """What raises over one entrant's prompt ends that request and no other."""
        try:
            yield
        except Exception as error:
            self._entrants.remove(entrant)
            entrant.row.generation.fail(error if isinstance(error, EngineError) else self._failure(error))

    def _begin(self, entrant: Entrant) -> None:
        """Give an entrant what is known of its prompt already, unless another row is still at it."""
        row, inputs = entrant.row, entrant.inputs
        leader, shared = self._leader(row.key)
        if leader is not None and leader.prefilled < shared:
            return
        if self._snapshots:
            leader = None  # what it left at a boundary is kept
        if leader is None:
            for _ in entrant.recall or ():
                return  # a piece of it was read from disk
        cache, row.cached = self._reusable(row.key, leader, shared)
        row.prefilled = row.cached
        row.generation.feed(Prefill(row.cached, inputs.length, row.cached))
        if self._vision is not None and inputs.features is not None:
            rows, name = self._kept.images, self.loaded.info.id
            entrant.work = VisionPrefill(self._vision, self.loaded.model, inputs, rows, name, cache, row.cached)
            return
        if cache is not None and self._vision is not None:
            cache[-1] = RopeOffset()
        entrant.work = TextPrefill(self._decoder, inputs, cache, row.cached)

    def _leader(self, key: list[int]) -> tuple[Row | None, int]:
        """The running row whose KV begins as `key` does, further than any that is kept, and how far.

        Where caches cannot be cut back, how far it shares is where it will leave a copy.
        """
        running = [*self._rows.values(), *(entrant.row for entrant in self._entrants if entrant.work is not None)]
        if not running or (self._snapshots and not self._prefixes.budget):
            return None, 0
        wanted = np.asarray(key[:-1], np.int64)
        best = self._prefixes.longest(self.loaded.info.id, key) + WORTH_WAITING
        leader = None
        for row in running:
            shared = common_prefix(np.asarray(row.key[:-1], np.int64), wanted)
            if self._snapshots:
                shared = max((end for end in row.boundaries if row.prefilled < end <= shared), default=0)
            if shared >= best:
                leader, best = row, shared
        return leader, best if leader else 0

    def _reusable(self, key: list[int], leader: Row | None, shared: int) -> tuple[list[Any] | None, int]:
        """A cache that holds the first tokens of `key`, of a running row or of one that has ended, and how many."""
        if leader is None:
            return self._prefixes.fetch(self.loaded.info.id, key)
        if leader.uid is not None:
            found, tokens = self._generator.extract_cache([leader.uid])[leader.uid]
            found, held = unpacked(found), len(tokens)
        else:
            work = next(entrant.work for entrant in self._entrants if entrant.row is leader)
            assert work is not None
            found, held = work.cache, work.done
        cache = copy.deepcopy(found)
        trim_prompt_cache(cache, held - shared)
        return cache, shared

    def _insert(self, entrant: Entrant) -> None:
        """Hand a row to BatchGenerator, which prefills what is left of its prompt."""
        row, work, tokens = entrant.row, entrant.work, entrant.inputs.tokens
        assert work is not None
        sampling = row.generation.request.sampling
        room = self.loaded.context_length - len(tokens)
        stops = row.boundaries if self._stops else []
        cuts = [work.done, *(end for end in stops if work.done < end < len(tokens) - 1), len(tokens)]
        uids = self._generator.insert_segments(
            [[tokens[start:end] for start, end in pairwise(cuts)]],
            max_tokens=[min(sampling.max_tokens or room, room)],
            caches=[packed(work.cache)],
            all_tokens=[tokens[: work.done]],
            samplers=[row.sampler],
            logits_processors=[row.processors],
        )
        row.uid = uids[0]
        self._rows[uids[0]] = row

    def _advance(self, entrant: Entrant) -> None:
        """Prefill a chunk of a prompt that is too long, or has images to encode, for BatchGenerator."""
        row, work = entrant.row, entrant.work
        assert work is not None
        before, began = work.done, time.monotonic()
        stop = next((end for end in row.boundaries if end > before), 0) if self._stops else 0
        with mx.stream(self._stream):
            entrant.finished = work.step(self._pace.limit, stop)
        if work.done > before:
            self._pace.saw(work.done - before, time.monotonic() - began)
        inputs = entrant.inputs
        if inputs.length != row.prompt_tokens:  # an image has another number of tokens than its processor said
            check_window(inputs, self.loaded)
            row.prompt_tokens, row.image_tokens = inputs.length, inputs.image_tokens
        row.prefilled = work.done
        row.cached = min(row.cached, work.done)  # a model that cannot go on from there has begun anew
        row.generation.feed(Prefill(work.done, row.prompt_tokens, row.cached))
        self._keep_departures(row, max(before, work.together - 1), work.done, lambda: copy.deepcopy(work.cache))

    def _keep_departures(self, row: Row, before: int, done: int, copied: Callable[[], list[Any]]) -> None:
        """Keep the KV of each boundary that prefill has just passed; `copied` makes copies of `done` tokens' KV."""
        for end in row.boundaries:
            if before < end <= done and (end == done or not self._stops):
                cache = copied()
                if done > end:
                    cut_back(cache, done - end)
                self._keep(row, cache, row.key[:end])

    def _advance_batch(self) -> None:
        with self._generator.stats() if self._entering else nullcontext() as stats:
            prompts, answers = self._generator.next()
        if stats is not None and stats.prompt_tokens:
            self._pace.saw(stats.prompt_tokens, stats.prompt_time)
        for progress in prompts:
            row = self._rows.get(progress.uid)
            if row is None:
                continue
            before, row.prefilled = row.prefilled, row.prompt_tokens - 1
            if not progress.end_of_prompt:
                done = row.prefilled = row.prompt_tokens - progress.progress[1] + progress.progress[0]
                row.generation.feed(Prefill(done, row.prompt_tokens, row.cached))
                self._keep_departures(row, before, done, partial(self._extracted, progress.uid))
        for answer in answers:
            row = self._rows.get(answer.uid)
            if row is None:
                continue
            if row.error is not None:
                self._take_out(row)
                row.generation.fail(row.error)
                continue
            stopped = row.token(answer.token, answer.logprobs, answer.finish_reason, len(answers))
            if answer.finish_reason is not None:
                self._rows.pop(answer.uid)
                self._keep(row, unpacked(answer.prompt_cache), row.tokens_key(answer.all_tokens))
            elif stopped:
                self._take_out(row)
            if stopped or answer.finish_reason is not None:
                length = answer.finish_reason == "length" and not stopped
                row.finish(FinishReason.LENGTH if length else FinishReason.STOP)

    def _extracted(self, uid: int) -> list[Any]:
        """A copy of a row's caches."""
        return unpacked(self._generator.extract_cache([uid])[uid][0])

    def _take_out(self, row: Row) -> None:
        """Remove a row that has not ended by itself; its KV is kept, so that a retry resumes."""
        if row.uid is None or self._rows.pop(row.uid, None) is None:
            return
        taken = self._generator.remove([row.uid], return_prompt_caches=True)
        for cache, tokens in taken.values():
            if cache is not None and tokens:
                self._keep(row, unpacked(cache), row.tokens_key(tokens))

    def _keep(self, row: Row, cache: list[Any], key: list[int]) -> None:
        if row.error is None:
            self._prefixes.store(self.loaded.info.id, key, cache)

    def _fail_batch(self, error: EngineError) -> None:
        rows = list(self._rows.values())
        self._rows.clear()
        for row in rows:
            row.generation.fail(error)

    def _failure(self, error: Exception) -> GenerationFailed:
        log.info("%s failed", self.loaded.info.id, exc_info=error)
        return GenerationFailed(f"{self.loaded.info.id} failed while generating: {type(error).__name__}: {error}")
