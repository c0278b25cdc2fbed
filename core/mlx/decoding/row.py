"""One running request inside a batch: its tokens become events, its clock becomes the timing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import ref

import mlx.core as mx
import numpy as np

from core.calls.clock import Clock
from core.calls.events import Finished, FinishReason, Footprint, GenerationResult, Timing, TokenLogprob, Usage
from core.calls.generation import Generation
from core.calls.requests import Sampling
from core.calls.witness import Witness, calls_sha256, text_sha256, tokens_sha256
from core.errors import EngineError
from core.mlx.decoding.output import OutputParser
from core.mlx.models.sampling import LogitsProcessor, Sampler


@dataclass
class Row:
    """A request that has been admitted to a batch. `prompt_tokens` counts the whole prompt, `cached` what was reused.

    `key` is the prompt as the prefix cache names it: image tokens replaced by numbers that stand for the image. `spell`
    gives a token's own bytes.
    """

    generation: Generation
    clock: Clock
    parser: OutputParser
    spell: Callable[[int], bytes]
    detokenizer: Any
    prompt_tokens: int
    image_tokens: int = 0
    cached: int = 0
    uid: int | None = None
    completion_tokens: int = 0
    thinking_tokens: int = 0
    batch_size: int = 1
    error: EngineError | None = None
    sampling: Sampling = field(default_factory=Sampling)
    """What is in force, with a value for everything."""
    sampler: Sampler | None = None
    processors: list[LogitsProcessor] = field(default_factory=list)
    key: list[int] = field(default_factory=list)
    prefilled: int = 0
    """Prompt tokens whose KV the row holds so far."""
    snapshot_points: list[int] = field(default_factory=list)
    """Prompt tokens, ascending, after which a snapshot of the cache is kept for prompts that branch off there; none
    where it can be rolled back."""
    witness: Witness | None = None
    """What is known so far of what is done for it."""
    written: list[int] = field(default_factory=list)
    """The answer's token ids."""
    end_ids: frozenset[int] = frozenset()
    """Tokens that end the model's turn."""
    said: GenerationResult = field(default_factory=GenerationResult)
    """What has been made of them."""
    measured: Callable[[], Footprint] | None = None
    """Tells, at its end, what it took."""

    def guarded(self, processor: LogitsProcessor, failure: Callable[[Exception], EngineError]) -> LogitsProcessor:
        """`processor` so that what it raises ends this row after the step, and no other row of the batch.

        The row may hold it: it does not hold the row, so that a grammar of many tokens goes with it, and not when the
        collector comes, on a thread that others wait for.
        """
        here = ref(self)

        def run(context: mx.array, logits: mx.array) -> mx.array:
            row = here()
            if row is not None and row.error is None:
                try:
                    return processor(context, logits)
                except Exception as error:
                    row.error = error if isinstance(error, EngineError) else failure(error)
            return logits

        return run

    def tokens_key(self, tokens: list[int]) -> list[int]:
        """The prefix cache's name for the KV of `tokens`, prompt and answer."""
        return (self.key + tokens[len(self.key) :])[: len(tokens)]

    def reads(self, tokens: list[int], window: int) -> None:
        """Take note of the prompt as it goes into the model, which may give an image more tokens than its processor."""
        room = window - len(tokens)
        self.sampling = replace(self.sampling, max_tokens=min(self.sampling.max_tokens or room, room))
        if self.witness is not None:
            digest = tokens_sha256(tokens)
            self.witness = replace(
                self.witness, prompt_sha256=digest, prompt_tokens=len(tokens), sampling=vars(self.sampling)
            )

    def token(self, token: int, logprobs: mx.array, ends: str | None, rows: int) -> bool:
        """Take a token in; returns True when a stop string ended the answer. `ends` is mlx-lm's finish reason."""
        if not self.clock.first_token:
            self.clock.first_token = time.monotonic()
        self.completion_tokens += 1
        self.written.append(token)
        self.thinking_tokens += self.parser.thinking
        self.batch_size = max(self.batch_size, rows)
        if ends != "stop":  # the end token is no text
            self.detokenizer.add_token(token)
            self._push(token, logprobs)
        if ends is not None and not self.parser.stopped:
            self.detokenizer.finalize()
            self._feed(self.parser.push(self.detokenizer.last_segment.rstrip("\ufffd")))
        return self.parser.stopped

    def _push(self, token: int, logprobs: mx.array) -> None:
        wanted = self.generation.request.sampling.logprobs
        scored = None if wanted is None else self._score(token, logprobs, wanted)
        text = self.detokenizer.last_segment
        if text or scored is not None:
            self._feed(self.parser.push(text, scored))

    def _score(self, token: int, logprobs: mx.array, wanted: int) -> TokenLogprob:
        best = np.array(mx.argsort(-logprobs)[:wanted]).tolist() if wanted else []
        ids = [token, *best]
        values = np.array(logprobs[mx.array(ids)].astype(mx.float32)).tolist()
        spelled = [self.spell(index) for index in ids]
        scored, *top = (
            TokenLogprob(index, raw.decode("utf-8", "replace"), value, raw=raw)
            for index, raw, value in zip(ids, spelled, values, strict=True)
        )
        return replace(scored, top=tuple(top))

    def _feed(self, events: list[Any]) -> None:
        for event in events:
            self.said.add(event)
            self.generation.feed(event)

    def finish(self, reason: FinishReason) -> None:
        """Flush what was held back and end the stream."""
        self._feed(self.parser.finish(cut=reason is not FinishReason.STOP))
        if reason is FinishReason.STOP and self.parser.calls and self.parser.stop_sequence is None:
            reason = FinishReason.TOOL_CALLS
        timing = self.timing()
        stop, footprint = self.parser.stop_sequence, self.measured() if self.measured is not None else None
        self.generation.feed(Finished(reason, self.usage, timing, stop, self._told(timing), footprint=footprint))

    def _told(self, timing: Timing) -> Witness | None:
        """The witness of what was done, told from the tokens themselves and not from `usage` or the finish reason."""
        if self.witness is None or not self.witness.prompt_sha256:
            return None
        stopped = self.parser.stop_sequence is not None or not self.end_ids.isdisjoint(self.written[-1:])
        cut = len(self.written) >= (self.sampling.max_tokens or 0)
        return replace(
            self.witness,
            cached_tokens=self.cached,
            batch_size=self.batch_size,
            completion_sha256=tokens_sha256(self.written),
            completion_tokens=len(self.written),
            completion=tuple(self.written),
            thinking_tokens=self.thinking_tokens,
            finish="stop" if stopped else "length" if cut else "cancelled",
            text_sha256=text_sha256(self.said.text),
            thinking_sha256=text_sha256(self.said.thinking),
            calls_sha256=calls_sha256((call.name, call.arguments) for call in self.said.tool_calls),
            queued_s=timing.queued_s,
            load_s=timing.load_s,
        )

    @property
    def usage(self) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            cached_tokens=self.cached,
            image_tokens=self.image_tokens,
            thinking_tokens=self.thinking_tokens,
        )

    def timing(self) -> Timing:
        """The clock read now; rates are tokens per second, 0 where there was nothing to measure."""
        timing = self.clock.timing()
        prefill, decode = timing.prefill_s, timing.decode_s
        fresh = self.prompt_tokens - self.cached
        return replace(
            timing,
            batch_size=self.batch_size,
            prefill_tps=fresh / prefill if prefill else 0.0,
            decode_tps=(self.completion_tokens - 1) / decode if decode and self.completion_tokens > 1 else 0.0,
        )
