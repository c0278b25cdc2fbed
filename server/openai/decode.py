"""OpenAI bodies to engine requests: pure, so that what a field means can be tested without an engine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from core.calls.requests import (
    GenerationRequest,
    ImagePart,
    Message,
    Part,
    Role,
    Sampling,
    TextPart,
    ThinkingPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolMode,
    ToolResultPart,
)
from core.errors import InvalidRequest, UnsupportedInput
from core.media.images import ImageData, image_from_data_uri
from server.body import unknown_fields
from server.decoded import Decoded, ineffective, remote_image
from server.openai.schema import ChatMessage, ChatRequest, CompletionRequest, ContentPart, SamplingFields
from server.reading import MAX_VALUES, count_values

REFUSED = {
    "audio": "this server makes text only",
    "modalities": "this server makes text only; leave the field out",
    "functions": "it was replaced by tools",
    "function_call": "it was replaced by tool_choice",
    "web_search_options": "this server does not search the web",
    "chat_template": "a request cannot bring its own chat template",
    "suffix": "the models here complete a prompt at its end only",
    "best_of": "use n and choose among the answers",
}
"""Fields whose absence a caller would not notice from the answer: they are refused rather than left without effect."""

_ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
}


def image_urls(body: ChatRequest) -> tuple[bool, list[str]]:
    """Whether a request holds images, and their http(s) addresses, each once, for someone else to fetch first."""
    parts = (part for message in body.messages for part in message.content if part.type == "image_url")
    urls = [part.image_url.url for part in parts if part.image_url]
    return bool(urls), list(dict.fromkeys(url for url in urls if remote_image(url)))


def decode_chat(body: ChatRequest, images: Mapping[str, ImageData]) -> Decoded:
    """A chat body as an engine request, for the model as the client calls it; `images` are those of `image_urls`.

    Raises InvalidRequest, InvalidImage or UnsupportedInput, with the field's path as `param`.
    """
    warnings = ineffective(unknown_fields(body))
    _refuse(body)
    _check_arguments(body.messages)
    schema = _response_schema(body)
    request = GenerationRequest(
        model=body.model,
        messages=tuple(
            _message(message, f"messages[{index}]", images, warnings) for index, message in enumerate(body.messages)
        ),
        tools=_tools(body),
        tool_choice=_tool_choice(body),
        sampling=_sampling(body, body.max_completion_tokens or body.max_tokens, _logprobs(body)),
        thinking=_thinking(body),
        json_schema=schema,
        source="openai",
    )
    return Decoded(request, tuple(warnings), one_call=body.parallel_tool_calls is False)


def decode_completion(body: CompletionRequest) -> Decoded:
    """A plain completion: the prompt goes to the model as it is, without a chat template."""
    _refuse(body)
    request = GenerationRequest(
        model=body.model,
        prompt=body.prompt[0],
        sampling=_sampling(body, body.max_tokens, body.logprobs),
        source="openai",
    )
    return Decoded(request, tuple(ineffective(unknown_fields(body))))


def _refuse(body: SamplingFields) -> None:
    for name, value in (body.model_extra or {}).items():
        harmless = value in (None, [], {}, "") or (name == "modalities" and value == ["text"])
        if name in REFUSED and not harmless:
            raise InvalidRequest(f"{name} is not supported: {REFUSED[name]}.", name)


def _sampling(body: SamplingFields, max_tokens: int | None, logprobs: int | None) -> Sampling:
    return Sampling(
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        min_p=body.min_p,
        repetition_penalty=body.repetition_penalty,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        logit_bias=body.logit_bias,
        seed=body.seed,
        max_tokens=max_tokens,
        stop=tuple(body.stop or ()),
        logprobs=logprobs,
    )


def _logprobs(body: ChatRequest) -> int | None:
    if body.top_logprobs and not body.logprobs:
        raise InvalidRequest("top_logprobs needs logprobs = true.", "top_logprobs")
    return (body.top_logprobs or 0) if body.logprobs else None


def _thinking(body: ChatRequest) -> bool | None:
    if body.chat_template_kwargs is not None and body.chat_template_kwargs.enable_thinking is not None:
        return body.chat_template_kwargs.enable_thinking
    return None if body.reasoning_effort is None else body.reasoning_effort != "none"


def _response_schema(body: ChatRequest) -> Mapping[str, Any] | None:
    asked = body.response_format
    if asked is None or asked.type == "text":
        return None
    if asked.type == "json_object":
        return {"type": "object"}
    if asked.type == "json_schema" and asked.json_schema is not None and asked.json_schema.json_schema is not None:
        return asked.json_schema.json_schema
    raise InvalidRequest(
        f"response_format of type {asked.type!r} cannot be used: send text, json_object, or json_schema with "
        "json_schema.schema.",
        "response_format",
    )


def _tools(body: ChatRequest) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for index, item in enumerate(body.tools or ()):
        if item.type == "function" and item.function is None:
            raise InvalidRequest(
                f"tools[{index}].function is missing: a tool needs it, with a name and parameters.",
                f"tools[{index}].function",
            )
        if item.type != "function" or item.function is None:
            raise InvalidRequest(
                f"tools[{index}] is of type {item.type!r}; only functions can be called here.", f"tools[{index}].type"
            )
        parameters = item.function.parameters or {"type": "object", "properties": {}}
        function = item.function
        tools.append(Tool(function.name, function.description or "", parameters, bool(function.strict)))
    return tuple(tools)


def _tool_choice(body: ChatRequest) -> ToolChoice:
    choice = body.tool_choice
    if choice is None:
        return ToolChoice()
    if isinstance(choice, str):
        return ToolChoice(ToolMode(choice))
    if choice.type != "function" or choice.function is None:
        raise InvalidRequest("tool_choice must be none, auto, required, or a function with its name.", "tool_choice")
    return ToolChoice(ToolMode.REQUIRED, choice.function.name)


def _message(message: ChatMessage, path: str, images: Mapping[str, ImageData], warnings: list[str]) -> Message:
    role = _ROLES.get(message.role)
    if role is None:
        raise InvalidRequest(
            f"{path} has the role {message.role!r}; the roles are {', '.join(_ROLES)}.", f"{path}.role"
        )
    content = [_part(part, f"{path}.content[{index}]", images) for index, part in enumerate(message.content)]
    if role is Role.TOOL:
        if not message.tool_call_id:
            raise InvalidRequest(f"{path} has the role tool and needs tool_call_id.", f"{path}.tool_call_id")
        return Message(role, (ToolResultPart(message.tool_call_id, tuple(content)),))
    parts: list[Part] = []
    if role is Role.ASSISTANT and message.reasoning_content:
        parts.append(ThinkingPart(message.reasoning_content))
    parts += content
    if role is Role.ASSISTANT:
        for index, call in enumerate(message.tool_calls or ()):
            arguments = _arguments(call.function.arguments, f"{path}.tool_calls[{index}]", warnings)
            parts.append(ToolCallPart(call.id, call.function.name, arguments))
    return Message(role, tuple(parts))


def _check_arguments(messages: Iterable[ChatMessage]) -> None:
    """Raise InvalidRequest for arguments of calls that hold more than a body may, all together: they are JSON, too."""
    counted = 0
    for place, message in enumerate(messages):
        for call in message.tool_calls or ():
            with suppress(InvalidRequest):  # they are passed on as a string
                counted += count_values(call.function.arguments.encode())
        if counted > MAX_VALUES:
            raise InvalidRequest(
                f"The arguments of the calls up to messages[{place}] hold more than {MAX_VALUES:,} values.", "messages"
            )


def _arguments(text: str, path: str, warnings: list[str]) -> dict[str, Any]:
    """A call's arguments. What a small model wrote wrongly comes back here: the conversation must go on with it."""
    try:
        count_values(text.encode())
        value = json.loads(text or "{}")
    except (ValueError, InvalidRequest):
        value = None
    if isinstance(value, dict):
        return value
    warnings.append(f"{path}.function.arguments is not a JSON object and was passed on as a string")
    return {"arguments": text}


def _part(part: ContentPart, path: str, images: Mapping[str, ImageData]) -> TextPart | ImagePart:
    match part.type:
        case "text":
            return TextPart(part.text or "")
        case "refusal":
            return TextPart(part.refusal or "")
        case "image_url" if part.image_url is not None:
            url = part.image_url.url
            return ImagePart(images[url] if remote_image(url) else image_from_data_uri(url))
        case "image_url":
            raise InvalidRequest(f"{path} is of type image_url and has no image_url.url.", path)
        case _:
            raise UnsupportedInput(f"{path} is of type {part.type!r}; this server takes text and image_url parts.")
