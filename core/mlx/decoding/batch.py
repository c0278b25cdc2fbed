"""The rows that decode together: mlx-lm's BatchGenerator, and what each of its steps means for the requests."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import mlx.core as mx
from mlx_lm.generate import BatchGenerator, StopSequences

from core.calls.events import FinishReason, Prefill
from core.calls.generation import Generation
from core.errors import EngineError
from core.mlx.decoding.prefill_task import PrefillTask
from core.mlx.decoding.prefix_reuse import PrefixReuse
from core.mlx.decoding.row import Row
from core.mlx.decoding.row_caches import RowsDecoder, packed, unpacked
from core.mlx.models.loading import LoadedWeights
from core.mlx.token_budget import TokenBudget


class Batch:
    """`rows` at most decode together, and of those that join, `joint_rows` read the rest of their prompts together.

    That rest is read in one piece of up to `chunk` tokens; `budget` learns how long it took.
    """

    def __init__(
        self,
        decoder: Any,
        loaded: LoadedWeights,
        reuse: PrefixReuse,
        budget: TokenBudget,
        stream: mx.Stream,
        *,
        rows: int,
        joint_rows: int,
        chunk: int,
    ) -> None:
        self._decoder = RowsDecoder(decoder)
        self._loaded = loaded
        self._reuse = reuse
        self._budget = budget
        self._ends, self._endless = StopSequences([[token] for token in loaded.eos_ids]), StopSequences()
        self._options = {
            "completion_batch_size": rows,
            "prefill_batch_size": joint_rows,
            "prefill_step_size": chunk,
            "stream": stream,
        }
        self._rows: dict[int, Row] = {}
        self._generator = BatchGenerator(self._decoder, **self._options)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> Sequence[Row]:
        return list(self._rows.values())

    @property
    def entering(self) -> bool:
        """Whether a row has no token yet."""
        return any(row.completion_tokens == 0 for row in self._rows.values())

    @property
    def reading(self) -> bool:
        """Whether a row has not read its prompt yet."""
        return any(row.prefilled < row.prompt_tokens - 1 for row in self._rows.values())

    def find(self, generation: Generation) -> Row | None:
        """The row of a request; None when it has none here."""
        return next((row for row in self._rows.values() if row.generation is generation), None)

    def insert(self, task: PrefillTask) -> None:
        """Let a request in; what is left of its prompt is read in the next step."""
        row, work, tokens = task.row, task.work, task.inputs.tokens
        assert work is not None
        row.reads(tokens, self._loaded.context_length)
        stops = self._reuse.stop_points(row)
        cuts = [work.done, *(end for end in stops if work.done < end < len(tokens) - 1), len(tokens)]
        uids = self._generator.insert_segments(
            [[tokens[start:end] for start, end in pairwise(cuts)]],
            max_tokens=[row.sampling.max_tokens],
            caches=[packed(work.cache)],
            all_tokens=[tokens[: work.done]],
            samplers=[row.sampler],
            logits_processors=[row.processors],
            stop_sequences=[self._endless if row.generation.request.ignore_eos else self._ends],
        )
        row.uid = uids[0]
        self._rows[uids[0]] = row

    def step(self) -> None:
        """Decode a token for every row. Raises what the library raises; then `fail` and `restart`."""
        with self._generator.stats() if self.entering else nullcontext() as stats:
            prompts, answers = self._generator.next()
        if stats is not None and stats.prompt_tokens:
            self._budget.saw(stats.prompt_tokens, stats.prompt_time)
        for progress in prompts:
            if (row := self._rows.get(progress.uid)) is not None:
                self._read(row, progress)
        for answer in answers:
            if (row := self._rows.get(answer.uid)) is not None:
                self._answered(row, answer, len(answers))

    def _read(self, row: Row, progress: Any) -> None:
        before, row.prefilled = row.prefilled, row.prompt_tokens - 1
        if not progress.end_of_prompt:
            done = row.prefilled = row.prompt_tokens - progress.progress[1] + progress.progress[0]
            row.generation.feed(Prefill(done, row.prompt_tokens, row.cached))
            self._reuse.store_snapshots(row, before, done, lambda: self.cache_of(row)[0])

    def _answered(self, row: Row, answer: Any, rows: int) -> None:
        if row.error is not None:
            self.remove(row)
            row.generation.fail(row.error)
            return
        stopped = row.token(answer.token, answer.logprobs, answer.finish_reason, rows)
        if answer.finish_reason is not None:
            self._rows.pop(answer.uid)
            self._reuse.store(row, unpacked(answer.prompt_cache), row.tokens_key(answer.all_tokens))
        elif stopped:
            self.remove(row)
        if stopped or answer.finish_reason is not None:
            length = answer.finish_reason == "length" and not stopped
            row.finish(FinishReason.LENGTH if length else FinishReason.STOP)

    def cache_of(self, row: Row) -> tuple[list[Any], int]:
        """A copy of a row's cache, and how many tokens it holds."""
        assert row.uid is not None
        found, tokens = self._generator.extract_cache([row.uid])[row.uid]
        return unpacked(found), len(tokens)

    def remove(self, row: Row) -> None:
        """Take out a row that has not ended by itself; its KV is kept, so that a retry resumes."""
        if row.uid is None or self._rows.pop(row.uid, None) is None:
            return
        taken = self._generator.remove([row.uid], return_prompt_caches=True)
        for cache, tokens in taken.values():
            if cache is not None and tokens:
                self._reuse.store(row, unpacked(cache), row.tokens_key(tokens))

    def fail(self, error: EngineError) -> None:
        """End every row with `error`; nothing of theirs is kept."""
        rows = self.rows
        self._rows.clear()
        for row in rows:
            row.generation.fail(error)

    def restart(self) -> None:
        """After a failed step: a generator that knows nothing of it."""
        self.close()
        self._generator = BatchGenerator(self._decoder, **self._options)
        mx.clear_cache()

    def close(self) -> None:
        """Give the library's resources back."""
        self._generator.close()
