"""The OpenAI protocol as a route: POST /v1/chat/completions, streamed."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.calls.events import (
    Event,
    Finished,
    FinishReason,
    TextDelta,
    ThinkingDelta,
    Timing,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from core.calls.requests import (
    GenerationRequest,
    ImagePart,
    Message,
    Part,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolChoice,
    ToolMode,
    ToolResultPart,
    tool_to_json,
)
from core.golden.conversation import call_arguments
from core.golden.routes import RouteError
from core.golden.routes.http import Frame, bearer
from core.media.images import ImageData

REASONS = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
}
"""Any other finish_reason, such as content_filter, is no clean end."""


class OpenAI:
    """Fields as in OpenAI's API reference, and what local servers add: top_k, min_p, repetition_penalty,
    reasoning_content and chat_template_kwargs. Conversations with calls and their results are sent whole."""

    path = "/v1/chat/completions"

    def headers(self, key: str) -> dict[str, str]:
        return bearer(key)

    def encode(self, request: GenerationRequest) -> dict[str, Any]:
        body = {
            "model": request.model,
            "messages": [told for message in request.messages for told in _messages(message)],
            "tools": [{"type": "function", "function": tool_to_json(tool)} for tool in request.tools] or None,
            "tool_choice": tool_choice(request.tool_choice),
            "response_format": response_format(request.json_schema),
            "max_tokens": request.sampling.max_tokens,
            **sampling_fields(request),
            "min_p": request.sampling.min_p,
            "repetition_penalty": request.sampling.repetition_penalty,
            "presence_penalty": request.sampling.presence_penalty,
            "frequency_penalty": request.sampling.frequency_penalty,
            "logit_bias": {str(token): bias for token, bias in (request.sampling.logit_bias or {}).items()} or None,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        return {name: value for name, value in body.items() if value is not None}

    def reader(self) -> OpenAIReader:
        return OpenAIReader()


class OpenAIReader:
    """Chunks to events: the finish waits for the usage, which comes after it."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._usage = Usage()

    def feed(self, frame: Frame) -> list[Event]:
        if frame.data == "[DONE]":
            return self._finish()
        chunk = json.loads(frame.data)
        if "error" in chunk:
            raise RouteError(f"The server broke off: {chunk['error'].get('message', chunk['error'])}")
        if chunk.get("usage"):
            self._usage = _usage(chunk["usage"])
        events: list[Event] = []
        for choice in chunk.get("choices") or []:
            events += _delta(choice.get("delta") or {})
            self._reason = choice.get("finish_reason") or self._reason
        return events

    def _finish(self) -> list[Event]:
        if self._reason is None:
            return []
        reason = REASONS.get(self._reason, FinishReason.OTHER)
        return [Finished(reason, self._usage, Timing(), said=self._reason if reason is FinishReason.OTHER else "")]


def _delta(delta: dict[str, Any]) -> list[Event]:
    events: list[Event] = []
    if thinking := delta.get("reasoning_content") or delta.get("reasoning"):
        events.append(ThinkingDelta(thinking))
    if delta.get("content"):
        events.append(TextDelta(delta["content"]))
    for call in delta.get("tool_calls") or []:
        function = call.get("function") or {}
        if function.get("name"):
            events.append(ToolCallStart(call["index"], call.get("id") or "", function["name"]))
        if function.get("arguments"):
            events.append(ToolCallDelta(call["index"], function["arguments"]))
    return events


def _usage(usage: dict[str, Any]) -> Usage:
    return Usage(
        prompt_tokens=usage.get("prompt_tokens") or 0,
        completion_tokens=usage.get("completion_tokens") or 0,
        cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0,
        thinking_tokens=(usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0,
    )


def _messages(message: Message) -> Iterator[dict[str, Any]]:
    """A turn; of results of tools, one message for each."""
    results = [part for part in message.parts if isinstance(part, ToolResultPart)]
    for part in results:
        yield {"role": "tool", "tool_call_id": part.call_id, "content": _content(part.content)}
    if results:
        return
    told: dict[str, Any] = {"role": message.role.value, "content": _content(message.parts)}
    if thinking := "".join(part.text for part in message.parts if isinstance(part, ThinkingPart)):
        told["reasoning_content"] = thinking
    if calls := [part for part in message.parts if isinstance(part, ToolCallPart)]:
        told["content"] = told["content"] or None
        told["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call_arguments(call)},
            }
            for call in calls
        ]
    yield told


def _content(parts: Sequence[Part]) -> str | list[dict[str, Any]]:
    """Text and images in their order; plain text as a string."""
    shown = [part for part in parts if isinstance(part, TextPart | ImagePart)]
    if all(isinstance(part, TextPart) for part in shown):
        return "".join(part.text for part in shown if isinstance(part, TextPart))
    return [
        {"type": "text", "text": part.text}
        if isinstance(part, TextPart)
        else {"type": "image_url", "image_url": {"url": data_uri(part.image)}}
        for part in shown
    ]


def result_text(result: ToolResultPart) -> str:
    """What a tool has returned; a suite's results are text."""
    return "".join(part.text for part in result.content if isinstance(part, TextPart))


def tool_choice(choice: ToolChoice) -> str | dict[str, Any] | None:
    """A choice among tools as the protocol has it; None for what goes without saying."""
    if choice.name is not None:
        return {"type": "function", "function": {"name": choice.name}}
    return None if choice.mode is ToolMode.AUTO else choice.mode.value


def response_format(schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A schema for the answer as the protocol has it."""
    return None if schema is None else {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def data_uri(image: ImageData) -> str:
    """An image as an address that holds it."""
    return f"data:{image.media_type};base64,{base64.b64encode(image.data).decode()}"


def sampling_fields(request: GenerationRequest) -> dict[str, Any]:
    """What both halves of the protocol call the same of how an answer is drawn; None for what is not set."""
    sampling = request.sampling
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
        "chat_template_kwargs": None if request.thinking is None else {"enable_thinking": request.thinking},
    }
