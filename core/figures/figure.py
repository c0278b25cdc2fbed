"""One use of a model in figures, and which of a request's figures say something of the model at all."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum

from core.calls.events import RATE_TOKENS, Finished
from core.calls.requests import GenerationRequest
from core.status import EngineStatus, LoadedModel

BENCHMARK, WARM_UP = "bench", "warm-up"
"""Sources of requests: those of a benchmark, and those before it that leave no figures."""
PREFILL_TOKENS = 128
"""Prompts of which fewer tokens were read have no rate: fixed costs would be most of it."""
CACHED_SHARE = 8
"""One token in so many may come from the cache. Where there are more, the time is not that of such a prompt."""


class Use(StrEnum):
    """What a model was used for."""

    LOAD = "load"  # the first one that a program makes of the model
    RELOAD = "reload"  # one after that: libraries, and often files, are in memory already
    TEXT = "text"
    IMAGE = "image"  # an answer to a prompt with images


@dataclass(frozen=True)
class Figure:
    """A use of a model. Times are seconds, rates tokens a second, memory bytes; None where it says nothing of them.

    `rows` is how many requests were worked on together, at most. `machine` and `precision` are the engine's words.
    `ttft_s` is without loading. `peak` is the model's own memory and what the requests took on top of it.
    """

    model: str
    use: Use
    source: str
    machine: str
    precision: str
    at: float
    """Seconds since the epoch."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    rows: int = 1
    load_s: float | None = None
    ttft_s: float | None = None
    prefill_tps: float | None = None
    decode_tps: float | None = None
    peak: int | None = None

    @property
    def benchmark(self) -> bool:
        """Whether it was taken on purpose."""
        return self.source == BENCHMARK


def figure_of_load(loaded: LoadedModel, machine: str, source: str) -> Figure | None:
    """What a load says; None where others were at work meanwhile."""
    if not loaded.read_s:
        return None
    use = Use.LOAD if loaded.loads <= 1 else Use.RELOAD
    return Figure(loaded.id, use, source, machine, loaded.precision, time.time(), load_s=loaded.read_s)


def figure_of_answer(request: GenerationRequest, finished: Finished, status: EngineStatus) -> Figure | None:
    """What an answer says; None where that is nothing.

    Nothing, where another model was at work meanwhile, a grammar or log-probabilities took time of their own, or the
    model has left. No rate of a prompt that others were read beside, that is short or was cached, and none of a short
    answer. The time to the first token is that of prompts that were read whole.
    """
    loaded = next((model for model in status.models if model.id == request.model), None)
    footprint, usage, timing = finished.footprint, finished.usage, finished.timing
    held = request.json_schema is not None or request.tool_choice.demanding or request.sampling.logprobs is not None
    if footprint is None or not footprint.alone or held or loaded is None or request.source == WARM_UP:
        return None
    if not usage.completion_tokens:
        return None
    whole = usage.cached_tokens * CACHED_SHARE <= usage.prompt_tokens
    fresh = usage.prompt_tokens - usage.cached_tokens
    long = fresh >= PREFILL_TOKENS and footprint.rows == 1
    return Figure(
        model=request.model,
        use=Use.IMAGE if usage.image_tokens else Use.TEXT,
        source=request.source,
        machine=status.machine,
        precision=loaded.precision,
        at=time.time(),
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=usage.completion_tokens,
        rows=footprint.rows,
        ttft_s=timing.ttft_s - timing.load_s if whole else None,
        prefill_tps=timing.prefill_tps or None if whole and long else None,
        decode_tps=timing.decode_tps or None if usage.completion_tokens >= RATE_TOKENS else None,
        peak=loaded.memory_bytes + footprint.memory if loaded.memory_bytes else None,
    )
