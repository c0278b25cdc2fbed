"""What can be said of a request for an answer without its model in memory: values, types and sizes."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

from core.calls.json_schemas import prepare_parameters, prepare_schema
from core.calls.requests import (
    GenerationRequest,
    Message,
    Part,
    Role,
    Sampling,
    TextPart,
    ThinkingPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from core.catalog import Catalog, ModelInfo, ModelKind
from core.errors import InvalidRequest, UnsupportedInput

MAX_STOPS = 64
MAX_STOP_CHARACTERS = 1_000
"""Every piece of every answer is compared with every stop string."""
NAMED = 8
"""Calls that an error names."""
LARGEST_BIAS = 1e4
"""OpenAI's limit is 100. Infinity forbids a token where it is negative; else it leaves no probabilities to draw by."""
MAX_BIASES = 10_000
"""Tokens in `logit_bias`: all of them are looked after at every step."""
MAX_SCHEMA_BYTES = 128 * 1024
"""JSON of a schema: it is compiled between two steps, which all models wait for."""

_RANGES = {
    "temperature": (0.0, 2.0),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "repetition_penalty": (0.01, 10.0),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
}


CHAT = (ModelKind.TEXT, ModelKind.VISION)
READS = (*CHAT, ModelKind.EMBEDDINGS, ModelKind.RERANKER)
"""Kinds of models that read a text as tokens."""


def check_request(request: GenerationRequest, catalog: Catalog, kinds: Sequence[ModelKind] = CHAT) -> None:
    """Raises ModelNotFound, UnsupportedInput or InvalidRequest, with the value and what is allowed."""
    _check_types(request)
    info = catalog.get(request.model)
    if info.kind not in kinds:
        raise UnsupportedInput(f"{info.id} is a model of kind {info.kind.value}; chat needs a text or vision model.")
    check_images(request, info)
    check_sampling(request.sampling)
    _check_results(request.messages)
    if request.json_schema is not None:
        _check_schema(request.json_schema, "The JSON schema", "response_format")
        prepare_schema(request.json_schema, "The JSON schema", "response_format")
    for tool in request.tools:
        _check_schema(tool.parameters, f"The schema of the tool {tool.name}", "tools")
        if tool.strict or request.tool_choice.demands(tool.name):
            prepare_parameters(tool.name, tool.parameters)


def check_images(request: GenerationRequest, info: ModelInfo) -> None:
    """Raises UnsupportedInput for images to a model that cannot see them."""
    check_sight(info, len(request.images))


def check_sight(info: ModelInfo, count: int) -> None:
    """Raises UnsupportedInput for so many images to a model that cannot see them."""
    if count and not info.images:
        raise UnsupportedInput(
            f"{info.id} is a {info.kind.value} model and cannot see images. "
            f"Send the {'image' if count == 1 else f'{count} images'} to a vision model."
        )


def check_sampling(sampling: Sampling) -> None:
    """Raises InvalidRequest for a field of a wrong type or out of range."""
    for name, (low, high) in _RANGES.items():
        value = getattr(sampling, name)
        if value is not None and not _is_number(value):
            raise InvalidRequest(f"{name} is {value!r}; it must be a number.", name)
        if value is not None and not low <= value <= high:
            raise InvalidRequest(f"{name} is {value}; it must lie between {low:g} and {high:g}.", name)
    for name in ("top_k", "logprobs", "max_tokens", "seed"):
        value = getattr(sampling, name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidRequest(f"{name} is {value!r}; it must be a whole number.", name)
        if value < 0 and name != "seed":
            raise InvalidRequest(f"{name} is {value}; it must not be negative.", name)
    if sampling.logprobs is not None and sampling.logprobs > 20:
        raise InvalidRequest(f"logprobs is {sampling.logprobs}; at most 20 alternatives are reported.", "logprobs")
    if sampling.max_tokens == 0:
        raise InvalidRequest("max_tokens is 0; it must be at least 1.", "max_tokens")
    _expect(sampling.logit_bias, (Mapping, NoneType), "logit_bias", "a mapping of tokens to numbers", "logit_bias")
    if len(sampling.logit_bias or ()) > MAX_BIASES:
        raise InvalidRequest(
            f"logit_bias names {len(sampling.logit_bias or ()):,} tokens; at most {MAX_BIASES:,} are looked after.",
            "logit_bias",
        )
    for token, bias in (sampling.logit_bias or {}).items():
        if not isinstance(token, int) or isinstance(token, bool) or not _is_number(bias) or not bias <= LARGEST_BIAS:
            raise InvalidRequest(
                f"logit_bias gives token {token!r} the bias {bias!r}; it takes numbers for whole numbers.", "logit_bias"
            )
    _check_stop(sampling.stop)


def _check_stop(stop: Any) -> None:
    if not isinstance(stop, tuple | list) or not all(isinstance(text, str) for text in stop):
        raise InvalidRequest("stop must be a sequence of strings, a tuple or a list.", "stop")
    if any(not text for text in stop):
        raise InvalidRequest("A stop string is empty; leave it out.", "stop")
    if len(stop) > MAX_STOPS:
        raise InvalidRequest(f"There are {len(stop)} stop strings; at most {MAX_STOPS} are looked for.", "stop")
    longest = max(map(len, stop), default=0)
    if longest > MAX_STOP_CHARACTERS:
        raise InvalidRequest(
            f"A stop string has {longest} characters; at most {MAX_STOP_CHARACTERS} are looked for.", "stop"
        )


def _check_types(request: GenerationRequest) -> None:
    """What Python lets through where the fields' types do not."""
    _expect(request.model, str, "model", "a string", "model")
    _expect(request.prompt, (str, NoneType), "prompt", "a string", "prompt")
    _expect(request.sampling, Sampling, "sampling", "a Sampling", "sampling")
    _expect(request.tool_choice, ToolChoice, "tool_choice", "a ToolChoice", "tool_choice")
    _expect(request.messages, (tuple, list), "messages", "a tuple of Message", "messages")
    _expect(request.tools, (tuple, list), "tools", "a tuple of Tool", "tools")
    for place, tool in enumerate(request.tools):
        _expect(tool, Tool, f"tools[{place}]", "a Tool", "tools")
    for place, message in enumerate(request.messages):
        _expect(message, Message, f"messages[{place}]", "a Message", "messages")
        if not isinstance(message.role, Role):
            raise InvalidRequest(
                f"messages[{place}] has the role {message.role!r}, which is no core.calls.requests.Role.", "messages"
            )
        _expect(message.parts, (tuple, list), f"messages[{place}].parts", "a tuple of parts", "messages")
        for part in message.parts:
            _expect(part, Part, f"A part of messages[{place}]", "one of core.calls.requests.Part", "messages")
            if isinstance(part, TextPart | ThinkingPart):
                _expect(part.text, str, f"The text of a part of messages[{place}]", "a string", "messages")


def _check_results(messages: Sequence[Message]) -> None:
    """Each call must have one result after it, by its id, and each result a call before it."""
    waiting: dict[str, deque[str]] = {}
    answered: set[str] = set()
    for part in (part for message in messages for part in message.parts):
        if isinstance(part, ToolCallPart):
            waiting.setdefault(part.id, deque()).append(part.name)
        elif isinstance(part, ToolResultPart) and not waiting.get(part.call_id):
            fault = (
                "a second result for the call" if part.call_id in answered else "a result for a call that nobody made,"
            )
            raise InvalidRequest(
                f"The messages hold {fault} {part.call_id!r}. Send one for each call of an earlier turn, with its id.",
                "messages",
            )
        elif isinstance(part, ToolResultPart):
            waiting[part.call_id].popleft()
            answered.add(part.call_id)
    open_calls = [f"{id!r} ({name})" for id, names in waiting.items() for name in names]
    if open_calls:
        more = f" and {len(open_calls) - NAMED:,} more" if len(open_calls) > NAMED else ""
        raise InvalidRequest(
            f"The messages hold no result for {'the call' if len(open_calls) == 1 else 'the calls'} "
            f"{', '.join(open_calls[:NAMED])}{more}. Send one for each call, with its id.",
            "messages",
        )


def _expect(value: Any, kinds: Any, what: str, wanted: str, param: str) -> None:
    if not isinstance(value, kinds):
        raise InvalidRequest(f"{what} is of type {type(value).__name__}; it must be {wanted}.", param)


def _check_schema(schema: Mapping[str, Any], what: str, param: str) -> None:
    _expect(schema, Mapping, what, "a mapping, as JSON objects are", param)
    try:
        size = len(json.dumps(schema))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"{what} is no JSON: {error}.", param) from error
    if size > MAX_SCHEMA_BYTES:
        raise InvalidRequest(f"{what} has {size:,} bytes as JSON; at most {MAX_SCHEMA_BYTES:,} can be used.", param)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
