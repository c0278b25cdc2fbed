"""Engine events to OpenAI bodies and chunks: pure, and valid for any order of events."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.calls.events import (
    Event,
    Finished,
    FinishReason,
    GenerationResult,
    TextDelta,
    ThinkingDelta,
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from server.errors import ApiError, Protocol, error_body
from server.frames import PINGS_TO_AN_EVENT, Frame
from server.openai.tools import Shape, call_body, custom_input

_REASONS = {FinishReason.STOP: "stop", FinishReason.LENGTH: "length", FinishReason.TOOL_CALLS: "tool_calls"}


@dataclass(frozen=True)
class Head:
    """What every body and chunk of one answer repeats. `created` is seconds since the epoch."""

    model: str
    prefix: str = "chatcmpl"
    created: int = field(default_factory=lambda: int(time.time()))
    tail: str = field(default_factory=lambda: uuid.uuid4().hex)

    def fields(self, kind: str) -> dict[str, Any]:
        return {"id": f"{self.prefix}-{self.tail}", "object": kind, "created": self.created, "model": self.model}


def usage_body(usages: Sequence[Usage]) -> dict[str, Any]:
    """Usage of all choices: the prompt counts once, as at OpenAI, and so does what was known of it before the first."""
    prompt = usages[0].prompt_tokens if usages else 0
    completion = sum(usage.completion_tokens for usage in usages)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": min((usage.cached_tokens for usage in usages), default=0)},
        "completion_tokens_details": {"reasoning_tokens": sum(usage.thinking_tokens for usage in usages)},
    }


def chat_body(head: Head, results: Sequence[GenerationResult], shape: Shape = Shape()) -> dict[str, Any]:
    """A chat.completion: one choice for each result, each of which has finished."""
    return {
        **head.fields("chat.completion"),
        "choices": [_chat_choice(index, result, shape) for index, result in enumerate(results)],
        "usage": usage_body([result.finished.usage for result in results if result.finished]),
    }


def _chat_choice(index: int, result: GenerationResult, shape: Shape) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": result.text, "refusal": None}
    if result.thinking:
        message["reasoning_content"] = result.thinking
    if result.tool_calls:
        message["content"] = result.text or None
        calls = [call_body(shape, call.id, call.name, call.arguments, call.whole) for call in result.tool_calls]
        message |= {"function_call": calls[0]["function"]} if shape.old else {"tool_calls": calls}
    return {
        "index": index,
        "message": message,
        "logprobs": _all_logprobs(result.logprobs, result.thinking_logprobs),
        "finish_reason": _reason(result.finished, bool(result.tool_calls), shape),
    }


def _reason(finished: Finished | None, called: bool, shape: Shape) -> str:
    reason = _REASONS.get(finished.reason, "stop") if finished is not None else "stop"
    reason = "tool_calls" if called and reason == "stop" else reason
    return "function_call" if shape.old and reason == "tool_calls" else reason


def _all_logprobs(content: Sequence[TokenLogprob], thinking: Sequence[TokenLogprob]) -> dict[str, Any] | None:
    """A choice's logprobs: the tokens of `content` join to it; those of the thinking are in a list of their own."""
    if not content and not thinking:
        return None
    apart = {"reasoning_content": logprobs(thinking)} if thinking else {}
    return {"content": logprobs(content) if content else None, "refusal": None, **apart}


def logprobs(tokens: Iterable[TokenLogprob]) -> list[dict[str, Any]]:
    """Tokens as both of the protocol's ways to answer have them."""
    return [{**_logprob(token), "top_logprobs": [_logprob(other) for other in token.top]} for token in tokens]


def _logprob(token: TokenLogprob) -> dict[str, Any]:
    raw = token.text.encode("utf-8", "replace") if token.raw is None else token.raw
    return {"token": token.text, "logprob": token.logprob, "bytes": list(raw)}


class ChatStream:
    """The chunks of a chat completion: role, deltas, finish_reason; then usage if it was asked for, and [DONE]."""

    def __init__(self, head: Head, *, include_usage: bool = False, shape: Shape = Shape()) -> None:
        self._head = head
        self._shape = shape
        self._custom: dict[int, tuple[int, ToolCall]] = {}
        """The call of a custom tool that a choice is at: its text is known when its arguments are whole."""
        self._include_usage = include_usage
        self._begun: set[int] = set()
        self._said: set[int] = set()
        """Choices whose content is a text, and not null."""
        self._pings = 0
        self._called: set[int] = set()
        self._usages: dict[int, Usage] = {}

    def feed(self, event: Event, choice: int = 0) -> list[Frame]:
        if choice in self._usages:
            return []
        match event:
            case TextDelta():
                return self._delta(choice, {"content": event.text}, event.logprobs)
            case ThinkingDelta():
                if not event.text and not event.logprobs:
                    return []
                return self._delta(choice, {"reasoning_content": event.text}, thinking=event.logprobs)
            case ToolCallStart():
                self._called.add(choice)
                return [*self._end_custom(choice), *self._start_call(choice, event)]
            case ToolCallDelta():
                if choice in self._custom:
                    self._custom[choice][1].arguments += event.arguments
                    return []
                function = {"arguments": event.arguments}
                old = {"function_call": function}
                new = {"tool_calls": [{"index": event.index, "function": function}]}
                return self._delta(choice, old if self._shape.old else new)
            case Finished():
                frames = self._end_custom(choice)
                self._usages[choice] = event.usage
                called = choice in self._called
                silent = not called and choice in self._begun - self._said
                opening = self._opening(choice, None if called else "")
                reason = _reason(event, called, self._shape)
                return [*frames, *opening, self._chunk(choice, {"content": ""} if silent else {}, reason)]
            case _:
                return []

    def close(self) -> list[Frame]:
        frames = []
        if self._include_usage:
            usage = usage_body([self._usages[choice] for choice in sorted(self._usages)])
            frames.append(Frame({**self._head.fields("chat.completion.chunk"), "choices": [], "usage": usage}))
        return [*frames, Frame("[DONE]")]

    def fail(self, error: ApiError) -> list[Frame]:
        return [Frame(error_body(error, Protocol.OPENAI, ""))]

    def ping(self) -> list[Frame]:
        self._pings += 1
        if self._pings % PINGS_TO_AN_EVENT or 0 in self._usages:
            return [Frame(comment="waiting")]
        return [*self._opening(0, None), self._chunk(0, {})]

    def _start_call(self, choice: int, event: ToolCallStart) -> list[Frame]:
        if event.name in self._shape.custom:
            self._custom[choice] = (event.index, ToolCall(event.id, event.name))
            called = {"type": "custom", "custom": {"name": event.name, "input": ""}}
        else:
            called = {"type": "function", "function": {"name": event.name, "arguments": ""}}
        if self._shape.old:
            return self._delta(choice, {"function_call": called["function"]})
        return self._delta(choice, {"tool_calls": [{"index": event.index, "id": event.id, **called}]})

    def _end_custom(self, choice: int) -> list[Frame]:
        if choice not in self._custom:
            return []
        index, call = self._custom.pop(choice)
        text = {"input": custom_input(call.whole)}
        return self._delta(choice, {"tool_calls": [{"index": index, "custom": text}]})

    def _opening(self, choice: int, content: str | None) -> list[Frame]:
        """The first chunk of a choice. What has no content as a whole says so: a call of tools."""
        if content is not None:
            self._said.add(choice)
        if choice in self._begun:
            return []
        self._begun.add(choice)
        return [self._chunk(choice, {"role": "assistant", "content": content})]

    def _delta(
        self,
        choice: int,
        delta: dict[str, Any],
        logprobs: Sequence[TokenLogprob] = (),
        thinking: Sequence[TokenLogprob] = (),
    ) -> list[Frame]:
        content = "" if "content" in delta else None
        return [*self._opening(choice, content), self._chunk(choice, delta, None, logprobs, thinking)]

    def _chunk(
        self,
        choice: int,
        delta: dict[str, Any],
        reason: str | None = None,
        logprobs: Sequence[TokenLogprob] = (),
        thinking: Sequence[TokenLogprob] = (),
    ) -> Frame:
        body: dict[str, Any] = {
            **self._head.fields("chat.completion.chunk"),
            "choices": [
                {
                    "index": choice,
                    "delta": delta,
                    "logprobs": _all_logprobs(logprobs, thinking),
                    "finish_reason": reason,
                }
            ],
        }
        if self._include_usage:
            body["usage"] = None
        return Frame(body)
