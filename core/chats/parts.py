"""The parts of a turn as plain JSON values, and back: one spelling for the history's file and for exports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.calls.requests import ImagePart, Part, TextPart, ThinkingPart, ToolCallPart, ToolResultPart
from core.media.images import ImageData

ToJson = Callable[[ImageData], dict[str, Any]]
FromJson = Callable[[Mapping[str, Any]], ImageData]


def parts_to_json(parts: Sequence[Part], image: ToJson) -> list[dict[str, Any]]:
    """Each part as an object with a `type`; `image` gives what stands for an image's bytes."""
    return [_to_json(part, image) for part in parts]


def _to_json(part: Part, image: ToJson) -> dict[str, Any]:
    match part:
        case TextPart(text):
            return {"type": "text", "text": text}
        case ThinkingPart(text):
            return {"type": "thinking", "text": text}
        case ImagePart(data):
            return {"type": "image", **image(data)}
        case ToolCallPart(id, name, arguments):
            return {"type": "tool_call", "id": id, "name": name, "arguments": dict(arguments)}
        case ToolResultPart(call_id, content, is_error):
            inner = [_to_json(item, image) for item in content]
            return {"type": "tool_result", "call_id": call_id, "content": inner, "is_error": is_error}


def parts_from_json(values: Sequence[Mapping[str, Any]], image: FromJson) -> tuple[Part, ...]:
    """What `parts_to_json` wrote, as parts again. Raises KeyError or ValueError for anything else."""
    return tuple(_from_json(value, image) for value in values)


def _from_json(value: Mapping[str, Any], image: FromJson) -> Part:
    match value["type"]:
        case "text":
            return TextPart(value["text"])
        case "thinking":
            return ThinkingPart(value["text"])
        case "image":
            return ImagePart(image(value))
        case "tool_call":
            return ToolCallPart(value["id"], value["name"], value["arguments"])
        case "tool_result":
            content = tuple(_from_json(item, image) for item in value["content"])
            shown = tuple(item for item in content if isinstance(item, TextPart | ImagePart))
            return ToolResultPart(value["call_id"], shown, value["is_error"])
        case other:
            raise ValueError(f"there is no part of type {other!r}")
