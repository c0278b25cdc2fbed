"""Engine events to Anthropic bodies and events: pure, and valid for any order of events."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from core.calls.events import (
    Event,
    Finished,
    FinishReason,
    GenerationResult,
    Prefill,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from server.errors import ApiError, Protocol, error_body
from server.frames import PINGS_TO_AN_EVENT, Frame

_REASONS = {FinishReason.STOP: "end_turn", FinishReason.LENGTH: "max_tokens", FinishReason.TOOL_CALLS: "tool_use"}


def message_id() -> str:
    return f"msg_{uuid.uuid4().hex}"


def signature(thinking: str) -> str:
    """What stands where Anthropic signs a thinking block: clients want one and echo it; nothing here checks it."""
    return "assay-" + hashlib.sha256(thinking.encode("utf-8", "replace")).hexdigest()


def usage_body(prompt: int, cached: int) -> dict[str, int]:
    """Prompt tokens in Anthropic's split: input_tokens leave out what came from the cache."""
    return {
        "input_tokens": prompt - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
    }


def _final_usage(usage: Usage) -> dict[str, Any]:
    return {
        **usage_body(usage.prompt_tokens, usage.cached_tokens),
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"thinking_tokens": usage.thinking_tokens},
    }


def _stop_reason(finished: Finished, called: bool) -> str:
    if finished.stop_sequence is not None:
        return "stop_sequence"
    reason = _REASONS.get(finished.reason, "end_turn")
    return "tool_use" if called and reason == "end_turn" else reason


def message_body(id: str, model: str, result: GenerationResult, *, show_thinking: bool = True) -> dict[str, Any]:
    """A finished message. Of arguments that were cut off, what is whole is kept."""
    content: list[dict[str, Any]] = []
    if result.thinking:
        shown = result.thinking if show_thinking else ""
        content.append({"type": "thinking", "thinking": shown, "signature": signature(result.thinking)})
    if result.text:
        content.append({"type": "text", "text": result.text})
    for call in result.tool_calls:
        content.append({"type": "tool_use", "id": call.id, "name": call.name, "input": call.whole})
    finished = result.finished
    assert finished is not None
    return {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": _stop_reason(finished, bool(result.tool_calls)),
        "stop_sequence": finished.stop_sequence,
        "usage": _final_usage(finished.usage),
    }


class MessageStream:
    """The events of a message: start, blocks one after another, delta, stop.

    The start waits for the prompt's token count, which clients read there and nowhere else.
    """

    def __init__(self, id: str, model: str, request_id: str, *, show_thinking: bool = True) -> None:
        self._id = id
        self._model = model
        self._request_id = request_id
        self._show_thinking = show_thinking
        self._prompt = (0, 0)
        self._started = False
        self._finished = False
        self._index = -1
        self._open: str | int | None = None
        """The open block: "text", "thinking", the index of a tool call, or None."""
        self._thinking: list[str] = []
        self._called = False
        self._pings = 0

    def feed(self, event: Event, choice: int = 0) -> list[Frame]:
        if self._finished:
            return []
        match event:
            case Prefill():
                self._prompt = (event.total, event.cached)
                return self._start()
            case TextDelta():
                return self._delta("text", {"type": "text_delta", "text": event.text}) if event.text else []
            case ThinkingDelta():
                if not event.text:
                    return []
                self._thinking.append(event.text)
                frames = self._enter("thinking")
                if self._show_thinking:
                    frames.append(self._block_delta({"type": "thinking_delta", "thinking": event.text}))
                return frames
            case ToolCallStart():
                self._called = True
                block = {"type": "tool_use", "id": event.id, "name": event.name, "input": {}}
                return [*self._start(), *self._stop_block(), *self._start_block(event.index, block)]
            case ToolCallDelta():
                # Blocks cannot overlap: a fragment for a call whose block has closed has no place to go.
                if self._open != event.index:
                    return []
                return [self._block_delta({"type": "input_json_delta", "partial_json": event.arguments})]
            case Finished():
                return self._finish(event)
            case _:
                return []

    def close(self) -> list[Frame]:
        return []

    def fail(self, error: ApiError) -> list[Frame]:
        self._finished = True
        body = error_body(error, Protocol.ANTHROPIC, self._request_id)
        return [*self._stop_block(), Frame(body, "error")]

    def ping(self) -> list[Frame]:
        """Official clients drop pings unseen, and programs on them give up after some minutes without an event: now and
        then it is a piece of text without a letter, in the block that is open or will be the answer's first."""
        self._pings += 1
        if self._pings % PINGS_TO_AN_EVENT or self._finished:
            return [Frame({"type": "ping"}, "ping")]
        match self._open:
            case None | "text":
                return self._delta("text", {"type": "text_delta", "text": ""})
            case "thinking":
                return [self._block_delta({"type": "thinking_delta", "thinking": ""})]
            case _:
                return [self._block_delta({"type": "input_json_delta", "partial_json": ""})]

    def _finish(self, event: Finished) -> list[Frame]:
        if self._prompt == (0, 0):
            self._prompt = (event.usage.prompt_tokens, event.usage.cached_tokens)
        frames = [*self._start(), *self._stop_block()]
        self._finished = True
        delta = {"stop_reason": _stop_reason(event, self._called), "stop_sequence": event.stop_sequence}
        return [
            *frames,
            _frame("message_delta", delta=delta, usage=_final_usage(event.usage)),
            _frame("message_stop"),
        ]

    def _start(self) -> list[Frame]:
        if self._started:
            return []
        self._started = True
        message: dict[str, Any] = {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**usage_body(*self._prompt), "output_tokens": 0},
        }
        return [_frame("message_start", message=message)]

    def _delta(self, kind: str, delta: dict[str, Any]) -> list[Frame]:
        return [*self._enter(kind), self._block_delta(delta)]

    def _enter(self, kind: str) -> list[Frame]:
        """Make a text or thinking block the open one."""
        if self._open == kind:
            return []
        blank = {"type": kind, kind: ""} | ({"signature": ""} if kind == "thinking" else {})
        return [*self._start(), *self._stop_block(), *self._start_block(kind, blank)]

    def _start_block(self, block: str | int, content: dict[str, Any]) -> list[Frame]:
        self._open = block
        self._index += 1
        return [_frame("content_block_start", index=self._index, content_block=content)]

    def _block_delta(self, delta: dict[str, Any]) -> Frame:
        return _frame("content_block_delta", index=self._index, delta=delta)

    def _stop_block(self) -> list[Frame]:
        if self._open is None:
            return []
        frames = []
        if self._open == "thinking":
            signed = signature("".join(self._thinking))
            self._thinking.clear()
            frames.append(self._block_delta({"type": "signature_delta", "signature": signed}))
        self._open = None
        return [*frames, _frame("content_block_stop", index=self._index)]


def _frame(kind: str, **fields: Any) -> Frame:
    return Frame({"type": kind, **fields}, kind)
