"""The measures: each takes a lab, a shape and a plan, and returns its figures, "value" among them."""

from __future__ import annotations

import gc
import math
import statistics
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeVar

import psutil

from core.calls.events import Event, Finished, FinishReason, Prefill, TextDelta
from core.calls.generation import Generation
from core.calls.requests import GenerationRequest, Message, Role
from core.engine import Engine
from core.media.images import ImageData
from tests.benchmarks.lab import BareText, BareVision, Lab, Run, Speed, compare, finished, request, speed, user
from tests.benchmarks.shapes import Plan, Shape

Figures = dict[str, float]
Measure = Callable[[Lab, Shape, Plan], Figures]
Asked = TypeVar("Asked")

STREAMS = 8
PICTURE = 448
"""Pixels of a side; processors scale it to what their model looks at."""


def one_stream(lab: Lab, shape: Shape, plan: Plan) -> Figures:
    """Tokens a second of one request: the engine against mlx_lm.stream_generate."""

    def ours(text: str) -> int:
        return _run(lab.engine, [request(shape, user(text), plan.tokens)])

    return _beside(lab, shape, plan, BareText, "stream", lambda tokenizer: lab.text(tokenizer, plan.prompt), ours)


def prefill(lab: Lab, shape: Shape, plan: Plan) -> Figures:
    """Prompt tokens a second until the first token of the answer: the engine against mlx_lm.stream_generate."""

    def ours(text: str) -> int:
        return finished(lab.engine.generate(request(shape, user(text), plan.tokens))).usage.prompt_tokens

    return _beside(lab, shape, plan, BareText, "prefill", lambda tokenizer: lab.text(tokenizer, plan.prompt), ours)


def eight_streams(lab: Lab, shape: Shape, plan: Plan) -> Figures:
    """Tokens a second of eight requests at once: the engine against mlx_lm's BatchGenerator, which makes no text."""

    def asked(tokenizer: Any) -> list[str]:
        return [lab.text(tokenizer, plan.prompt) for _ in range(STREAMS)]

    def ours(texts: list[str]) -> int:
        return _run(lab.engine, [request(shape, user(text), plan.tokens) for text in texts])

    return _beside(lab, shape, plan, BareText, "batch", asked, ours)


def eight_vision(lab: Lab, shape: Shape, plan: Plan) -> Figures:
    """Tokens a second of eight requests with an image each: the engine, all at once, against mlx_vlm.stream_generate,
    one after another."""

    def asked(tokenizer: Any) -> list[tuple[str, ImageData]]:
        return [(lab.text(tokenizer, plan.prompt), lab.picture(PICTURE)) for _ in range(STREAMS)]

    def ours(pairs: list[tuple[str, ImageData]]) -> int:
        return _run(lab.engine, [request(shape, user(text, image), plan.tokens) for text, image in pairs])

    return _beside(lab, shape, plan, BareVision, "stream_all", asked, ours)


def _beside(
    lab: Lab,
    shape: Shape,
    plan: Plan,
    bare: type[BareText] | type[BareVision],
    method: str,
    ask: Callable[[Any], Asked],
    ours: Callable[[Asked], int],
) -> Figures:
    """Compare `ours` with a method of the bare library, here and as people have it, each on what `ask` makes up for a
    tokenizer. Both return how many tokens they made; the method is also told how many to make."""
    plain = lab.plain(shape, bare)

    def prepare(ours_first: bool) -> tuple[Run, Run, Run]:
        loaded = lab.load_beside(shape, bare, ours_first)

        def engine() -> Speed:
            asked = ask(loaded.tokenizer)
            return speed(lambda: ours(asked))

        def here() -> Speed:
            asked = ask(loaded.tokenizer)
            return speed(lambda: getattr(loaded, method)(asked, plan.tokens))

        def as_people_have_it() -> Speed:
            return plain.speed(method, ask(loaded.tokenizer), plan.tokens)

        return engine, here, as_people_have_it

    return compare(prepare, plan.rounds, plan.loads)


def followup_text(lab: Lab, shape: Shape, plan: Plan) -> Figures:
    """Time to the first token of a second turn over that of the first, which has a long prompt.

    "bare" is the same ratio of mlx_lm.stream_generate, given its own KV again: what the device leaves possible.
    """
    return _followup(lab, shape, plan, with_image=False)


def followup_vision(lab: Lab, shape: Shape, plan: Plan) -> Figures:
    """As `followup_text`, with an image in the first turn."""
    return _followup(lab, shape, plan, with_image=True)


def _followup(lab: Lab, shape: Shape, plan: Plan, with_image: bool) -> Figures:
    tokenizer = lab.tokenizer(shape)
    lab.load(shape)
    bare = None if with_image else BareText(lab.make(shape))
    firsts, seconds, prompts, fresh, bare_ratios = [], [], [], [], []
    for number in range(-1, plan.rounds):
        length = plan.prompt if number >= 0 else plan.prompt // 16  # the first conversation only warms up
        images = [lab.picture(PICTURE)] if with_image else []
        question, more = lab.text(tokenizer, length), lab.text(tokenizer, 12)
        turns = user(question, *images)
        answer = lab.engine.generate(request(shape, turns, plan.tokens, logit_bias=_one_digit(tokenizer))).result()
        assert answer.finished is not None
        turns = [*turns, Message.text(Role.ASSISTANT, answer.text), *user(more)]
        second = finished(lab.engine.generate(request(shape, turns, plan.tokens)))
        waits = bare.follow_up(question, answer.text, more, plan.tokens) if bare else (math.nan, math.nan)
        if number >= 0:
            bare_ratios.append(waits[1] / waits[0])
            firsts.append(answer.finished.timing.ttft_s)
            seconds.append(second.timing.ttft_s)
            prompts.append(answer.finished.usage.prompt_tokens)
            fresh.append(second.usage.prompt_tokens - second.usage.cached_tokens)
    ratios = [second / first for first, second in zip(firsts, seconds, strict=True)]
    return {
        "value": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
        "first_ttft_s": statistics.median(firsts),
        "second_ttft_s": statistics.median(seconds),
        "first_prompt_tokens": statistics.median(prompts),
        "second_fresh_tokens": statistics.median(fresh),
        **({} if math.isnan(bare_ratios[0]) else {"bare": statistics.median(bare_ratios)}),
    }


def short_behind_long(lab: Lab, shape: Shape, plan: Plan) -> Figures:
    """How much later a short request answers because a long prompt is being prefilled, in chunks of that prefill.

    The short one comes at a different place within a chunk in every round.
    """
    tokenizer = lab.tokenizer(shape)
    lab.load(shape)

    def short() -> Generation:
        return lab.engine.generate(request(shape, user(lab.text(tokenizer, 12)), plan.tokens))

    extras, chunks, alone = [], [], []
    finished(short())
    for number in range(plan.rounds):
        alone.append(finished(short()).timing.ttft_s)
        long = lab.engine.generate(request(shape, user(lab.text(tokenizer, plan.prompt)), plan.tokens))
        prefilled = _stamps(long, Prefill)
        for event in long:
            if isinstance(event, Prefill) and event.done > 0 and len(prefilled) > 2:
                break
        time.sleep((prefilled[-1] - prefilled[-2]) * number / plan.rounds)
        asked = time.monotonic()
        beside = finished(short()).timing.ttft_s
        assert not long.done, "the long prompt is too short: it was over before the short one"
        long.result()
        # Chunks grow with the context: the last one before the short request and the first one after it count.
        before = [b - a for a, b in pairwise(prefilled) if b <= asked]
        after = [b - a for a, b in pairwise(prefilled) if a >= asked + beside]
        chunks.append(statistics.mean([before[-1], *after[:1]]))
        extras.append((beside - alone[-1]) / chunks[-1])
    return {
        "value": statistics.median(extras),
        "low": min(extras),
        "high": max(extras),
        "chunk_s": statistics.median(chunks),
        "alone_ttft_s": statistics.median(alone),
    }


def cancel_steps(lab: Lab, shape: Shape, plan: Plan) -> Figures:
    """Steps that the other rows of a batch make between a cancel and the end of the cancelled one: the worst case."""
    tokenizer = lab.tokenizer(shape)
    lab.load(shape)
    digit = _one_digit(tokenizer)
    steps: list[int] = []
    waits: list[float] = []
    for _ in range(plan.rounds):
        texts = [lab.text(tokenizer, plan.prompt) for _ in range(2)]
        other, victim = [
            lab.engine.generate(request(shape, user(text), plan.tokens, logit_bias=digit)) for text in texts
        ]
        freed = _stamps(victim, Finished)
        next(event for event in victim if isinstance(event, TextDelta))
        next(event for event in other if isinstance(event, TextDelta))
        cancelled = time.monotonic()
        victim.cancel()
        victim.wait()
        other.cancel()
        end = victim.result().finished
        assert end is not None
        assert end.reason is FinishReason.CANCELLED
        steps.append(sum(isinstance(event, TextDelta) and cancelled < event.at <= freed[0] for event in other))
        waits.append(freed[0] - cancelled)
    return {"value": max(steps), "mean": statistics.mean(steps), "wait_s": statistics.median(waits)}


def _one_digit(tokenizer: Any) -> dict[int, float]:
    """A bias that makes every answer one digit over and over: each token is text at once, and comes back as itself when
    the answer is part of the next prompt."""
    return {tokenizer.encode("7", add_special_tokens=False)[-1]: 100.0}


def _stamps(generation: Generation, kind: type[Event]) -> list[float]:
    """Gets the moments at which the engine's thread feeds events of a kind: a reader may be woken steps later."""
    stamps: list[float] = []
    feed = generation.feed

    def stamped(event: Event) -> None:
        if isinstance(event, kind):
            stamps.append(time.monotonic())
        feed(event)

    generation.feed = stamped  # type: ignore[method-assign]
    return stamps


def queue_growth_mb(lab: Lab, shape: Shape, plan: Plan) -> Figures:
    """Growth of the process's memory while so many requests wait and until all have ended, none being read meanwhile.

    No KV is kept for later: that memory has a budget of its own.
    """
    tokenizer = lab.tokenizer(shape)
    with lab.other_engine(max_queue=plan.rounds, cache_budget_gb=0.0) as engine:
        batch = engine.settings.max_batch

        def submit(count: int) -> list[Generation]:
            texts = [lab.text(tokenizer, plan.prompt) for _ in range(count)]
            return [engine.generate(request(shape, user(text), plan.tokens)) for text in texts]

        for generation in submit(3 * batch):
            finished(generation)
        process = psutil.Process()
        gc.collect()
        before = process.memory_info().rss
        handles = submit(plan.rounds)
        queued = peak = process.memory_info().rss
        waiting = sum(not generation.admitted for generation in handles)
        over = threading.Event()
        while not over.is_set():
            peak = max(peak, process.memory_info().rss)
            if handles[-1].wait(0.05):
                over.set()
        peak = max(peak, process.memory_info().rss)
        for generation in handles:
            finished(generation)
    return {
        "value": (peak - before) / 1e6,
        "queued": (queued - before) / 1e6,
        "waiting": waiting,
        "before_rss": before / 1e6,
    }


def _run(engine: Engine, requests: list[GenerationRequest]) -> int:
    """Ask all at once, read all to the end; returns the tokens made."""
    generations = [engine.generate(request) for request in requests]
    return sum(finished(generation).usage.completion_tokens for generation in generations)


MEASURES: dict[str, Measure] = {
    "prefill": prefill,
    "one_stream": one_stream,
    "eight_streams": eight_streams,
    "eight_vision": eight_vision,
    "followup_text": followup_text,
    "followup_vision": followup_vision,
    "short_behind_long": short_behind_long,
    "cancel_steps": cancel_steps,
    "queue_growth_mb": queue_growth_mb,
}
