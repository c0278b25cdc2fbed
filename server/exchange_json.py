"""A request of the wire record with its answers, as JSON and back: what GET /admin/exchanges tells."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from core.calls.events import Finished, GenerationResult, ToolCall
from core.calls.requests import GenerationRequest, Message, Role, Sampling, Tool, ToolChoice, tool_to_json
from core.chats.parts import parts_from_json, parts_to_json
from core.media.images import ImageData, check_image
from server.evidence import Exchange
from server.wire import WireEntry, WireState

_FINISHED = TypeAdapter(Finished)
_SAMPLING = TypeAdapter(Sampling)
_CHOICE = TypeAdapter(ToolChoice)


@dataclass(frozen=True)
class Heard:
    """A request that has ended: who sent it, what was asked, and an answer for each choice."""

    id: str
    client: str
    protocol: str
    state: WireState
    request: GenerationRequest
    results: tuple[GenerationResult, ...]

    @property
    def answer(self) -> GenerationResult | None:
        """Its first answer; None for one that failed, was stopped, or did not come to its end."""
        first = self.results[0] if self.results else None
        return first if self.state is WireState.DONE and first is not None and first.finished is not None else None


def exchange_to_json(entry: WireEntry, exchange: Exchange) -> dict[str, Any]:
    """All that is kept of a request but its body: what the record says of it, `request` and `results`."""
    request = exchange.request
    asked = {
        "model": request.model,
        "messages": [
            {"role": message.role.value, "parts": parts_to_json(message.parts, _image_to_json)}
            for message in request.messages
        ],
        "prompt": request.prompt,
        "tools": [tool_to_json(tool) for tool in request.tools],
        "tool_choice": asdict(request.tool_choice),
        "sampling": {name: value for name, value in asdict(request.sampling).items() if value not in (None, ())},
        "thinking": request.thinking,
        "json_schema": request.json_schema,
    }
    return asdict(entry) | {"request": asked, "results": [_result_to_json(result) for result in exchange.results]}


def _result_to_json(result: GenerationResult) -> dict[str, Any]:
    return {
        "text": result.text,
        "thinking": result.thinking,
        "tool_calls": [asdict(call) for call in result.tool_calls],
        "finished": None if result.finished is None else _FINISHED.dump_python(result.finished, mode="json"),
    }


def _image_to_json(image: ImageData) -> dict[str, Any]:
    return {"media_type": image.media_type, "data": base64.b64encode(image.data).decode()}


def exchange_from_json(told: Mapping[str, Any]) -> Heard:
    """What `exchange_to_json` wrote. Raises KeyError, TypeError or ValueError for anything else, and InvalidImage."""
    asked = told["request"]
    request = GenerationRequest(
        model=asked["model"],
        messages=tuple(
            Message(Role(one["role"]), parts_from_json(one["parts"], _image_from_json)) for one in asked["messages"]
        ),
        prompt=asked["prompt"],
        tools=tuple(Tool(**tool) for tool in asked["tools"]),
        tool_choice=_CHOICE.validate_python(asked["tool_choice"]),
        sampling=_SAMPLING.validate_python(asked["sampling"]),
        thinking=asked["thinking"],
        json_schema=asked["json_schema"],
        source=told["protocol"],
    )
    results = tuple(_result_from_json(one) for one in told["results"])
    return Heard(told["id"], told["client"], told["protocol"], WireState(told["state"]), request, results)


def _result_from_json(told: Mapping[str, Any]) -> GenerationResult:
    finished = None if told["finished"] is None else _FINISHED.validate_python(told["finished"])
    calls = [ToolCall(**call) for call in told["tool_calls"]]
    return GenerationResult(told["text"], told["thinking"], calls, finished=finished)


def _image_from_json(told: Mapping[str, Any]) -> ImageData:
    return check_image(base64.b64decode(told["data"]))
