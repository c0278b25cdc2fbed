"""The Anthropic protocol as a route: POST /v1/messages, streamed."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
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
    Role,
    TextPart,
    ToolCallPart,
    ToolChoice,
    ToolMode,
    ToolResultPart,
)
from core.golden.routes import RouteError
from core.golden.routes.http import Frame
from core.golden.routes.openai import result_text

VERSION = "2023-06-01"
MAX_TOKENS = 256
"""The protocol wants a number, and a request may have none."""

REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
}
"""Any other stop_reason, such as refusal, is no clean end."""


class Anthropic:
    """Fields as in Anthropic's API reference, and `seed`, which the protocol lacks."""

    path = "/v1/messages"

    def headers(self, key: str) -> dict[str, str]:
        return {"anthropic-version": VERSION} | ({"x-api-key": key} if key else {})

    def encode(self, request: GenerationRequest) -> dict[str, Any]:
        sampling = request.sampling
        max_tokens = sampling.max_tokens or MAX_TOKENS
        system = "\n\n".join(message.plain_text for message in request.messages if message.role is Role.SYSTEM)
        body = {
            "model": request.model,
            "max_tokens": max_tokens,
            "system": system or None,
            "messages": [_message(message) for message in request.messages if message.role is not Role.SYSTEM],
            "tools": [
                {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
                | ({"strict": True} if tool.strict else {})
                for tool in request.tools
            ]
            or None,
            "tool_choice": _choice(request.tool_choice),
            "output_config": _format(request.json_schema),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "seed": sampling.seed,
            "stop_sequences": list(sampling.stop) or None,
            "thinking": _thinking(request.thinking, max_tokens),
            "stream": True,
        }
        return {name: value for name, value in body.items() if value is not None}

    def reader(self) -> AnthropicReader:
        return AnthropicReader()


class AnthropicReader:
    """Events of the protocol to the engine's: blocks are told apart by their index, calls are counted from 0."""

    def __init__(self) -> None:
        self._usage: dict[str, Any] = {}
        self._reason = ""
        self._sequence: str | None = None
        self._calls: dict[int, int] = {}

    def feed(self, frame: Frame) -> list[Event]:
        data = json.loads(frame.data)
        match data.get("type"):
            case "message_start":
                self._count(data["message"].get("usage"))
            case "content_block_start":
                return self._start(data["index"], data["content_block"])
            case "content_block_delta":
                return self._delta(data["index"], data["delta"])
            case "message_delta":
                self._reason = data["delta"].get("stop_reason") or ""
                self._sequence = data["delta"].get("stop_sequence")
                self._count(data.get("usage"))
            case "message_stop":
                reason = REASONS.get(self._reason, FinishReason.OTHER)
                said = (self._reason or "no stop_reason") if reason is FinishReason.OTHER else ""
                return [Finished(reason, _usage(self._usage), Timing(), self._sequence, said=said)]
            case "error":
                raise RouteError(f"The server broke off: {data['error'].get('message', data['error'])}")
        return []

    def _count(self, usage: dict[str, Any] | None) -> None:
        """Later figures replace earlier ones; what is not said again stays."""
        self._usage |= {name: value for name, value in (usage or {}).items() if value is not None}

    def _start(self, index: int, block: dict[str, Any]) -> list[Event]:
        match block["type"]:
            case "tool_use":
                call = self._calls[index] = len(self._calls)
                start = ToolCallStart(call, block["id"], block["name"])
                given = [ToolCallDelta(call, json.dumps(block["input"]))] if block.get("input") else []
                return [start, *given]
            case "text" if block.get("text"):
                return [TextDelta(block["text"])]
            case "thinking" if block.get("thinking"):
                return [ThinkingDelta(block["thinking"])]
        return []

    def _delta(self, index: int, delta: dict[str, Any]) -> list[Event]:
        match delta["type"]:
            case "text_delta":
                return [TextDelta(delta["text"])]
            case "thinking_delta":
                return [ThinkingDelta(delta["thinking"])]
            case "input_json_delta" if delta["partial_json"]:
                return [ToolCallDelta(self._calls[index], delta["partial_json"])]
        return []


def _usage(usage: dict[str, Any]) -> Usage:
    """The protocol leaves cached tokens out of input_tokens; here they are part of the prompt."""
    cached = usage.get("cache_read_input_tokens", 0)
    return Usage(
        prompt_tokens=usage.get("input_tokens", 0) + cached + usage.get("cache_creation_input_tokens", 0),
        completion_tokens=usage.get("output_tokens", 0),
        cached_tokens=cached,
        thinking_tokens=(usage.get("output_tokens_details") or {}).get("thinking_tokens", 0),
    )


def _choice(choice: ToolChoice) -> dict[str, Any] | None:
    if choice.name is not None:
        return {"type": "tool", "name": choice.name}
    modes = {ToolMode.AUTO: None, ToolMode.NONE: {"type": "none"}, ToolMode.REQUIRED: {"type": "any"}}
    return modes[choice.mode]


def _format(schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if schema is None else {"format": {"type": "json_schema", "schema": schema}}


def _thinking(asked: bool | None, max_tokens: int) -> dict[str, Any]:
    """Silence means no thinking in this protocol, so that the model's own default has to be asked for."""
    if asked is None:
        return {"type": "adaptive"}
    return {"type": "enabled", "budget_tokens": max(1, max_tokens - 1)} if asked else {"type": "disabled"}


def _message(message: Message) -> dict[str, Any]:
    """A turn as blocks, in order; results of tools are the user's."""
    blocks: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            blocks.append({"type": "text", "text": part.text})
        elif isinstance(part, ImagePart):
            data = base64.b64encode(part.image.data).decode()
            source = {"type": "base64", "media_type": part.image.media_type, "data": data}
            blocks.append({"type": "image", "source": source})
        elif isinstance(part, ToolCallPart):
            blocks.append({"type": "tool_use", "id": part.id, "name": part.name, "input": dict(part.arguments)})
        elif isinstance(part, ToolResultPart):
            blocks.append({"type": "tool_result", "tool_use_id": part.call_id, "content": result_text(part)})
    role = Role.USER if message.role is Role.TOOL else message.role
    return {"role": role.value, "content": blocks}
