"""Messages to the text that a model reads, by the model's own chat template."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2.exceptions import TemplateError

from core.calls.requests import (
    GenerationRequest,
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
    ThinkingPart,
    Tool,
    ToolCallPart,
    ToolMode,
    ToolResultPart,
)
from core.errors import InvalidRequest, UnsupportedInput
from core.mlx.models.formats import Markers


@dataclass(frozen=True)
class Prompt:
    """The rendered prompt. `initial` is the output parser's first state: "normal", "reasoning" or "tool".

    `schema` is what the answer must follow: the request's own, or the shape of a call that the request demands.
    """

    text: str
    initial: str = "normal"
    schema: Mapping[str, Any] | None = None
    tools: tuple[dict[str, Any], ...] = ()
    add_special_tokens: bool = False


def tool_schema(tool: Tool) -> dict[str, Any]:
    """A tool in the shape that chat templates expect."""
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def render(
    request: GenerationRequest, tokenizer: Any, markers: Markers, *, vision: bool, image: str | None = None
) -> Prompt:
    """Render a request with the template of `tokenizer` (mlx-lm's TokenizerWrapper).

    `vision` says that the model sees images. `image` is what stands for one in the text of a turn, where the template
    takes nothing but text; a "1" in it counts the images.
    Raises UnsupportedInput when the model cannot take what is asked, InvalidRequest when the template refuses it.
    """
    if request.prompt is not None:
        return Prompt(_without_surrogates(request.prompt), add_special_tokens=True)
    if not tokenizer.has_chat_template:
        raise UnsupportedInput(
            f"{request.model} has no chat template: it completes text and cannot chat. "
            "Load an instruction-tuned model, or use the plain completion endpoint."
        )
    tools = _offered(request, markers)
    turns = _normalised(request.messages)
    if not turns:
        raise InvalidRequest("The conversation is empty: send at least one message.", "messages")
    messages = [entry for turn in turns for entry in _template_messages(turn, vision)]
    if image is not None:
        _write_images(messages, image)
    options: dict[str, Any] = {}
    demanded = bool(tools) and (request.tool_choice.mode is ToolMode.REQUIRED or request.tool_choice.name is not None)
    if demanded:
        options["enable_thinking"] = False  # the call comes first
    elif request.thinking is not None:
        options["enable_thinking"] = request.thinking
    continues = turns[-1].role is Role.ASSISTANT
    if continues:
        options["continue_final_message"] = True
    try:
        text = tokenizer.apply_chat_template(
            messages, tools=list(tools) or None, add_generation_prompt=not continues, tokenize=False, **options
        )
    except (TemplateError, TypeError, ValueError, KeyError) as error:
        raise InvalidRequest(
            f"The chat template of {request.model} refuses the conversation: {error}.", "messages"
        ) from error
    text = _without_surrogates(text)
    initial = markers.initial
    if markers.think_start and markers.think_end and text.rfind(markers.think_start) > text.rfind(markers.think_end):
        initial = "reasoning"
    if demanded:
        if not markers.json_calls:
            raise UnsupportedInput(
                f"{request.model} writes tool calls in a format that cannot be forced; use tool_choice auto."
            )
        if initial == "reasoning":
            text += f"\n{markers.think_end}\n\n"
        return Prompt(f"{text}{markers.tool_start}\n", "tool", _call_schema(tools), tools)
    return Prompt(text, initial, request.json_schema, tools)


def _without_surrogates(text: str) -> str:
    """Lone surrogates are no text, and tokenizers refuse them."""
    return text.encode("utf-8", "replace").decode()


def _offered(request: GenerationRequest, markers: Markers) -> tuple[dict[str, Any], ...]:
    choice = request.tool_choice
    if choice.name is not None and choice.name not in {tool.name for tool in request.tools}:
        raise InvalidRequest(f"tool_choice names {choice.name}, which is not among the tools.", "tool_choice")
    if choice.mode is ToolMode.REQUIRED and not request.tools:
        raise InvalidRequest("tool_choice requires a call, but no tools were given.", "tool_choice")
    if not request.tools or choice.mode is ToolMode.NONE:
        return ()
    if markers.tool_start is None:
        raise UnsupportedInput(
            f"{request.model} cannot call tools: its chat template names no format of calls that is known here. "
            "Use a model whose details list tools, or leave them out."
        )
    return tuple(tool_schema(tool) for tool in request.tools if choice.name in (None, tool.name))


def _call_schema(tools: Iterable[dict[str, Any]]) -> dict[str, Any]:
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": tool["function"]["name"]}, "arguments": tool["function"]["parameters"]},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool in tools
    ]
    return calls[0] if len(calls) == 1 else {"anyOf": calls}


def _normalised(messages: Iterable[Message]) -> list[Message]:
    """System text first and once; later system turns become the user's; neighbours of one role are joined.

    Many templates accept nothing else, and clients send anything.
    """
    turns: list[tuple[Role, list[Part]]] = []
    opened = False
    for message in messages:
        role = message.role
        if role is not Role.SYSTEM:
            opened = True
        elif opened:
            role = Role.USER
        if turns and turns[-1][0] is role and role in (Role.SYSTEM, Role.USER):
            turns[-1][1].extend((TextPart("\n\n"), *message.parts))
        else:
            turns.append((role, list(message.parts)))
    return [Message(role, tuple(parts)) for role, parts in turns if parts]


def _template_messages(turn: Message, vision: bool) -> list[dict[str, Any]]:
    """One turn as the dictionaries that templates read; images of tool results follow as a user turn."""
    if turn.role is Role.TOOL or any(isinstance(part, ToolResultPart) for part in turn.parts):
        return _results(turn, vision)
    entry: dict[str, Any] = {"role": turn.role.value, "content": _content(turn.parts, vision)}
    thinking = "".join(part.text for part in turn.parts if isinstance(part, ThinkingPart))
    if thinking:
        entry["reasoning_content"] = entry["thinking"] = thinking  # templates know it by one name or the other
    calls = [part for part in turn.parts if isinstance(part, ToolCallPart)]
    if calls:
        entry["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": dict(call.arguments)}}
            for call in calls
        ]
    return [entry]


def _results(turn: Message, vision: bool) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    rest: list[Part] = []
    for part in turn.parts:
        if isinstance(part, ToolResultPart):
            text = "".join(item.text for item in part.content if isinstance(item, TextPart))
            entries.append(
                {"role": "tool", "tool_call_id": part.call_id, "content": ("Error: " if part.is_error else "") + text}
            )
            rest.extend(item for item in part.content if isinstance(item, ImagePart))
        else:
            rest.append(part)
    if rest:
        entries.append({"role": "user", "content": _content(rest, vision)})
    return entries


def _write_images(messages: list[dict[str, Any]], image: str) -> None:
    """Replace the lists of parts by text in which `image`, counted where it counts, stands for each image."""
    numbers = itertools.count(1)
    for message in messages:
        if isinstance(message["content"], list):
            message["content"] = "".join(
                image.replace("1", str(next(numbers))) if part["type"] == "image" else part["text"]
                for part in message["content"]
            )


def _content(parts: Iterable[Part], vision: bool) -> str | list[dict[str, str]]:
    shown = [part for part in parts if isinstance(part, (TextPart, ImagePart))]
    if not vision or not any(isinstance(part, ImagePart) for part in shown):
        return "".join(part.text for part in shown if isinstance(part, TextPart))
    return [{"type": "image"} if isinstance(part, ImagePart) else {"type": "text", "text": part.text} for part in shown]
