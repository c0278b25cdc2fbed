"""Tools of chat completions: functions, tools of free text, and what went by the name of functions before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.calls.json_schemas import check_pattern
from core.calls.requests import Tool, ToolChoice, ToolMode
from core.errors import InvalidRequest
from server.openai.schema import ChatMessage, ChatRequest, CustomSpec, FunctionSpec, NamedFunction, NamedTool

INPUT = "input"
"""The one argument of a custom tool, as the model sees it."""


@dataclass(frozen=True)
class Shape:
    """How calls are written in an answer: `custom` names the tools of free text; `old` asks for `function_call`."""

    custom: frozenset[str] = frozenset()
    old: bool = False


def shape(body: ChatRequest) -> Shape:
    """How a body wants its answer's calls."""
    custom = (item.custom.name for item in body.tools or () if item.type == "custom" and item.custom)
    return Shape(frozenset(custom), old=bool(body.functions))


def tools(body: ChatRequest) -> tuple[Tool, ...]:
    """The tools that the model is shown: all, or those of an allowed_tools choice. Raises InvalidRequest."""
    if body.function_call is not None and not body.functions:
        raise InvalidRequest("function_call needs functions; with tools, send tool_choice.", "function_call")
    if body.functions:
        if body.tools:
            raise InvalidRequest("functions and tools cannot be sent together: send all of them as tools.", "functions")
        return tuple(_function(function) for function in body.functions)
    made: list[Tool] = []
    for index, item in enumerate(body.tools or ()):
        path = f"tools[{index}]"
        if item.type not in ("function", "custom"):
            raise InvalidRequest(
                f"{path} is of type {item.type!r}; functions can be called here, and custom tools.", f"{path}.type"
            )
        spec = item.function if item.type == "function" else item.custom
        if spec is None:
            wanted = "a name and parameters" if item.type == "function" else "a name"
            raise InvalidRequest(
                f"{path}.{item.type} is missing: a tool needs it, with {wanted}.", f"{path}.{item.type}"
            )
        made.append(_function(spec) if isinstance(spec, FunctionSpec) else _custom(spec, f"{path}.custom"))
    allowed = _allowed(body, made)
    return tuple(tool for tool in made if allowed is None or tool.name in allowed)


def tool_choice(body: ChatRequest) -> ToolChoice:
    """Which of the tools must be called, or may. Raises InvalidRequest."""
    choice = body.function_call if body.functions else body.tool_choice
    if choice is None:
        return ToolChoice()
    if isinstance(choice, str):
        return ToolChoice(ToolMode(choice))
    if isinstance(choice, NamedFunction):
        return ToolChoice(ToolMode.REQUIRED, choice.name)
    if choice.type == "allowed_tools" and choice.allowed_tools is not None:
        return ToolChoice(ToolMode(choice.allowed_tools.mode))
    return ToolChoice(ToolMode.REQUIRED, _named(choice, "tool_choice"))


def _function(spec: FunctionSpec) -> Tool:
    parameters = spec.parameters or {"type": "object", "properties": {}}
    return Tool(spec.name, spec.description or "", parameters, bool(spec.strict))


def _custom(spec: CustomSpec, path: str) -> Tool:
    """A tool of free text as a function of one string, which follows the grammar if there is one."""
    text: dict[str, Any] = {"type": "string"}
    asked = spec.format
    if asked is not None and asked.type == "grammar":
        grammar = asked.grammar
        if grammar is None or grammar.syntax != "regex":
            told = "nothing" if grammar is None else repr(grammar.syntax)
            raise InvalidRequest(
                f"{path}.format has a grammar of the syntax {told}, which cannot be held here: send one of the syntax "
                "'regex', with its definition, or a function with strict = true whose parameters say what is allowed.",
                f"{path}.format",
            )
        definition = f"{path}.format.grammar.definition"
        check_pattern(grammar.definition, f"{definition} is", definition)
        text["pattern"] = f"^(?:{grammar.definition})$"
    elif asked is not None and asked.type != "text":
        raise InvalidRequest(f"{path}.format is of type {asked.type!r}; send text, or grammar.", f"{path}.format")
    parameters = {"type": "object", "properties": {INPUT: text}, "required": [INPUT], "additionalProperties": False}
    return Tool(spec.name, spec.description or "", parameters, strict="pattern" in text)


def _allowed(body: ChatRequest, tools: Sequence[Tool]) -> frozenset[str] | None:
    choice = body.tool_choice
    if not isinstance(choice, NamedTool) or choice.type != "allowed_tools":
        return None
    path = "tool_choice.allowed_tools"
    if choice.allowed_tools is None or not choice.allowed_tools.tools:
        raise InvalidRequest(f"{path} needs a mode and tools, a list of functions by name.", path)
    known = {tool.name for tool in tools}
    names = [_named(item, f"{path}.tools[{index}]") for index, item in enumerate(choice.allowed_tools.tools)]
    for index, name in enumerate(names):
        if name not in known:
            raise InvalidRequest(
                f"{path}.tools[{index}] names {name!r}, which is not among the tools. Send it in tools.",
                f"{path}.tools[{index}]",
            )
    return frozenset(names)


def _named(choice: NamedTool, path: str) -> str:
    named = {"function": choice.function, "custom": choice.custom}.get(choice.type)
    if named is None:
        raise InvalidRequest(
            f"{path} must be a function or a custom tool with its name"
            f"{', or none, auto, required, or allowed_tools' if path == 'tool_choice' else ''}.",
            path,
        )
    return named.name


@dataclass
class OldCalls:
    """Ids for calls of the time before tools, which had none: a result belongs to the last call of its name."""

    _waiting: dict[str, str] = field(default_factory=dict)

    def called(self, name: str, place: int) -> str:
        """The id of a call in the message of that place."""
        self._waiting[name] = id = f"function_call_{place}"
        return id

    def answered(self, message: ChatMessage, path: str) -> str:
        """The id of the call that a message of role function answers. Raises InvalidRequest where there is none."""
        name = message.name
        if not name:
            raise InvalidRequest(f"{path} has the role function and needs name, the function's.", f"{path}.name")
        if name not in self._waiting:
            raise InvalidRequest(
                f"{path} is a result of the function {name!r}, and no assistant message before it has a function_call "
                "of that name that waits for one. Send that message, too.",
                f"{path}.name",
            )
        return self._waiting.pop(name)


def call_body(shape: Shape, id: str, name: str, arguments: str, whole: Mapping[str, Any]) -> dict[str, Any]:
    """A call as an item of `tool_calls`; `whole` are its arguments as an object."""
    if name in shape.custom:
        return {"id": id, "type": "custom", "custom": {"name": name, "input": custom_input(whole)}}
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments or "{}"}}


def custom_input(arguments: Mapping[str, Any]) -> str:
    """The text that a custom tool is called with."""
    text = arguments.get(INPUT, "")
    return text if isinstance(text, str) else str(text)
