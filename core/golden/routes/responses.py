"""The Responses half of the OpenAI protocol as a route: POST /v1/responses, streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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
    tool_to_json,
)
from core.golden.conversation import call_arguments
from core.golden.routes import RouteError
from core.golden.routes.http import Frame, bearer
from core.golden.routes.openai import data_uri, result_text, sampling_fields


class Responses:
    """Fields as in OpenAI's API reference, and what local servers add: seed, stop, top_k and chat_template_kwargs."""

    path = "/v1/responses"

    def headers(self, key: str) -> dict[str, str]:
        return bearer(key)

    def encode(self, request: GenerationRequest) -> dict[str, Any]:
        body = {
            "model": request.model,
            "input": [item for message in request.messages for item in _items(message)],
            "tools": [{"type": "function", "strict": False, **tool_to_json(tool)} for tool in request.tools] or None,
            "tool_choice": _choice(request.tool_choice),
            "text": _format(request.json_schema),
            "max_output_tokens": request.sampling.max_tokens,
            **sampling_fields(request),
            "store": False,
            "stream": True,
        }
        return {name: value for name, value in body.items() if value is not None}

    def reader(self) -> ResponsesReader:
        return ResponsesReader()


class ResponsesReader:
    """Events of the protocol to the engine's: calls are told apart by their place in the output, counted from 0."""

    def __init__(self) -> None:
        self._calls: dict[int, int] = {}

    def feed(self, frame: Frame) -> list[Event]:
        if frame.data == "[DONE]":
            return []
        data = json.loads(frame.data)
        match data.get("type"):
            case "response.output_item.added" if data["item"]["type"] == "function_call":
                call = self._calls[data["output_index"]] = len(self._calls)
                return [ToolCallStart(call, data["item"]["call_id"], data["item"]["name"])]
            case "response.output_text.delta" if data["delta"]:
                return [TextDelta(data["delta"])]
            case "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" if data["delta"]:
                return [ThinkingDelta(data["delta"])]
            case "response.function_call_arguments.delta" if data["delta"]:
                return [ToolCallDelta(self._calls[data["output_index"]], data["delta"])]
            case "response.completed" | "response.incomplete":
                return [self._finished(data["response"])]
            case "response.failed":
                raise RouteError(f"The server broke off: {data['response']['error']['message']}")
            case "error":
                raise RouteError(f"The server broke off: {data.get('message') or data.get('error')}")
        return []

    def _finished(self, response: dict[str, Any]) -> Finished:
        usage = _usage(response.get("usage") or {})
        if response["status"] == "completed":
            return Finished(FinishReason.TOOL_CALLS if self._calls else FinishReason.STOP, usage, Timing())
        said = (response.get("incomplete_details") or {}).get("reason") or response["status"]
        if said == "max_output_tokens":
            return Finished(FinishReason.LENGTH, usage, Timing())
        return Finished(FinishReason.OTHER, usage, Timing(), said=said)


def _usage(usage: dict[str, Any]) -> Usage:
    return Usage(
        prompt_tokens=usage.get("input_tokens") or 0,
        completion_tokens=usage.get("output_tokens") or 0,
        cached_tokens=(usage.get("input_tokens_details") or {}).get("cached_tokens") or 0,
        thinking_tokens=(usage.get("output_tokens_details") or {}).get("reasoning_tokens") or 0,
    )


def _items(message: Message) -> Iterator[dict[str, Any]]:
    """A turn as items: what was said, each call and each result of one."""
    said = _item(message)
    if said["content"]:
        yield said
    for part in message.parts:
        if isinstance(part, ToolCallPart):
            yield {
                "type": "function_call",
                "call_id": part.id,
                "name": part.name,
                "arguments": call_arguments(part),
            }
        elif isinstance(part, ToolResultPart):
            yield {"type": "function_call_output", "call_id": part.call_id, "output": result_text(part)}


def _item(message: Message) -> dict[str, Any]:
    """What was said in a turn. Parts keep their order."""
    kind = "output_text" if message.role is Role.ASSISTANT else "input_text"
    parts: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            parts.append({"type": kind, "text": part.text})
        elif isinstance(part, ImagePart):
            parts.append({"type": "input_image", "image_url": data_uri(part.image)})
    return {"type": "message", "role": message.role.value, "content": parts}


def _choice(choice: ToolChoice) -> str | dict[str, Any] | None:
    if choice.name is not None:
        return {"type": "function", "name": choice.name}
    return None if choice.mode is ToolMode.AUTO else choice.mode.value


def _format(schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if schema is None else {"format": {"type": "json_schema", "name": "answer", "schema": schema}}
