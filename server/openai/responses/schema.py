"""Request bodies of /v1/responses, as far as they have an effect here; all else is reported by `unknown_fields`.

Field names follow OpenAI's API reference; the sampling fields that local servers add to chat completions are the same.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from server.body import MAX_MESSAGES, MAX_PARTS, MAX_TOOLS, Body, Items, Name
from server.openai.schema import JsonSchemaSpec, SamplingFields, TemplateKwargs


def _as_items(value: Any) -> Any:
    """The short form of an input: a string is one message of the user."""
    return [{"type": "message", "role": "user", "content": value}] if isinstance(value, str) else value


def _as_parts(value: Any) -> Any:
    if value is None:
        return []
    return [{"type": "input_text", "text": value}] if isinstance(value, str) else value


class InputPart(Body):
    """A piece of a message, of a tool's result, or of what a model thought."""

    type: Name
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None


Parts = Annotated[Items[InputPart], Field(max_length=MAX_PARTS), BeforeValidator(_as_parts)]


class InputItem(Body):
    """An item of any type; which fields it needs is for `items` to say."""

    type: Name | None = None
    id: Name | None = None
    status: Name | None = None
    role: Name | None = None
    content: Parts = Field(default=[])
    summary: Parts = Field(default=[])
    encrypted_content: str | None = None
    call_id: Name | None = None
    name: Name | None = None
    namespace: Name | None = None
    arguments: str | None = None
    output: Parts = Field(default=[])

    @property
    def kind(self) -> str:
        """The type, told from the fields where it may be left out."""
        return self.type or ("message" if self.role else "item_reference")


class FunctionItem(Body):
    """A tool. Of those that are no functions, nothing but the type is looked at."""

    type: Name
    name: Name | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    tools: Annotated[Items[FunctionItem], Field(max_length=MAX_TOOLS)] | None = None
    """Of a namespace."""


class NamedItem(Body):
    type: Name
    name: Name | None = None


class ChoiceItem(NamedItem):
    """One tool that must be called, or those that may be."""

    mode: Literal["auto", "required"] | None = None
    tools: Annotated[Items[NamedItem], Field(max_length=MAX_TOOLS)] | None = None


class TextFormat(JsonSchemaSpec):
    type: Name
    description: str | None = None


class TextFields(Body):
    format: TextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningFields(Body):
    effort: Name | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class StreamOptions(Body):
    include_obfuscation: bool | None = None


class ResponsesRequest(SamplingFields):
    input: Annotated[Items[InputItem], BeforeValidator(_as_items), Field(min_length=1, max_length=MAX_MESSAGES)]
    instructions: str | None = None
    previous_response_id: Name | None = None
    store: bool | None = None
    stream_options: StreamOptions | None = None
    include: Annotated[Items[Name], Field(max_length=MAX_PARTS)] | None = None
    max_output_tokens: int | None = None
    top_logprobs: int | None = None
    tools: Annotated[Items[FunctionItem], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ChoiceItem | None = None
    parallel_tool_calls: bool | None = None
    text: TextFields | None = None
    reasoning: ReasoningFields | None = None
    chat_template_kwargs: TemplateKwargs | None = None
    metadata: dict[str, str] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    background: bool | None = None
    user: Name | None = None
    safety_identifier: Name | None = None
    prompt_cache_key: Name | None = None
    service_tier: Name | None = None


class CountRequest(ResponsesRequest):
    """A body of /v1/responses/input_tokens, where a model may be left out."""

    model: Name = "default"
