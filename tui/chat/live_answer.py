"""A generation as it comes in: the text so far, what the engine is doing, and live figures from the engine's clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from core.calls.events import (
    Event,
    Finished,
    FinishReason,
    GenerationResult,
    Loading,
    Prefill,
    Queued,
    TextDelta,
    ThinkingDelta,
    Timing,
    ToolCallDelta,
    Usage,
)
from core.chats.endings import cut_short
from tui.figures import first_token, rate, seconds
from tui.foreign import one_line

WAITS = "waits for the tool's result"
"""What is said of calls whose results have not come."""
RATE_AFTER_S = 0.25
"""A rate told from less time than this jumps about."""


def final_figures(finished: Finished, spelled: bool = False, answered: bool = False, calls: str = WAITS) -> str:
    """The line under a finished answer; `spelled` is for where there is room for words, `answered` says that the calls
    of tools in it have their results, and `calls` what is said of those that have none."""
    timing, usage = finished.timing, finished.usage
    parts = [first_token(timing.ttft_s, spelled)] if timing.ttft_s else []
    if told := rate(timing.decode_tps, usage.completion_tokens, spelled):
        parts.append(told)
    cached = f" ({usage.cached_tokens:,} cached)" if usage.cached_tokens else ""
    if spelled and (usage.prompt_tokens or usage.completion_tokens):
        parts.append(f"prompt {usage.prompt_tokens:,} tokens{cached}, answer {usage.completion_tokens:,}")
    elif usage.prompt_tokens or usage.completion_tokens:
        parts.append(f"{usage.prompt_tokens}{cached} → {usage.completion_tokens} tokens")
    if timing.load_s >= 0.05:
        parts.append(f"loaded in {seconds(timing.load_s)}")
    waits = finished.reason is FinishReason.TOOL_CALLS and not answered
    if ending := calls if waits else cut_short(finished):
        parts.append(ending)
    return " · ".join(parts)


@dataclass
class LiveAnswer:
    """Fold events in with `add`; times are seconds of time.monotonic()."""

    submitted_at: float
    clock: Callable[[], float] = time.monotonic
    result: GenerationResult = field(default_factory=GenerationResult)
    first_at: float | None = None
    last_at: float | None = None
    deltas: int = 0
    stage: str = "sent"
    read: tuple[int, int] = (0, 0)
    """Tokens of the prompt, and how many of them were cached."""
    begun: bool = False
    """Whether its model has begun with it."""

    def add(self, event: Event) -> None:
        match event:
            case Queued(position):
                self.stage = f"place {position} in the queue"
            case Loading(model):
                self.stage = f"loading {one_line(model)}"
            case Prefill(done, total, cached):
                self.begun, self.read = True, (total, cached)
                share = f", {cached} cached" if cached else ""
                self.stage = f"reading the prompt {done}/{total}{share}"
            case TextDelta() | ThinkingDelta() | ToolCallDelta():
                if self.first_at is None:
                    self.first_at = event.at
                self.last_at = event.at
                self.deltas += 1
            case _:
                pass
        self.result.add(event)

    def broken(self, said: str = "") -> Finished:
        """How it ends if it ends here, by what is known without the engine; `said` is why, if it was not stopped."""
        first, last = self.first_at or self.submitted_at, self.last_at or self.submitted_at
        rate = (self.deltas - 1) / (last - first) if last - first >= RATE_AFTER_S else 0.0
        timing = Timing(
            ttft_s=first - self.submitted_at, decode_s=last - first, total_s=last - self.submitted_at, decode_tps=rate
        )
        usage = Usage(prompt_tokens=self.read[0], completion_tokens=self.deltas, cached_tokens=self.read[1])
        return Finished(FinishReason.CANCELLED, usage, timing, said=said)

    def figures_behind(self, load: str) -> str:
        """What to write under the answer while a model is read: `load` says which, for a request that has not begun."""
        if load and not self.begun and self.first_at is None and not self.stage.startswith("place"):
            return f"{load} · {seconds(max(0.0, self.clock() - self.submitted_at))}"
        return self.figures

    @property
    def figures(self) -> str:
        """What to write under the answer now."""
        if self.result.finished is not None:
            return final_figures(self.result.finished)
        if self.first_at is None or self.last_at is None:
            return f"{self.stage} · {seconds(max(0.0, self.clock() - self.submitted_at))}"
        parts = [first_token(self.first_at - self.submitted_at)]
        elapsed = self.last_at - self.first_at
        if elapsed >= RATE_AFTER_S:
            # A delta is about a token; the engine's own count replaces the guess at the end.
            parts += filter(None, [rate((self.deltas - 1) / elapsed, self.deltas)])
        parts.append(f"{self.deltas} tokens")
        return " · ".join(parts)
