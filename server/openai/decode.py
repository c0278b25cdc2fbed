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
    ToolCallPart,
    ToolResultPart,
)
from core.errors import InvalidRequest, UnsupportedInput
from core.media.images import ImageData, image_from_data_uri
from server.body import unknown_fields
from server.decoded import Decoded, ineffective, remote_image, remote_images
from server.openai.schema import (
    ChatMessage,
    ChatRequest,
    CompletionRequest,
    ContentPart,
    SamplingFields,
    TemplateKwargs,
)
from server.openai.tools import INPUT, OldCalls, shape, tool_choice, tools
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

ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,
}


def image_urls(body: ChatRequest) -> tuple[bool, list[str]]:
    """Whether a request holds images, and their http(s) addresses, each once, for someone else to fetch first."""
    parts = (part for message in body.messages for part in message.content if part.type == "image_url")
    urls = [part.image_url.url for part in parts if part.image_url]
    return bool(urls), remote_images(urls)


def decode_chat(body: ChatRequest, images: Mapping[str, ImageData]) -> Decoded:
    """A chat body as an engine request, for the model as the client calls it; `images` are those of `image_urls`.

    Raises InvalidRequest, InvalidImage or UnsupportedInput, with the field's path as `param`.
    """
    named = any(message.name is not None and message.role != "function" for message in body.messages)
    warnings = ineffective([*unknown_fields(body), *(["messages[].name"] if named else [])])
    refuse(body)
    check_arguments(
        (
            (
                f"messages[{place}]",
                call.function.arguments if call.function else call.custom.input if call.custom else "",
            )
            for place, message in enumerate(body.messages)
            for call in message.tool_calls or ()
        ),
        "messages",
    )
    schema = _response_schema(body)
    old = OldCalls()
    most = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    request = GenerationRequest(
        model=body.model,
        messages=tuple(_message(message, index, old, images, warnings) for index, message in enumerate(body.messages)),
        tools=tools(body),
        tool_choice=tool_choice(body),
        sampling=sampling(body, most, _logprobs(body)),
        thinking=thinking(body.chat_template_kwargs, body.reasoning_effort),
        json_schema=schema,
        source="openai",
    )
    return Decoded(request, tuple(warnings), one_call=body.parallel_tool_calls is False or shape(body).old)


def called(body: ChatRequest) -> dict[str, str]:
    """What the engine's checks call a field, and what this body calls it."""
    names = {"logprobs": "top_logprobs"}
    if body.max_completion_tokens is not None:
        names["max_tokens"] = "max_completion_tokens"
    if body.functions:
        names |= {"tool_choice": "function_call", "tools": "functions"}
    return names


def decode_completion(body: CompletionRequest) -> Decoded:
    """A plain completion: the prompt goes to the model as it is, without a chat template."""
    refuse(body)
    request = GenerationRequest(
        model=body.model,
        prompt=body.prompt[0],
        sampling=sampling(body, body.max_tokens, body.logprobs),
        source="openai",
    )
    return Decoded(request, tuple(ineffective(unknown_fields(body))))


def refuse(body: SamplingFields, refused: Mapping[str, str] = REFUSED) -> None:
    """Raises InvalidRequest for a field of `refused` that holds something."""
    for name, value in (body.model_extra or {}).items():
        harmless = value in (None, [], {}, "") or (name == "modalities" and value == ["text"])
        if name in refused and not harmless:
            raise InvalidRequest(f"{name} is not supported: {refused[name]}.", name)


def sampling(body: SamplingFields, max_tokens: int | None, logprobs: int | None) -> Sampling:
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


def thinking(switch: TemplateKwargs | None, effort: str | None) -> bool | None:
    """Whether the model thinks: by the template's own switch, else by the effort, of which "none" alone says no."""
    if switch is not None and switch.enable_thinking is not None:
        return switch.enable_thinking
    return None if effort is None else effort != "none"


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


def _message(
    message: ChatMessage, place: int, old: OldCalls, images: Mapping[str, ImageData], warnings: list[str]
) -> Message:
    path = f"messages[{place}]"
    role = ROLES.get(message.role)
    if role is None:
        raise InvalidRequest(f"{path} has the role {message.role!r}; the roles are {', '.join(ROLES)}.", f"{path}.role")
    content = [_part(part, f"{path}.content[{index}]", images) for index, part in enumerate(message.content)]
    if message.role == "function":
        return Message(role, (ToolResultPart(old.answered(message, path), tuple(content)),))
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
            where = f"{path}.tool_calls[{index}]"
            if call.custom is not None:
                parts.append(ToolCallPart(call.id, call.custom.name, {INPUT: call.custom.input}))
            elif call.function is not None:
                arguments = call_arguments(call.function.arguments, f"{where}.function.arguments", warnings)
                parts.append(ToolCallPart(call.id, call.function.name, arguments))
            else:
                raise InvalidRequest(f"{where} needs function, with a name and arguments.", f"{where}.function")
        if message.function_call is not None:
            arguments = call_arguments(message.function_call.arguments, f"{path}.function_call.arguments", warnings)
            name = message.function_call.name
            parts.append(ToolCallPart(old.called(name, place), name, arguments))
    return Message(role, tuple(parts))


def check_arguments(arguments: Iterable[tuple[str, str]], param: str) -> None:
    """Raise InvalidRequest for arguments of calls, each with its path, that hold more than a body may, all together:
    they are JSON, too."""
    counted = 0
    for path, text in arguments:
        with suppress(InvalidRequest):  # they are passed on as a string
            counted += count_values(text.encode())
        if counted > MAX_VALUES:
            raise InvalidRequest(
                f"The arguments of the calls up to {path} hold more than {MAX_VALUES:,} values.", param
            )


def call_arguments(text: str, path: str, warnings: list[str]) -> dict[str, Any]:
    """A call's arguments. What a small model wrote wrongly comes back here: the conversation must go on with it."""
    try:
        count_values(text.encode())
        value = json.loads(text or "{}")
    except (ValueError, InvalidRequest):
        value = None
    if isinstance(value, dict):
        return value
    warnings.append(f"{path} is not a JSON object and was passed on as a string")
    return {"arguments": text}


def image_part(url: str, images: Mapping[str, ImageData]) -> ImagePart:
    """The image of an address: one of `images`, which were fetched, or a data URI. Raises InvalidImage."""
    return ImagePart(images[url] if remote_image(url) else image_from_data_uri(url))


def _part(part: ContentPart, path: str, images: Mapping[str, ImageData]) -> TextPart | ImagePart:
    match part.type:
        case "text":
            return TextPart(part.text or "")
        case "refusal":
            return TextPart(part.refusal or "")
        case "image_url" if part.image_url is not None:
            return image_part(part.image_url.url, images)
        case "image_url":
            raise InvalidRequest(f"{path} is of type image_url and has no image_url.url.", path)
        case _:
            raise UnsupportedInput(f"{path} is of type {part.type!r}; this server takes text and image_url parts.")
