"""Request bodies of the OpenAI protocol, as far as they have an effect here; all else is reported by `unknown_fields`.

Field names follow OpenAI's API reference, ranges are the engine's to check; `top_k`, `min_p`, `repetition_penalty` and
`chat_template_kwargs` are what local servers add to it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from server.body import MAX_MESSAGES, MAX_PARTS, MAX_TOOLS, Body, Items, Name
from server.invalid import cut


def _as_parts(content: Any) -> Any:
    """The two short forms of content: a string is one text part, null is none."""
    if content is None:
        return []
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_image(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


def _token_numbers(biases: Any) -> Any:
    odd = (
        next((key for key in biases if not str(key).strip().lstrip("-").isdecimal()), None)
        if isinstance(biases, dict)
        else None
    )
    if odd is not None:
        raise ValueError(
            f"it gives a bias to {cut(str(odd))!r}, which is no token: send the numbers of tokens in the model's "
            'vocabulary, such as {"1234": -100}'
        )
    return biases


class ImageUrl(Body):
    url: str


class ContentPart(Body):
    type: Name
    text: str | None = None
    refusal: str | None = None
    image_url: Annotated[ImageUrl, BeforeValidator(_as_image)] | None = None


class CalledFunction(Body):
    name: Name
    arguments: str = ""


class CalledTool(Body):
    name: Name
    input: str = ""


class ToolCallItem(Body):
    id: Name = ""
    type: Name = "function"
    function: CalledFunction | None = None
    custom: CalledTool | None = None


class ChatMessage(Body):
    role: Name
    content: Annotated[Items[ContentPart], Field(max_length=MAX_PARTS), BeforeValidator(_as_parts)] = Field(default=[])
    reasoning_content: str | None = None
    tool_calls: Annotated[Items[ToolCallItem], Field(max_length=MAX_PARTS)] | None = None
    tool_call_id: Name | None = None
    name: Name | None = None
    """Of the function whose result a message of role function is."""
    function_call: CalledFunction | None = None


class FunctionSpec(Body):
    name: Name = Field(min_length=1)
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Grammar(Body):
    syntax: Name
    definition: str = ""


class CustomFormat(Body):
    type: Name
    grammar: Grammar | None = None


class CustomSpec(Body):
    """A tool that is called with a text."""

    name: Name = Field(min_length=1)
    description: str | None = None
    format: CustomFormat | None = None


class ToolItem(Body):
    type: Name = "function"
    function: FunctionSpec | None = None
    custom: CustomSpec | None = None


class NamedFunction(Body):
    name: Name


class AllowedTools(Body):
    mode: Literal["auto", "required"] = "auto"
    tools: Annotated[Items[NamedTool], Field(max_length=MAX_TOOLS)] = Field(default=[])


class NamedTool(Body):
    """One tool that must be called, or those that may be."""

    type: Name
    function: NamedFunction | None = None
    custom: NamedFunction | None = None
    allowed_tools: AllowedTools | None = None


class JsonSchemaSpec(Body):
    name: Name | None = None
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class ResponseFormat(Body):
    type: Name
    json_schema: JsonSchemaSpec | None = None


class StreamOptions(Body):
    include_usage: bool = False


class TemplateKwargs(Body):
    enable_thinking: bool | None = None


class SamplingFields(Body):
    """What all endpoints that generate text take."""

    model: Name
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Annotated[dict[int, float], BeforeValidator(_token_numbers)] | None = None
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: Annotated[Items[str], BeforeValidator(_as_list)] | None = None


class CompletionFields(SamplingFields):
    """What both endpoints of completions take."""

    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    n: int | None = Field(default=None, ge=1, le=16)


class ChatRequest(CompletionFields):
    messages: Items[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: Annotated[Items[ToolItem], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    functions: Annotated[Items[FunctionSpec], Field(max_length=MAX_TOOLS)] | None = None
    function_call: Literal["none", "auto"] | NamedFunction | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: Name | None = None
    chat_template_kwargs: TemplateKwargs | None = None


class CompletionRequest(CompletionFields):
    prompt: Annotated[Items[str], BeforeValidator(_as_list), Field(min_length=1, max_length=1)]
    logprobs: int | None = None
    echo: bool | None = None
