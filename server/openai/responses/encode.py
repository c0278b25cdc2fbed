"""Engine events to the body and the events of a response: pure, and valid for any order of events."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

from core.calls.events import (
    Event,
    Finished,
    FinishReason,
    GenerationResult,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from server.errors import ApiError, Protocol, error_body
from server.frames import PINGS_TO_AN_EVENT, Frame
from server.openai.encode import logprobs
from server.openai.responses.decode import LOGPROBS, PARAMS, SEALED, includes, known_tools, namespaces, summarised
from server.openai.responses.output import Call, Events, Item, Text, Thinking
from server.openai.responses.schema import ChoiceItem, ResponsesRequest

_CODES = {"queue_full": "rate_limit_exceeded", "context_length_exceeded": "context_length_exceeded"}
"""Codes of response.error that clients act upon. The second is not in OpenAI's list of them, and OpenAI sends it."""


def head(body: ResponsesRequest, model: str) -> dict[str, Any]:
    """What a response repeats of its request: all fields but those that change while it is made."""
    reasoning, text = body.reasoning, body.text
    asked = text.format.model_dump(by_alias=True, exclude_none=True) if text is not None and text.format else None
    if asked is not None and asked["type"] == "json_schema":
        asked.setdefault("name", "answer")
    choice = body.tool_choice
    return {
        "id": f"resp_{uuid.uuid4().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "background": False,
        "conversation": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": None,
        "metadata": body.metadata or {},
        "model": model,
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": body.previous_response_id,
        "prompt_cache_key": body.prompt_cache_key,
        "reasoning": {
            "effort": reasoning.effort if reasoning else None,
            "summary": (reasoning.summary or reasoning.generate_summary) if reasoning else None,
        },
        "safety_identifier": body.safety_identifier,
        "service_tier": "default",
        "temperature": body.temperature,
        "text": {"format": asked or {"type": "text"}, "verbosity": text.verbosity if text else None},
        "tool_choice": _choice(choice) if isinstance(choice, ChoiceItem) else choice or "auto",
        "tools": [_tool(item.model_dump(exclude_none=True)) for item in known_tools(body)],
        "top_logprobs": body.top_logprobs or 0,
        "top_p": body.top_p,
        "truncation": "disabled",
        "user": body.user,
    }


def _tool(item: dict[str, Any]) -> dict[str, Any]:
    whole = {"description": "", "tools": []} if item["type"] == "namespace" else {"parameters": None, "strict": False}
    return whole | item


def _choice(choice: ChoiceItem) -> dict[str, Any]:
    whole = {"mode": "auto"} if choice.type == "allowed_tools" else {}
    return whole | choice.model_dump(exclude_none=True)


def usage_body(usage: Usage) -> dict[str, Any]:
    """Tokens as Responses has them: cached ones are part of the input. Nothing here is paid for writing to a cache."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.thinking_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


class ResponseStream:
    """The events of a response: created, in_progress, items one after another, and how it ended.

    `keep` is called with the whole response when it has ended, before anybody is told; `stored` says what comes of it.
    """

    def __init__(
        self, body: ResponsesRequest, model: str, keep: Callable[[dict[str, Any]], None], *, stored: bool = False
    ) -> None:
        self._head = head(body, model) | {"store": stored}
        self._summarised = summarised(body)
        self._sealing = includes(body, SEALED)
        self._scored = includes(body, LOGPROBS)
        self._namespaces = namespaces(body)
        self._keep = keep
        self._number = 0
        self._pings = 0
        self._status = "in_progress"
        self._items: list[Item] = []
        self._open: Item | None = None
        """The item that grows, which is the last."""
        self._finished: Finished | None = None
        self._error: dict[str, Any] | None = None
        self._ended_at: int | None = None

    @property
    def id(self) -> str:
        return str(self._head["id"])

    def response(self) -> dict[str, Any]:
        """The response as it stands."""
        return self._head | {
            "status": self._status,
            "completed_at": self._ended_at if self._status == "completed" else None,
            "error": self._error,
            "incomplete_details": {"reason": "max_output_tokens"} if self._status == "incomplete" else None,
            "output": [item.body() for item in self._items],
            "usage": usage_body(self._finished.usage) if self._finished is not None else None,
        }

    def feed(self, event: Event, choice: int = 0) -> list[Frame]:
        return [] if self._over else self._frames([*self._begun(), *self._fed(event)])

    def close(self) -> list[Frame]:
        """The last event, of an answer that has finished."""
        cut = self._finished is not None and self._finished.reason is FinishReason.LENGTH
        self._end("incomplete" if cut else "completed")
        return self._frames([{"type": f"response.{self._status}", "response": self.response()}])

    def fail(self, error: ApiError) -> list[Frame]:
        told = error_body(error, Protocol.OPENAI, "")["error"]
        told["param"] = PARAMS.get(told["param"], told["param"])
        usual = "server_error" if error.status >= 500 or error.status == 499 else "invalid_prompt"
        code = _CODES.get(error.code, "invalid_image" if error.code == "invalid_image" else usual)
        begun = self._begun()
        self._error = {"code": code, "message": told["message"]}
        if self._open is not None:
            self._open.status = "incomplete"
        self._end("cancelled" if error.status == 499 else "failed")
        # The inner object is for the official clients, which raise an error for it and else read on as if all was well.
        event = {"type": "error", "code": told["code"], "message": told["message"], "param": told["param"]}
        failed = {"type": "response.failed", "response": self.response()}
        return self._frames([*begun, event | {"error": told}, failed])

    def ping(self) -> list[Frame]:
        self._pings += 1
        if self._number == 0 or self._pings % PINGS_TO_AN_EVENT:
            return [Frame(comment="waiting")]
        return self._frames([{"type": "response.in_progress", "response": self.response()}])

    def collector(self) -> GenerationResult:
        """A result that puts this response together as well."""
        return _Collected(self)

    def whole(self) -> dict[str, Any]:
        """The body of an answer that was collected."""
        self.close()
        return self.response()

    @property
    def _over(self) -> bool:
        return self._finished is not None or self._ended_at is not None

    def _end(self, status: str) -> None:
        self._status = status
        self._ended_at = int(time.time())
        self._keep(self.response())

    def _begun(self) -> Events:
        if self._number:
            return []
        started = self.response()
        return [{"type": f"response.{kind}", "response": started} for kind in ("created", "in_progress")]

    def _fed(self, event: Event) -> Events:
        match event:
            case TextDelta() if event.text or (event.logprobs and self._scored):
                scores = logprobs(event.logprobs) if self._scored else []
                return self._grow(Text, event.text, scores)
            case ThinkingDelta() if event.text:
                return self._grow(Thinking, event.text, [])
            case ToolCallStart():
                name = self._namespaces.get(event.name, ("", event.name))
                return self._opened(Call(len(self._items), event.id, name, event.index))
            case ToolCallDelta() if event.arguments:
                # Items do not overlap: a fragment for a call whose item has closed has no place to go.
                growing = self._open
                mine = isinstance(growing, Call) and growing.number == event.index
                return growing.add(event.arguments, []) if growing is not None and mine else []
            case Finished():
                events = self._shut("incomplete" if event.reason is FinishReason.LENGTH else "completed")
                self._finished = event
                return events
        return []

    def _grow(self, kind: type[Text] | type[Thinking], text: str, scores: list[dict[str, Any]]) -> Events:
        before: Events = []
        if not isinstance(self._open, kind):
            place = len(self._items)
            before = self._opened(
                Text(place) if kind is Text else Thinking(place, summarised=self._summarised, sealing=self._sealing)
            )
        return [*before, *self._items[-1].add(text, scores)]

    def _opened(self, item: Item) -> Events:
        """The item becomes the one that grows, in place of what grew before."""
        before = self._shut("completed")
        self._items.append(item)
        self._open = item
        return [*before, *item.open()]

    def _shut(self, status: str) -> Events:
        shut, self._open = self._open, None
        return shut.close(status) if shut is not None else []

    def _frames(self, events: Events) -> list[Frame]:
        frames = []
        for event in events:
            frames.append(Frame({**event, "sequence_number": self._number}, event["type"]))
            self._number += 1
        return frames


class _Collected(GenerationResult):
    """Folds events into a response, too, which keeps their order."""

    def __init__(self, stream: ResponseStream) -> None:
        super().__init__()
        self._stream = stream

    def add(self, event: Event) -> None:
        super().add(event)
        self._stream.feed(event)
