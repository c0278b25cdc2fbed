"""One loaded model at work: requests are admitted first in, first out, and decoded together by BatchGenerator."""

from __future__ import annotations

import copy
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.generate import BatchGenerator
from mlx_lm.models.cache import make_prompt_cache, trim_prompt_cache

from core.errors import ContextOverflow, EngineError, GenerationFailed, ModelUnloaded
from core.events import FinishReason, Prefill, Queued
from core.generation import Generation
from core.mlx.constraint import JsonConstraint
from core.mlx.inputs import Inputs, next_turn_tail, prepare_inputs
from core.mlx.loading import LoadedWeights
from core.mlx.output import OutputParser
from core.mlx.prefix_cache import PrefixCache, common_prefix
from core.mlx.row import Clock, Row, Waiting
from core.mlx.sampling import LogitsProcessor, make_processors, make_sampler
from core.mlx.vision_decoder import RopeOffset, VisionDecoder
from core.mlx.vision_prefill import ImageRows, VisionPrefill
from core.requests import GenerationRequest
from core.settings import Settings

log = logging.getLogger(__name__)

TRIMMABLE = ("KVCache", "RopeOffset")
WORTH_WAITING = 64
"""Prompt tokens in common with a running row for which its prefill is awaited rather than done again."""


class Runtime:
    """All methods run on the MLX thread. `step` does one decode step and at most one chunk of prefill."""

    def __init__(self, loaded: LoadedWeights, settings: Settings, stream: mx.Stream, prefixes: PrefixCache) -> None:
        self.loaded = loaded
        self.settings = settings
        self.last_used = time.monotonic()
        self.loaded_at = 0.0
        self.load_s = 0.0
        self.memory_bytes = 0
        self._stream = stream
        self._prefixes = prefixes
        self._vision = VisionDecoder(loaded.model) if loaded.processor is not None else None
        self._decoder = self._vision or loaded.model
        self._image_rows = ImageRows()
        # Sliding windows and recurrent states cannot be cut back to where the next turn departs: keep a copy there.
        self._snapshots = any(type(layer).__name__ not in TRIMMABLE for layer in make_prompt_cache(self._decoder))
        self._grammar_tokenizer: Any = None
        self._queue: deque[Waiting] = deque()
        self._rows: dict[int, Row] = {}
        self._prefilling: tuple[VisionPrefill, Row] | None = None
        self._generator = self._make_generator()

    def _make_generator(self) -> BatchGenerator:
        return BatchGenerator(
            self._decoder,
            stop_tokens=[[token] for token in self.loaded.eos_ids],
            completion_batch_size=self.settings.max_batch,
            prefill_batch_size=min(8, self.settings.max_batch),
            prefill_step_size=self.settings.prefill_chunk,
            stream=self._stream,
        )

    # -- what the scheduler asks -------------------------------------------------------------------------------------

    @property
    def running(self) -> int:
        return len(self._rows) + (self._prefilling is not None)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def busy(self) -> bool:
        return bool(self._rows or self._queue or self._prefilling)

    def submit(self, generation: Generation, clock: Clock) -> None:
        """Queue a request; it joins the batch when there is room."""
        self._queue.append(Waiting(generation, clock))
        if self.running >= self.settings.max_batch or len(self._queue) > 1:
            generation.feed(Queued(len(self._queue)))

    def count_tokens(self, request: GenerationRequest) -> int:
        """Prompt tokens of a request, images included."""
        return prepare_inputs(request, self.loaded).length

    def cancel(self, generation: Generation) -> bool:
        """End a request of this model now; returns whether it was here. What it generated so far stays with it."""
        for waiting in self._queue:
            if waiting.generation is generation:
                self._queue.remove(waiting)
                parser = OutputParser(self.loaded.markers)
                Row(generation, waiting.clock, parser, None, None, 0).finish(FinishReason.CANCELLED)
                return True
        if self._prefilling is not None and self._prefilling[1].generation is generation:
            prefill, row = self._prefilling
            self._prefilling = None
            self._keep(row, prefill.cache, row.key[: prefill.done])
            row.finish(FinishReason.CANCELLED)
            return True
        row_found = next((row for row in self._rows.values() if row.generation is generation), None)
        if row_found is None:
            return False
        self._take_out(row_found)
        row_found.finish(FinishReason.CANCELLED)
        return True

    def close(self, error: EngineError | None = None) -> None:
        """End every request with `error` and give the memory back; the runtime is of no use afterwards."""
        self._fail_all(error or ModelUnloaded(f"{self.loaded.info.id} was unloaded while the request was running."))
        for waiting in self._queue:
            waiting.generation.fail(
                error or ModelUnloaded(f"{self.loaded.info.id} was unloaded before the request began.")
            )
        self._queue.clear()
        self._generator.close()
        self._prefixes.forget(self.loaded.info.id)
        del self._generator, self._decoder, self._vision, self._image_rows, self.loaded

    # -- work --------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Admit, prefill a chunk, decode a token for every row. A failing step fails its rows, never the thread."""
        self.last_used = time.monotonic()
        self._admit()
        try:
            self._advance_prefill()
            if self._rows:
                self._advance_batch()
        except Exception as error:  # the library's failures are many; the thread outlives all of them
            failure = error if isinstance(error, EngineError) else self._failure(error)
            self._fail_all(failure)
            self._generator.close()
            self._generator = self._make_generator()
            mx.clear_cache()

    def _admit(self) -> None:
        admitted = False
        while self._queue and self.running < self.settings.max_batch and self._prefilling is None:
            waiting = self._queue[0]
            generation = waiting.generation
            try:
                if waiting.inputs is None:
                    waiting.inputs = self._read(generation.request)
                leader, shared = self._leader(waiting.inputs.key)
                if leader is not None and leader.prefilled < shared:
                    break  # its prefill is this one's too
                generation.admitted = admitted = True
                waiting.clock.admitted = time.monotonic()
                self._queue.popleft()
                self._start(generation, waiting.clock, waiting.inputs, leader, shared)
            except Exception as error:
                if self._queue and self._queue[0] is waiting:
                    self._queue.popleft()
                generation.fail(error if isinstance(error, EngineError) else self._failure(error))
        if admitted:
            for place, waiting in enumerate(self._queue, start=1):
                waiting.generation.feed(Queued(place))

    def _read(self, request: GenerationRequest) -> Inputs:
        inputs = prepare_inputs(request, self.loaded)
        window = self.loaded.context_length
        if inputs.length >= window:
            raise ContextOverflow(
                f"The prompt has {inputs.length} tokens and {self.loaded.info.id} reads at most {window}, the answer "
                "included. Shorten it, or start a new conversation.",
                inputs.length,
                window,
            )
        return inputs

    def _leader(self, key: list[int]) -> tuple[Row | None, int]:
        """The running row whose KV begins as `key` does, further than any that is kept, and how far."""
        if self._snapshots or not self._rows:
            return None, 0
        wanted = np.asarray(key[:-1], np.int64)
        best = self._prefixes.longest(self.loaded.info.id, key) + WORTH_WAITING
        leader = None
        for row in self._rows.values():
            shared = common_prefix(np.asarray(row.key[:-1], np.int64), wanted)
            if shared >= best:
                leader, best = row, shared
        return leader, best if leader else 0

    def _reusable(self, key: list[int], leader: Row | None, shared: int) -> tuple[list[Any] | None, int]:
        """A cache that holds the first tokens of `key`, of a running row or of one that has ended, and how many."""
        if leader is None or leader.uid is None:
            return self._prefixes.fetch(self.loaded.info.id, key)
        cache, held = self._generator.extract_cache([leader.uid])[leader.uid]
        trim_prompt_cache(cache, len(held) - shared)
        return cache, shared

    def _start(self, generation: Generation, clock: Clock, inputs: Inputs, leader: Row | None, shared: int) -> None:
        request, loaded = generation.request, self.loaded
        parser = OutputParser(
            loaded.markers, stop=request.sampling.stop, tools=inputs.prompt.tools, initial=inputs.prompt.initial
        )
        row = Row(
            generation,
            clock,
            parser,
            loaded.tokenizer,
            loaded.tokenizer.detokenizer,
            inputs.length,
            image_tokens=inputs.image_tokens,
            key=inputs.key,
        )
        row.sampler = make_sampler(request.sampling, loaded.defaults)
        row.processors = self._processors(row, inputs)
        cache, row.cached = self._reusable(inputs.key, leader, shared)
        row.prefilled = row.cached
        if self._snapshots:
            # The last token is fed for its logits, and an answer seldom comes back token by token as it was generated.
            row.boundary = inputs.length - max(next_turn_tail(request, inputs, loaded), 1)
        generation.feed(Prefill(row.cached, inputs.length, row.cached))
        if self._vision is not None and inputs.features is not None:
            prefill = VisionPrefill(
                self._vision, loaded.model, inputs, self.settings.prefill_chunk, self._image_rows, cache, row.cached
            )
            self._prefilling = (prefill, row)
        else:
            if cache is not None and self._vision is not None:
                cache[-1] = RopeOffset()
            self._insert(row, inputs, row.cached, cache)

    def _insert(self, row: Row, inputs: Inputs, done: int, cache: list[Any] | None) -> None:
        sampling = row.generation.request.sampling
        room = self.loaded.context_length - inputs.length
        cut = row.boundary if done < row.boundary < inputs.length - 1 else done
        uids = self._generator.insert_segments(
            [[inputs.tokens[done:cut], inputs.tokens[cut:]]],
            max_tokens=[min(sampling.max_tokens or room, room)],
            caches=[cache],
            all_tokens=[inputs.tokens[:done]],
            samplers=[row.sampler],
            logits_processors=[row.processors],
        )
        row.uid = uids[0]
        self._rows[uids[0]] = row

    def _processors(self, row: Row, inputs: Inputs) -> list[LogitsProcessor]:
        request, loaded = row.generation.request, self.loaded
        processors = make_processors(request.sampling, loaded.defaults, loaded.vocabulary)
        if inputs.prompt.schema is not None:
            if self._grammar_tokenizer is None:
                import llguidance.hf

                self._grammar_tokenizer = llguidance.hf.from_tokenizer(loaded.tokenizer._tokenizer)
            ends = loaded.tokenizer.think_end_tokens if inputs.prompt.initial == "reasoning" else None
            constraint = JsonConstraint(
                self._grammar_tokenizer,
                inputs.prompt.schema,
                wait_for=ends[-1] if ends else None,
                open_end=inputs.prompt.initial == "tool",
            )
            processors.append(constraint)
        return [_guard(processor, row, self._failure) for processor in processors]

    def _advance_prefill(self) -> None:
        if self._prefilling is None:
            return
        prefill, row = self._prefilling
        try:
            with mx.stream(self._stream):
                finished = prefill.step(row.boundary)
        except Exception as error:
            self._prefilling = None
            row.generation.fail(error if isinstance(error, EngineError) else self._failure(error))
            return
        row.generation.feed(Prefill(prefill.done, row.prompt_tokens, row.cached))
        if self._snapshots and prefill.done == row.boundary:
            self._keep(row, copy.deepcopy(prefill.cache), row.key[: prefill.done])
        if finished:
            self._prefilling = None
            self._insert(row, prefill.inputs, prefill.done, prefill.cache)

    def _advance_batch(self) -> None:
        prompts, answers = self._generator.next()
        for progress in prompts:
            row = self._rows.get(progress.uid)
            if row is None:
                continue
            row.prefilled = row.prompt_tokens - 1
            if not progress.end_of_prompt:
                done = row.prefilled = row.prompt_tokens - progress.progress[1] + progress.progress[0]
                row.generation.feed(Prefill(done, row.prompt_tokens, row.cached))
                if self._snapshots and progress.end_of_segment and done == row.boundary:
                    for cache, tokens in self._generator.extract_cache([progress.uid]).values():
                        self._keep(row, cache, row.key[: len(tokens)])
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
                self._keep(row, answer.prompt_cache, row.tokens_key(answer.all_tokens))
            elif stopped:
                self._take_out(row)
            if stopped or answer.finish_reason is not None:
                length = answer.finish_reason == "length" and not stopped
                row.finish(FinishReason.LENGTH if length else FinishReason.STOP)

    def _take_out(self, row: Row) -> None:
        """Remove a row that has not ended by itself; its KV is kept, so that a retry resumes."""
        if row.uid is None or self._rows.pop(row.uid, None) is None:
            return
        taken = self._generator.remove([row.uid], return_prompt_caches=True)
        for cache, tokens in taken.values():
            if cache is not None and tokens:
                self._keep(row, cache, row.tokens_key(tokens))

    def _keep(self, row: Row, cache: list[Any], key: list[int]) -> None:
        if row.error is None:
            self._prefixes.store(self.loaded.info.id, key, cache)

    def _fail_all(self, error: EngineError) -> None:
        rows = list(self._rows.values())
        self._rows.clear()
        if self._prefilling is not None:
            rows.append(self._prefilling[1])
            self._prefilling = None
        for row in rows:
            row.generation.fail(error)

    def _failure(self, error: Exception) -> GenerationFailed:
        log.info("%s failed", self.loaded.info.id, exc_info=error)
        return GenerationFailed(f"{self.loaded.info.id} failed while generating: {type(error).__name__}: {error}")


def _guard(processor: LogitsProcessor, row: Row, failure: Callable[[Exception], EngineError]) -> LogitsProcessor:
    """A processor that raises ends its own row after the step, and no other row of the batch."""

    def guarded(context: mx.array, logits: mx.array) -> mx.array:
        if row.error is None:
            try:
                return processor(context, logits)
            except Exception as error:
                row.error = error if isinstance(error, EngineError) else failure(error)
        return logits

    return guarded
