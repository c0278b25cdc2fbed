"""Engine events to the bodies and chunks of OpenAI's plain completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.calls.events import (
    Event,
    Finished,
    FinishReason,
    GenerationResult,
    TextDelta,
    ThinkingDelta,
    TokenLogprob,
    Usage,
)
from server.errors import ApiError, Protocol, error_body
from server.frames import PINGS_TO_AN_EVENT, Frame
from server.openai.encode import Head, usage_body


def completion_body(head: Head, results: Sequence[GenerationResult], echo: str = "") -> dict[str, Any]:
    """A text_completion; `echo` is put before each choice's text."""
    return {
        **head.fields("text_completion"),
        "choices": [
            {
                "text": echo + result.thinking + result.text,
                "index": index,
                "logprobs": _logprobs([*result.thinking_logprobs, *result.logprobs], len(echo))
                if result.thinking_logprobs or result.logprobs
                else None,
                "finish_reason": _reason(result.finished),
            }
            for index, result in enumerate(results)
        ],
        "usage": usage_body([result.finished.usage for result in results if result.finished]),
    }


class CompletionStream:
    """The chunks of a plain completion. A plain prompt has no thinking apart: what looks like it is text."""

    def __init__(self, head: Head, *, include_usage: bool = False, echo: str = "") -> None:
        self._head = head
        self._include_usage = include_usage
        self._echo = echo
        self._lengths: dict[int, int] = {}
        self._pings = 0
        self._usages: dict[int, Usage] = {}

    def feed(self, event: Event, choice: int = 0) -> list[Frame]:
        if choice in self._usages:
            return []
        match event:
            case TextDelta():
                return self._chunk(choice, event.text, logprobs=event.logprobs)
            case ThinkingDelta():
                return self._chunk(choice, event.text, logprobs=event.logprobs)
            case Finished():
                self._usages[choice] = event.usage
                return self._chunk(choice, "", _reason(event))
            case _:
                return []

    def close(self) -> list[Frame]:
        frames = []
        if self._include_usage:
            usage = usage_body([self._usages[choice] for choice in sorted(self._usages)])
            frames.append(Frame({**self._head.fields("text_completion"), "choices": [], "usage": usage}))
        return [*frames, Frame("[DONE]")]

    def fail(self, error: ApiError) -> list[Frame]:
        return [Frame(error_body(error, Protocol.OPENAI, ""))]

    def ping(self) -> list[Frame]:
        self._pings += 1
        if self._pings % PINGS_TO_AN_EVENT or 0 in self._usages:
            return [Frame(comment="waiting")]
        return self._chunk(0, "")

    def _chunk(
        self, choice: int, text: str, reason: str | None = None, logprobs: Sequence[TokenLogprob] = ()
    ) -> list[Frame]:
        if choice not in self._lengths:
            self._lengths[choice] = len(self._echo)
            text = self._echo + text
        body: dict[str, Any] = {
            **self._head.fields("text_completion"),
            "choices": [
                {
                    "text": text,
                    "index": choice,
                    "logprobs": _logprobs(logprobs, self._lengths[choice]) if logprobs else None,
                    "finish_reason": reason,
                }
            ],
        }
        self._lengths[choice] += sum(len(token.text) for token in logprobs)
        if self._include_usage:
            body["usage"] = None
        return [Frame(body)]


def _reason(finished: Finished | None) -> str:
    return "length" if finished is not None and finished.reason is FinishReason.LENGTH else "stop"


def _logprobs(tokens: Sequence[TokenLogprob], offset: int) -> dict[str, Any]:
    """The older, columnar form; offsets are characters from the start of the choice's text."""
    offsets: list[int] = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.text)
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [{other.text: other.logprob for other in token.top} for token in tokens],
        "text_offset": offsets,
    }
