"""Request bodies of the OpenAI protocol, as far as they have an effect here; all else is reported by `unknown_fields`.

Field names follow OpenAI's API reference, ranges are the engine's to check; `top_k`, `min_p`, `repetition_penalty` and
`chat_template_kwargs` are what local servers add to it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from server.body import MAX_MESSAGES, MAX_PARTS, MAX_TOOLS, Body, Items, Name


def _as_parts(content: Any) -> Any:
    """The two short forms of content: a string is one text part, null is none."""
    if content is None:
        return []
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_image(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


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


class ToolCallItem(Body):
    id: Name = ""
    type: Name = "function"
    function: CalledFunction


class ChatMessage(Body):
    role: Name
    content: Annotated[Items[ContentPart], Field(max_length=MAX_PARTS), BeforeValidator(_as_parts)] = Field(default=[])
    reasoning_content: str | None = None
    tool_calls: Annotated[Items[ToolCallItem], Field(max_length=MAX_PARTS)] | None = None
    tool_call_id: Name | None = None


class FunctionSpec(Body):
    name: Name = Field(min_length=1)
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolItem(Body):
    type: Name = "function"
    function: FunctionSpec | None = None


class NamedFunction(Body):
    name: Name


class NamedTool(Body):
    type: Name
    function: NamedFunction | None = None


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
    """What both endpoints take."""

    model: Name
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[int, float] | None = None
    n: int | None = Field(default=None, ge=1, le=16)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: Annotated[Items[str], BeforeValidator(_as_list)] | None = None


class ChatRequest(SamplingFields):
    messages: Items[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: Annotated[Items[ToolItem], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: Name | None = None
    chat_template_kwargs: TemplateKwargs | None = None


class CompletionRequest(SamplingFields):
    prompt: Annotated[Items[str], BeforeValidator(_as_list), Field(min_length=1, max_length=1)]
    logprobs: int | None = None
    echo: bool | None = None
