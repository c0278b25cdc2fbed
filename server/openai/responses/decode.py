"""Bodies of /v1/responses to engine requests: pure, so that what a field means can be tested without an engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from core.calls.requests import GenerationRequest, Message, Role, TextPart, Tool, ToolChoice, ToolMode
from core.errors import InvalidRequest
from core.media.images import ImageData
from server.body import unknown_fields
from server.decoded import Decoded, ineffective
from server.openai.decode import REFUSED, check_arguments, refuse, sampling, thinking
from server.openai.responses.items import full_name, turns
from server.openai.responses.schema import ChoiceItem, FunctionItem, InputItem, NamedItem, ResponsesRequest

LOGPROBS = "message.output_text.logprobs"
SEALED = "reasoning.encrypted_content"

LEFT_OUT = {
    "web_search": "runs at OpenAI",
    "web_search_preview": "runs at OpenAI",
    "tool_search": "is not needed, since all tools are shown at once",
}
"""Tools that coding clients add to every request by themselves: refusing them would end all of it."""

NOT_HERE = REFUSED | {
    "conversation": "conversations are not kept here; send previous_response_id, or all items as input",
    "prompt": "prompts of a dashboard are not known here; send their text as input",
}

EFFECTLESS = ("user", "safety_identifier", "prompt_cache_key", "service_tier")
"""Fields that the answer repeats and nothing here looks at."""

PARAMS = {
    "messages": "input",
    "response_format": "text.format",
    "max_tokens": "max_output_tokens",
    "logprobs": "top_logprobs",
}
"""What the engine's checks call a field, and what it is called here."""

MOST_PAIRS, LONGEST_KEY, LONGEST_VALUE = 16, 64, 512
"""Of metadata, as at OpenAI."""


def decode_response(
    body: ResponsesRequest, items: Sequence[tuple[str, InputItem]], images: Mapping[str, ImageData]
) -> Decoded:
    """A body as an engine request, for the model as the client calls it; `items` are all of the conversation with
    their paths, no references among them, and `images` those of `items.image_urls`.

    Raises InvalidRequest, InvalidImage or UnsupportedInput, with the field's path as `param`.
    """
    _refuse(body)
    check_arguments(((path, item.arguments) for path, item in items if item.arguments), "input")
    warnings = ineffective([*unknown_fields(body), *_without_effect(body)])
    messages: list[Message] = []
    if body.instructions:
        messages.append(Message(Role.SYSTEM, (TextPart(body.instructions),)))
    messages += turns(items, images, warnings)
    tools = _allowed(body, _tools(body, warnings))
    request = GenerationRequest(
        model=body.model,
        messages=tuple(messages),
        tools=tools,
        tool_choice=_tool_choice(body, tools),
        sampling=sampling(body, body.max_output_tokens, _logprobs(body)),
        thinking=thinking(body.chat_template_kwargs, body.reasoning.effort if body.reasoning else None),
        json_schema=_schema(body),
        source="responses",
    )
    return Decoded(request, tuple(warnings), one_call=body.parallel_tool_calls is False)


def summarised(body: ResponsesRequest) -> bool:
    """Whether thinking is to come as a summary: it is the thinking itself, since nobody here sums it up."""
    asked = body.reasoning
    return asked is not None and (asked.summary or asked.generate_summary) is not None


def includes(body: ResponsesRequest, what: str) -> bool:
    return what in (body.include or ())


def known_tools(body: ResponsesRequest) -> list[FunctionItem]:
    """The tools of a body that can be called here, and namespaces of such."""
    return [item for item in body.tools or () if item.type in ("function", "namespace")]


def namespaces(body: ResponsesRequest) -> dict[str, tuple[str, str]]:
    """Namespace and name of each function in one, by what a model calls it."""
    return {
        full_name(item.name, inner.name): (item.name, inner.name)
        for item in body.tools or ()
        if item.type == "namespace" and item.name
        for inner in item.tools or ()
        if inner.name
    }


def _refuse(body: ResponsesRequest) -> None:
    refuse(body, NOT_HERE)
    if body.background:
        raise InvalidRequest(
            "background is not supported: an answer is made while its client waits for it. Leave the field out, and "
            "set stream = true to see it grow.",
            "background",
        )
    pairs = body.metadata or {}
    if len(pairs) > MOST_PAIRS:
        raise InvalidRequest(f"metadata has {len(pairs)} pairs; at most {MOST_PAIRS} are kept.", "metadata")
    for name, value in pairs.items():
        if len(name) > LONGEST_KEY or len(value) > LONGEST_VALUE:
            raise InvalidRequest(
                f"metadata has a name of {len(name)} characters with a value of {len(value)}; a name may have "
                f"{LONGEST_KEY} and a value {LONGEST_VALUE}.",
                "metadata",
            )


def _without_effect(body: ResponsesRequest) -> list[str]:
    names = [name for name in EFFECTLESS if getattr(body, name) is not None]
    if body.text is not None and body.text.verbosity is not None:
        names.append("text.verbosity")
    if body.truncation == "auto":
        names.append("truncation (nothing is dropped: an input that is too long is an error)")
    if body.top_logprobs and not includes(body, LOGPROBS):
        names.append(f"top_logprobs (ask for them by include = [{LOGPROBS!r}])")
    return names + [f"include {name}" for name in body.include or () if name not in (LOGPROBS, SEALED)]


def _logprobs(body: ResponsesRequest) -> int | None:
    return (body.top_logprobs or 0) if includes(body, LOGPROBS) else None


def _schema(body: ResponsesRequest) -> Mapping[str, Any] | None:
    asked = body.text.format if body.text is not None else None
    if asked is None or asked.type == "text":
        return None
    if asked.type == "json_object":
        return {"type": "object"}
    if asked.type == "json_schema" and asked.json_schema is not None:
        return asked.json_schema
    raise InvalidRequest(
        f"text.format of type {asked.type!r} cannot be used: send text, json_object, or json_schema with schema.",
        "text.format",
    )


def _tools(body: ResponsesRequest, warnings: list[str]) -> list[Tool]:
    tools: list[Tool] = []
    for path, namespace, item in _each(body.tools or (), "tools"):
        if item.type in LEFT_OUT:
            warnings.append(f"{path} ({item.type}) {LEFT_OUT[item.type]} and was left out")
        elif item.type != "function":
            raise InvalidRequest(
                f"{path} is of type {item.type!r}, which does not run here; only functions can be called. Leave it "
                "out, or send a function in its place.",
                f"{path}.type",
            )
        elif not item.name:
            raise InvalidRequest(f"{path} needs a name.", f"{path}.name")
        else:
            parameters = item.parameters or {"type": "object", "properties": {}}
            name = full_name(namespace, item.name)
            tools.append(Tool(name, item.description or "", parameters, bool(item.strict)))
    return tools


def _each(items: Iterable[FunctionItem], path: str, namespace: str = "") -> Iterator[tuple[str, str, FunctionItem]]:
    """Every tool, those in namespaces too, with its path and namespace."""
    for index, item in enumerate(items):
        where = f"{path}[{index}]"
        if item.type != "namespace" or namespace:
            yield where, namespace, item
        elif item.name:
            yield from _each(item.tools or (), f"{where}.tools", item.name)
        else:
            raise InvalidRequest(f"{where} needs a name.", f"{where}.name")


def _allowed(body: ResponsesRequest, tools: Sequence[Tool]) -> tuple[Tool, ...]:
    """The tools that the model is shown: all, or those of an allowed_tools choice."""
    choice = body.tool_choice
    if not isinstance(choice, ChoiceItem) or choice.type != "allowed_tools":
        return tuple(tools)
    if not choice.tools:
        raise InvalidRequest(
            "tool_choice of type allowed_tools needs tools, a list of functions by name.", "tool_choice.tools"
        )
    names = [_function(item, f"tool_choice.tools[{index}]", tools) for index, item in enumerate(choice.tools)]
    return tuple(tool for tool in tools if tool.name in names)


def _tool_choice(body: ResponsesRequest, tools: Sequence[Tool]) -> ToolChoice:
    choice = body.tool_choice
    if choice is None:
        return ToolChoice()
    if isinstance(choice, str):
        return ToolChoice(ToolMode(choice))
    if choice.type == "allowed_tools":
        return ToolChoice(ToolMode(choice.mode or "auto"))
    return ToolChoice(ToolMode.REQUIRED, _function(choice, "tool_choice", tools))


def _function(item: NamedItem, path: str, tools: Sequence[Tool]) -> str:
    """The name of a function that is among the tools."""
    if item.type != "function" or not item.name:
        raise InvalidRequest(
            f"{path} is of type {item.type!r}; it must be a function with its name"
            f"{'' if path != 'tool_choice' else ', or none, auto, required, or allowed_tools'}.",
            path,
        )
    if item.name not in {tool.name for tool in tools}:
        raise InvalidRequest(f"{path} names {item.name!r}, which is not among the tools. Send it in tools.", path)
    return item.name
