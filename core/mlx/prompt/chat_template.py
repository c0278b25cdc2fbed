"""Messages to the text that a model reads, by the model's own chat template."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from jinja2.exceptions import TemplateError
from rapidfuzz.distance import Prefix

from core.calls.json_schemas import moved, prepare_parameters, prepare_schema
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
from core.errors import InvalidRequest, UnsupportedInput, ended
from core.mlx.models.formats import Markers
from core.mlx.models.lexicon import Lexicon
from core.mlx.models.markup import Markup
from core.mlx.models.templates import TemplateStopped

Turns = list[dict[str, Any]]

SURROGATES = re.compile("[\ud800-\udfff]+")

REFUSALS = (TemplateError, TypeError, ValueError, KeyError)
"""What templates raise that cannot take a conversation."""


@dataclass(frozen=True)
class Prompt:
    """The rendered prompt. `initial` is the output parser's first state: "normal", "reasoning" or "tool".

    `schema` is what the answer must follow: the request's own, or the shape of a call that the request demands.
    """

    text: str
    initial: str = "normal"
    schema: Mapping[str, Any] | None = None
    schema_param: str = "response_format"
    """The request's field that the schema comes from."""
    call_schema: Mapping[str, Any] | None = None
    """What each call that the model begins by itself must follow."""
    tools: tuple[dict[str, Any], ...] = ()
    add_special_tokens: bool = False
    goes_on: bool = False
    """Whether the answer continues text of the prompt, so that its first space belongs to it."""
    notes: tuple[str, ...] = ()
    """What was done in another way than it was asked for, in sentences."""


def tool_schema(tool: Tool) -> dict[str, Any]:
    """A tool in the shape that chat templates expect."""
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def rendering(request: GenerationRequest, lexicon: Lexicon) -> Callable[[], Prompt]:
    """What renders a request for a model, on any thread: it holds nothing that MLX has made."""
    vision, image, markup = lexicon.processor is not None, lexicon.image_text, lexicon.markup
    return partial(_whole, request, lexicon.tokenizer, lexicon.markers, vision=vision, image=image, markup=markup)


def _whole(request: GenerationRequest, tokenizer: Any, markers: Markers, *, vision: bool, **more: Any) -> Prompt:
    """`render`, and the first token where a vision model's template leaves it out: it counts on the processor."""
    prompt = render(request, tokenizer, markers, vision=vision, **more)
    bos = tokenizer.bos_token if vision else None
    return replace(prompt, add_special_tokens=True) if bos and not prompt.text.startswith(bos) else prompt


def render(
    request: GenerationRequest,
    tokenizer: Any,
    markers: Markers,
    *,
    vision: bool,
    image: str | None = None,
    markup: Markup | None = None,
) -> Prompt:
    """Render a request with the template of `tokenizer` (mlx-lm's TokenizerWrapper).

    `vision` says that the model sees images. `image` is what stands for one in the text of a turn, where the template
    takes nothing but text; a "1" in it counts the images. What looks like `markup` in the request stays text, unless
    it is a plain `prompt`, which is the caller's to write as the model reads it.
    Raises UnsupportedInput when the model cannot take what is asked, InvalidRequest when the template refuses it.
    """
    if request.prompt is not None:
        return Prompt(_without_surrogates(request.prompt), add_special_tokens=True, goes_on=True)
    if not tokenizer.has_chat_template:
        raise UnsupportedInput(
            f"{request.model} has no chat template: it completes text and cannot chat. "
            "Load an instruction-tuned model, or use the plain completion endpoint."
        )
    tools = _offered(request, markers)
    turns = _normalised(request.messages)
    if not turns:
        raise InvalidRequest("The conversation is empty: send at least one message that holds something.", "messages")
    messages = _template_messages(turns, vision)
    offered = list(tools) or None
    if markup is not None:
        messages, offered = [_as_text(message, markup) for message in messages], markup.as_text(offered)
    if image is not None:
        _write_images(messages, image)
    options: dict[str, Any] = {}
    demanded = bool(tools) and request.tool_choice.demanding
    if demanded:
        options["enable_thinking"] = False  # the call comes first
    elif request.thinking is not None:
        options["enable_thinking"] = request.thinking
    continues = turns[-1].role is Role.ASSISTANT
    if continues:
        options["continue_final_message"] = True

    def apply(messages: list[dict[str, Any]], opened: bool = not continues) -> str:
        try:
            made = tokenizer.apply_chat_template(
                messages, tools=offered, add_generation_prompt=opened, tokenize=False, **options
            )
        except TemplateStopped as stopped:
            raise InvalidRequest(
                f"The chat template of {request.model} was stopped: it {stopped}. Shorten the conversation; if a short "
                "one fails as well, the fault is the template's: use another model.",
                "messages",
            ) from stopped
        return _without_surrogates(made)

    text, messages, notes = _rendered(messages, apply, request.model, markers)
    initial = markers.initial
    if markers.think_start and _left_open(text, markers):  # by whom? Only what comes after the last turn counts
        closed = "" if continues else apply(messages, opened=False)
        last = (str(messages[-1]["content"]) or text) if continues else _added(text, closed, markers.think_start)
        initial = "reasoning" if _left_open(last, markers) else initial
    if demanded:
        if not markers.json_calls:
            raise UnsupportedInput(
                f"{request.model} writes tool calls in a format that cannot be forced; use tool_choice auto."
            )
        if initial == "reasoning":
            text += f"\n{markers.think_end}\n\n"
        schema, more = _call_schema(tools)
        return Prompt(f"{text}{markers.tool_start}\n", "tool", schema, "tools", tools=tools, notes=(*notes, *more))
    strict = {tool.name for tool in request.tools if tool.strict}
    calls: Mapping[str, Any] | None = None
    if tools and strict and not markers.json_calls:
        notes = (*notes, f"{request.model} writes tool calls in a format that no schema holds: strict has no effect")
    elif tools and strict:
        calls, more = _call_schema(tools, strict)
        notes = (*notes, *more)
    if request.json_schema is None:
        return Prompt(text, initial, call_schema=calls, tools=tools, goes_on=continues, notes=notes)
    answer = prepare_schema(request.json_schema, "the JSON schema", "response_format")
    notes = (*notes, *answer.notes)
    initial = initial if initial == "reasoning" else "normal"  # it is held from its first token, without a header
    return Prompt(text, initial, answer.schema, call_schema=calls, tools=tools, goes_on=continues, notes=notes)


def _rendered(
    messages: Turns, apply: Callable[[Turns], str], model: str, markers: Markers
) -> tuple[str, Turns, tuple[str, ...]]:
    """The prompt that `apply` makes, the messages in the way that the template takes, and a note where that is another.

    Raises InvalidRequest when it takes them in no way.
    """
    refused: Exception | None = None
    for start in (messages, *_thinking_apart(messages, markers)):
        folded = _system_folded(start)
        what = "opens the first" if folded and len(folded) < len(start) else "is sent as a"
        note = f"the chat template of {model} takes no system message: it {what} user message"
        for way, notes in ((start, ()), (folded, (note,))):
            if way is None:
                continue
            try:
                text = apply(way)
                if notes or folded is None or not _left_out(way, text, apply):
                    return text, way, notes
            except REFUSALS as error:
                refused = error
    if "continue_final_message" in str(refused):  # transformers has not found it again in what was rendered
        raise InvalidRequest(
            f"The chat template of {model} does not write the last assistant message as it was sent, so the answer "
            "cannot go on from it. Send its text alone there, what it thought as thinking (reasoning_content in the "
            "OpenAI protocol), or end with a user message.",
            "messages",
        ) from refused
    raise InvalidRequest(
        f"The chat template of {model} refuses the conversation: {ended(refused)}", "messages"
    ) from refused


def _added(text: str, closed: str, think_start: str) -> str:
    """What a template has written after the last turn, given the prompt with and without the opening of an answer.

    One that writes no opening, or always, has only its very end to tell.
    """
    added = text[Prefix.similarity(text, closed) :]
    return added or (think_start if text.rstrip().endswith(think_start) else "")


def _left_open(text: str, markers: Markers) -> bool:
    """Whether text ends inside a thinking block."""
    if not markers.think_start or not markers.think_end:
        return False
    return text.rfind(markers.think_start) > text.rfind(markers.think_end)


def _as_text(message: dict[str, Any], markup: Markup) -> dict[str, Any]:
    """A message without markup. What an assistant wrote keeps the marks of its thinking and of its calls.

    The texts beside images are looked at as one: some templates write all images first.
    """
    keep = markup.own if message["role"] == "assistant" else ()
    content = message["content"]
    made: dict[str, Any] = markup.as_text({**message, "content": ""})
    if isinstance(content, str):
        return made | {"content": markup.as_text(content, keep)}
    texts = iter(markup.texts([part["text"] for part in content if part["type"] == "text"], keep))
    return made | {"content": [{**part, "text": next(texts)} if part["type"] == "text" else part for part in content]}


def _left_out(messages: Turns, text: str, apply: Callable[[Turns], str]) -> bool:
    """Whether a template leaves the system message out of the `text` that it made of messages."""
    first, *rest = messages
    system = first["content"].strip()
    if not system or (system in text and not any(system in str(turn["content"]) for turn in rest)):
        return False
    return (
        apply([{**first, "content": f"x{first['content']}"}, *rest]) == text
    )  # whatever it says, it counts for nothing


def _system_folded(messages: Turns) -> Turns | None:
    """The system message as the beginning of a user message after it, or as one of its own; None without one."""
    first, *rest = messages
    system = first["content"]
    if first["role"] != "system" or not isinstance(system, str):
        return None
    if not rest or rest[0]["role"] != "user":
        return [{"role": "user", "content": system}, *rest]
    text, content = f"{system}\n\n", rest[0]["content"]
    if isinstance(content, str):
        content = text + content
    elif content[0]["type"] == "text":
        content = [{**content[0], "text": text + content[0]["text"]}, *content[1:]]
    else:
        content = [{"type": "text", "text": text}, *content]
    return [{**rest[0], "content": content}, *rest[1:]]


def _thinking_apart(messages: list[dict[str, Any]], markers: Markers) -> list[list[dict[str, Any]]]:
    """The messages with the thinking of a last assistant message in its own field; nothing where its text holds none.

    Templates move the thinking in a text, or drop it, and then the text that is to go on is not found again.
    """
    last, start, end = messages[-1], markers.think_start, markers.think_end
    if last["role"] != "assistant" or not start or not end or end not in last["content"]:
        return []
    thought, _, text = last["content"].rpartition(end)
    thought = thought.replace(start, "").replace(end, "").strip()
    before = f"{last['thinking']}\n" if "thinking" in last else ""
    return [[*messages[:-1], {**last, **_thinking(before + thought), "content": text.lstrip()}]]


def _thinking(thought: str) -> dict[str, str]:
    """Templates know it by one name or the other."""
    return {"reasoning_content": thought, "thinking": thought}


def _without_surrogates(text: str) -> str:
    """Lone surrogates are no text, and tokenizers refuse them. Python replaces them one by one, far too slowly."""
    return SURROGATES.sub(lambda found: "?" * len(found[0]), text)


def _offered(request: GenerationRequest, markers: Markers) -> tuple[dict[str, Any], ...]:
    choice = request.tool_choice
    if choice.name is not None and choice.name not in {tool.name for tool in request.tools}:
        raise InvalidRequest(
            f"tool_choice names {choice.name}, which is not among the tools. Send it, too.", "tool_choice"
        )
    if choice.mode is ToolMode.REQUIRED and not request.tools:
        raise InvalidRequest(
            "tool_choice requires a call, but no tools were given. Send tools, or auto.", "tool_choice"
        )
    if not request.tools or choice.mode is ToolMode.NONE:
        return ()
    if markers.tool_start is None:
        raise UnsupportedInput(
            f"{request.model} cannot call tools: its chat template names no format of calls that is known here. "
            "Use a model whose details list tools, or leave them out."
        )
    return tuple(tool_schema(tool) for tool in request.tools if choice.name in (None, tool.name))


def _call_schema(
    tools: Iterable[dict[str, Any]], strict: Collection[str] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """What one call of any of these tools must be, and notes on what of it is not held.

    With `strict`, only the arguments of tools of these names are held to their schemas; others need but be objects.
    """
    calls: list[dict[str, Any]] = []
    parameters: dict[str, Any] = {}
    notes: list[str] = []
    for place, tool in enumerate(tools):
        name, pointer = tool["function"]["name"], f"#/$defs/{place}"
        if strict is None or name in strict:
            arguments = prepare_parameters(name, tool["function"]["parameters"])
            notes += arguments.notes
            parameters[str(place)] = moved(arguments.schema, pointer)
        else:
            parameters[str(place)] = {"type": "object"}
        calls.append(
            {
                "type": "object",
                "properties": {"name": {"const": name}, "arguments": {"$ref": pointer}},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
        )
    return {"anyOf": calls, "$defs": parameters}, notes


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


def _template_messages(turns: Iterable[Message], vision: bool) -> list[dict[str, Any]]:
    """Turns as the dictionaries that templates read.

    Results of tools stand behind the turn that called, in the order of its calls: templates pair them by their place.
    Images of results, and what a user said beside them, stay where they came, as a user turn.
    """
    messages: list[list[dict[str, Any]]] = []  # a turn, and behind one that calls a place for each of its results
    waiting: dict[str, list[list[dict[str, Any]]]] = {}
    for answers_calls, group in itertools.groupby(turns, key=_is_results):
        if not answers_calls:
            for turn in group:
                messages.append([_template_message(turn, vision)])
                for call in messages[-1][0].get("tool_calls", ()):
                    messages.append([])
                    waiting.setdefault(call["id"], []).append(messages[-1])
            continue
        results, rest = _results(part for turn in group for part in turn.parts)
        for result in results:
            places = waiting.get(result["tool_call_id"])
            if not places:
                messages.append([])
            (places.pop(0) if places else messages[-1]).append(result)
        if rest:
            messages.append([{"role": "user", "content": _content(rest, vision)}])
    return [message for place in messages for message in place]


def _is_results(turn: Message) -> bool:
    return turn.role is Role.TOOL or any(isinstance(part, ToolResultPart) for part in turn.parts)


def _template_message(turn: Message, vision: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"role": turn.role.value, "content": _content(turn.parts, vision)}
    thinking = "".join(part.text for part in turn.parts if isinstance(part, ThinkingPart))
    if thinking:
        entry |= _thinking(thinking)
    calls = [part for part in turn.parts if isinstance(part, ToolCallPart)]
    if calls:
        entry["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": dict(call.arguments)}}
            for call in calls
        ]
    return entry


def _results(parts: Iterable[Part]) -> tuple[list[dict[str, Any]], list[Part]]:
    """The results of tools as templates read them, and the other parts, images of results included."""
    entries: list[dict[str, Any]] = []
    rest: list[Part] = []
    for part in parts:
        if isinstance(part, ToolResultPart):
            text = "".join(item.text for item in part.content if isinstance(item, TextPart))
            entries.append(
                {"role": "tool", "tool_call_id": part.call_id, "content": ("Error: " if part.is_error else "") + text}
            )
            rest.extend(item for item in part.content if isinstance(item, ImagePart))
        else:
            rest.append(part)
    return entries, rest


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
    """Neighbouring texts are one text, as templates would make of them."""
    shown = [part for part in parts if isinstance(part, (TextPart, ImagePart))]
    if not vision or not any(isinstance(part, ImagePart) for part in shown):
        return _without_surrogates("".join(part.text for part in shown if isinstance(part, TextPart)))
    made: list[dict[str, str]] = []
    for seen, group in itertools.groupby(shown, key=lambda part: isinstance(part, ImagePart)):
        if seen:
            made += [{"type": "image"} for _ in group]
        else:
            made.append({"type": "text", "text": "".join(part.text for part in group if isinstance(part, TextPart))})
    return made
