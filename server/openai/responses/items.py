"""Items of a conversation: as they are listed, and as the engine's turns. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from core.calls.requests import ImagePart, Message, Part, Role, TextPart, ThinkingPart, ToolCallPart, ToolResultPart
from core.errors import InvalidRequest, UnsupportedInput
from core.media.images import ImageData
from server.decoded import remote_images
from server.openai.decode import ROLES, call_arguments, image_part
from server.openai.responses.schema import InputItem, InputPart

KINDS = ("message", "function_call", "function_call_output", "reasoning", "item_reference")

_PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}

_TEXTS = ("input_text", "output_text", "text", "reasoning_text", "summary_text")

SEAL = "assay-1."
"""How encrypted_content begins here: behind it stands the thinking. Nothing is secret from who asked for the answer."""


def full_name(namespace: str | None, name: str) -> str:
    """What a model calls a function: one of a namespace has both names."""
    return f"{namespace}__{name}" if namespace else name


def sealed(thinking: str) -> str:
    """The thinking as a string that clients carry and do not read."""
    return SEAL + base64.urlsafe_b64encode(thinking.encode("utf-8", "replace")).decode()


def _unsealed(text: str) -> str:
    """The thinking in `sealed`, "" where somebody else has sealed it."""
    if not text.startswith(SEAL):
        return ""
    try:
        return base64.urlsafe_b64decode(text.removeprefix(SEAL)).decode()
    except ValueError:
        return ""


def listed(items: Iterable[InputItem]) -> list[dict[str, Any]]:
    """Items as a response's input_items have them: each with type, id and status, and content as parts.

    An item without an id gets one that is made of what it says, and is the same whenever it is sent.
    """
    seen: Counter[str] = Counter()
    found = []
    for item in items:
        kind = item.kind
        plain = item.model_dump(mode="json", exclude_unset=True) | {"type": kind}
        if kind == "message":
            said = "output_text" if item.role == "assistant" else "input_text"
            plain["content"] = [_part_as_listed(part, said) for part in plain.get("content", [])]
        if kind == "function_call_output":
            plain["output"] = [_part_as_listed(part, "input_text") for part in plain.get("output", [])]
        if kind == "function_call":
            plain["arguments"] = plain.get("arguments") or "{}"
        if kind == "reasoning":
            for name, said in (("content", "reasoning_text"), ("summary", "summary_text")):
                plain[name] = [{"text": "", **_filled(part), "type": said} for part in plain.get(name, [])]
        elif plain.get("status") is None:
            plain["status"] = "completed"
        if not plain.get("id"):
            digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
            seen[digest] += 1
            tail = "" if seen[digest] == 1 else f"{seen[digest]:x}"
            plain["id"] = f"{_PREFIXES.get(kind, 'item')}_{digest[:32]}{tail}"
        found.append(plain)
    return found


def _part_as_listed(part: dict[str, Any], said: str) -> dict[str, Any]:
    known = _filled(part)
    if part["type"] in ("input_text", "output_text", "text"):
        return {"text": "", **({"annotations": []} if said == "output_text" else {}), **known, "type": said}
    return {"detail": "auto", **known} if part["type"] == "input_image" else known


def _filled(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if value is not None}


def image_urls(items: Iterable[InputItem]) -> tuple[bool, list[str]]:
    """Whether items hold images, and their http(s) addresses, each once, for someone else to fetch before `turns`."""
    urls = [part.image_url for item in items for part in (*item.content, *item.output) if part.image_url]
    return bool(urls), remote_images(urls)


def turns(
    items: Sequence[tuple[str, InputItem]], images: Mapping[str, ImageData], warnings: list[str]
) -> Iterator[Message]:
    """The engine's turns for items, each with its path: what an assistant thought, said and called is one turn.

    Raises InvalidRequest, InvalidImage or UnsupportedInput.
    """
    own: list[Part] = []
    results: list[ToolResultPart] = []
    for path, item in items:
        kind = item.kind
        is_own = kind in ("reasoning", "function_call") or (kind == "message" and item.role == "assistant")
        if results and kind != "function_call_output":
            yield Message(Role.TOOL, tuple(results))
            results = []
        if own and (not is_own or (kind == "message" and isinstance(own[-1], TextPart | ImagePart))):
            yield Message(Role.ASSISTANT, tuple(own))
            own = []
        if is_own:
            own += _own_parts(kind, item, path, images, warnings)
        elif kind == "function_call_output":
            results.append(_result(item, path, images))
        elif kind == "message":
            role = ROLES.get(item.role or "")
            if role in (None, Role.TOOL):
                raise InvalidRequest(
                    f"{path} has the role {item.role!r}; the roles are system, developer, user and assistant. "
                    "Send a tool's result as a function_call_output.",
                    f"{path}.role",
                )
            yield Message(role, tuple(_parts(item.content, f"{path}.content", images)))
        else:
            raise UnsupportedInput(
                f"{path} is of type {kind!r}, which this server cannot give to a model. It takes {', '.join(KINDS)}."
            )
    if results:
        yield Message(Role.TOOL, tuple(results))
    if own:
        yield Message(Role.ASSISTANT, tuple(own))


def _own_parts(
    kind: str, item: InputItem, path: str, images: Mapping[str, ImageData], warnings: list[str]
) -> Iterator[Part]:
    """What an assistant's item holds. Thinking that nobody here can read is left out, and said so."""
    if kind == "message":
        yield from _parts(item.content, f"{path}.content", images)
    elif kind == "function_call":
        if not item.call_id or not item.name:
            raise InvalidRequest(f"{path} is of type function_call and needs call_id and name.", path)
        arguments = call_arguments(item.arguments or "", f"{path}.arguments", warnings)
        yield ToolCallPart(item.call_id, full_name(item.namespace, item.name), arguments)
    else:
        thought = "".join(part.text or "" for part in item.content) or "\n\n".join(
            part.text or "" for part in item.summary
        )
        thought = thought or _unsealed(item.encrypted_content or "")
        if thought:
            yield ThinkingPart(thought)
        else:
            warnings.append(f"{path} holds no readable thinking and was dropped")


def _result(item: InputItem, path: str, images: Mapping[str, ImageData]) -> ToolResultPart:
    if not item.call_id:
        raise InvalidRequest(f"{path} is of type function_call_output and needs call_id.", f"{path}.call_id")
    return ToolResultPart(item.call_id, tuple(_parts(item.output, f"{path}.output", images)))


def _parts(parts: Iterable[InputPart], path: str, images: Mapping[str, ImageData]) -> Iterator[TextPart | ImagePart]:
    for index, part in enumerate(parts):
        where = f"{path}[{index}]"
        if part.type in _TEXTS:
            yield TextPart(part.text or "")
        elif part.type == "refusal":
            yield TextPart(part.refusal or "")
        elif part.type == "input_image" and part.image_url:
            yield image_part(part.image_url, images)
        elif part.type == "input_image":
            raise InvalidRequest(
                f"{where} is of type input_image and has no image_url; files cannot be uploaded here. Send the image "
                "as a data URI.",
                f"{where}.image_url",
            )
        else:
            raise UnsupportedInput(
                f"{where} is of type {part.type!r}; this server takes input_text, output_text and input_image."
            )
