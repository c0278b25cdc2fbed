"""Anthropic bodies to engine requests: pure, so that what a block means can be tested without an engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
from server.anthropic.schema import Block, CountRequest, MessageItem, MessagesRequest, OutputFormat, Source, ToolItem
from server.body import unknown_fields
from server.decoded import Decoded, ineffective, remote_image, remote_images

BILLING_HEADER = "x-anthropic-billing-header:"
"""How Claude Code's accounting block begins. It changes with each request and would defeat the prefix cache."""

_MODES = {"auto": ToolMode.AUTO, "any": ToolMode.REQUIRED, "tool": ToolMode.REQUIRED, "none": ToolMode.NONE}


def image_urls(body: CountRequest) -> tuple[bool, list[str]]:
    """Whether a request holds images, and their http(s) addresses, each once, for someone else to fetch first."""
    blocks = (block for message in body.messages for block in _flat(message.content) if block.type == "image")
    urls = [block.source.url or "" for block in blocks if isinstance(block.source, Source)]
    return bool(urls), remote_images(urls)


def decode_messages(body: MessagesRequest, images: Mapping[str, ImageData]) -> Decoded:
    """A message body as an engine request, for the model as the client calls it; `images` are those of `image_urls`.

    Raises InvalidRequest, InvalidImage or UnsupportedInput, with the field's path as `param`.
    """
    sampling = Sampling(
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        seed=body.seed,
        max_tokens=body.max_tokens,
        stop=tuple(body.stop_sequences or ()),
    )
    return _decode(body, images, sampling)


def decode_count(body: CountRequest, images: Mapping[str, ImageData]) -> Decoded:
    """A count_tokens body: the same prompt as the message would have."""
    return _decode(body, images, Sampling())


def thinking_shown(body: CountRequest) -> bool:
    """False when the client wants thinking blocks without their text."""
    return body.thinking is None or body.thinking.display != "omitted"


def _decode(body: CountRequest, images: Mapping[str, ImageData], sampling: Sampling) -> Decoded:
    warnings = ineffective(unknown_fields(body))
    messages: list[Message] = []
    system = _system(body.system, warnings)
    if system:
        messages.append(Message(Role.SYSTEM, system))
    for index, item in enumerate(body.messages):
        messages += _messages(item, f"messages[{index}]", images, warnings)
    request = GenerationRequest(
        model=body.model,
        messages=tuple(messages),
        tools=tuple(_tools(body.tools or (), warnings)),
        tool_choice=_tool_choice(body),
        sampling=sampling,
        thinking=_thinking(body),
        json_schema=_schema(body),
        source="anthropic",
    )
    one_call = body.tool_choice is not None and bool(body.tool_choice.disable_parallel_tool_use)
    return Decoded(request, tuple(warnings), one_call)


def _flat(blocks: Iterable[Block]) -> Iterator[Block]:
    for block in blocks:
        yield block
        yield from _flat(block.content)


def _system(blocks: Iterable[Block], warnings: list[str]) -> tuple[Part, ...]:
    texts: list[str] = []
    for index, block in enumerate(blocks):
        if block.type != "text":
            raise InvalidRequest(
                f"system[{index}] is of type {block.type!r}; a system prompt is text.", f"system[{index}].type"
            )
        text = block.text or ""
        if text.startswith(BILLING_HEADER):
            warnings.append(f"system[{index}] is a billing header and was dropped")
        elif text:
            texts.append(text)
    return (TextPart("\n\n".join(texts)),) if texts else ()


def _messages(item: MessageItem, path: str, images: Mapping[str, ImageData], warnings: list[str]) -> Iterator[Message]:
    """The engine's turns for one message: tool results are turns of their own, before what the user says to them."""
    if item.role not in ("user", "assistant", "system"):
        raise InvalidRequest(
            f"{path} has the role {item.role!r}; the roles are user, assistant and system.", f"{path}.role"
        )
    role = Role(item.role)
    results: list[ToolResultPart] = []
    parts: list[Part] = []
    for index, block in enumerate(item.content):
        where = f"{path}.content[{index}]"
        if block.type == "tool_result" and role is Role.USER:
            results.append(_result(block, where, images))
        elif role is Role.ASSISTANT and block.type in ("thinking", "redacted_thinking", "tool_use"):
            parts += _turn_part(block, where, warnings)
        else:
            parts.append(_shown(block, where, images))
    if results:
        yield Message(Role.TOOL, tuple(results))
    if parts:
        yield Message(role, tuple(parts))


def _turn_part(block: Block, path: str, warnings: list[str]) -> Iterator[Part]:
    """What only an assistant turn holds. Thinking that nobody here can read is left out, and said so."""
    if block.type == "tool_use":
        if not block.id or not block.name:
            raise InvalidRequest(f"{path} is of type tool_use and needs id and name.", path)
        yield ToolCallPart(block.id, block.name, block.input or {})
    elif block.thinking:
        yield ThinkingPart(block.thinking)
    else:
        warnings.append(f"{path} holds no readable thinking and was dropped")


def _result(block: Block, path: str, images: Mapping[str, ImageData]) -> ToolResultPart:
    if not block.tool_use_id:
        raise InvalidRequest(f"{path} is of type tool_result and needs tool_use_id.", f"{path}.tool_use_id")
    content = tuple(_shown(inner, f"{path}.content[{index}]", images) for index, inner in enumerate(block.content))
    return ToolResultPart(block.tool_use_id, content, bool(block.is_error))


def _shown(block: Block, path: str, images: Mapping[str, ImageData]) -> TextPart | ImagePart:
    """A block that a model reads or sees."""
    match block.type:
        case "text":
            return TextPart(block.text or "")
        case "image":
            return ImagePart(_image(block.source, path, images))
        case "document":
            return TextPart(_document(block, path))
        case "search_result":
            texts = [inner.text or "" for inner in block.content]
            source = block.source if isinstance(block.source, str) else ""
            return TextPart("\n".join(line for line in (block.title or "", source, *texts) if line))
        case "tool_reference":
            return TextPart(f"Tool: {block.tool_name or block.name or ''}")
        case _:
            raise UnsupportedInput(
                f"{path} is of type {block.type!r}, which this server cannot give to a model. "
                "It takes text, image, text documents, tool_use, tool_result and thinking."
            )


def _image(source: Source | str | None, path: str, images: Mapping[str, ImageData]) -> ImageData:
    if isinstance(source, Source):
        if source.type == "base64" and source.data:
            return image_from_data_uri(f"data:{source.media_type or 'image/png'};base64,{source.data}")
        if source.type == "url" and source.url:
            return images[source.url] if remote_image(source.url) else image_from_data_uri(source.url)
    raise InvalidRequest(f"{path}.source must be base64 with media_type and data, or url.", f"{path}.source")


def _document(block: Block, path: str) -> str:
    source = block.source
    if isinstance(source, Source) and source.type == "text":
        return "\n\n".join(text for text in (block.title, source.data) if text)
    kind = source.media_type or source.type if isinstance(source, Source) else "unknown"
    raise UnsupportedInput(
        f"{path} is a document of type {kind}; only text documents can be read. Send the text, or images of the pages."
    )


def _tools(items: Iterable[ToolItem], warnings: list[str]) -> Iterator[Tool]:
    for index, item in enumerate(items):
        if item.foreign:
            # Clients add tools that Anthropic runs or defines by default: refusing would end every request of theirs.
            warnings.append(f"tools[{index}] ({item.type}) is not the client's own and was left out")
        elif item.input_schema is None:
            raise InvalidRequest(
                f"tools[{index}].input_schema is missing: {item.name or 'a tool'} needs one that says what it takes, "
                '{"type": "object"} for nothing.',
                f"tools[{index}].input_schema",
            )
        elif not item.name:
            raise InvalidRequest(f"tools[{index}] needs a name.", f"tools[{index}].name")
        else:
            yield Tool(item.name, item.description or "", item.input_schema, bool(item.strict))


def _tool_choice(body: CountRequest) -> ToolChoice:
    choice = body.tool_choice
    if choice is None:
        return ToolChoice()
    if choice.type == "tool" and not choice.name:
        raise InvalidRequest("tool_choice of type tool needs a name.", "tool_choice.name")
    foreign = {item.name or str(item.type) for item in body.tools or () if item.foreign}
    every = {"tool": {choice.name}, "any": {item.name or item.type for item in body.tools or ()}}
    demanded = every.get(choice.type)
    if demanded and demanded <= foreign:
        raise InvalidRequest(
            f"tool_choice demands a call of {', '.join(sorted(foreign & demanded))}, which Anthropic runs or defines: "
            "such tools are left out here. Send one of your own.",
            "tool_choice",
        )
    return ToolChoice(_MODES[choice.type], choice.name if choice.type == "tool" else None)


def _thinking(body: CountRequest) -> bool | None:
    """Thinking is off unless asked for, as in the protocol: clients read the first block as the answer."""
    match body.thinking.type if body.thinking is not None else "disabled":
        case "enabled":
            return True
        case "disabled":
            return False
        case "adaptive" | "between_tools":
            return None  # the model's own default
        case other:
            raise InvalidRequest(
                f"thinking of type {other!r} is unknown; the types are enabled, disabled and adaptive.",
                "thinking.type",
            )


def _schema(body: CountRequest) -> Mapping[str, Any] | None:
    asked: OutputFormat | None = body.output_config.format if body.output_config is not None else None
    asked = asked or body.output_format
    if asked is None:
        return None
    if asked.type != "json_schema" or asked.json_schema is None:
        raise InvalidRequest(
            f"An output format of type {asked.type!r} cannot be used: send json_schema with schema.",
            "output_config.format",
        )
    return asked.json_schema
