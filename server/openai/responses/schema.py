"""Request bodies of /v1/responses, as far as they have an effect here; all else is reported by `unknown_fields`.

Field names follow OpenAI's API reference; the sampling fields that local servers add to chat completions are the same.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from server.body import Body
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

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None


Parts = Annotated[list[InputPart], BeforeValidator(_as_parts)]


class InputItem(Body):
    """An item of any type; which fields it needs is for `items` to say."""

    type: str | None = None
    id: str | None = None
    status: str | None = None
    role: str | None = None
    content: Parts = Field(default=[])
    summary: Parts = Field(default=[])
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    output: Parts = Field(default=[])

    @property
    def kind(self) -> str:
        """The type, told from the fields where it may be left out."""
        return self.type or ("message" if self.role else "item_reference")


class FunctionItem(Body):
    """A tool. Of those that are no functions, nothing but the type is looked at."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    tools: list[FunctionItem] | None = None
    """Of a namespace."""


class NamedItem(Body):
    type: str
    name: str | None = None


class ChoiceItem(NamedItem):
    """One tool that must be called, or those that may be."""

    mode: Literal["auto", "required"] | None = None
    tools: list[NamedItem] | None = None


class TextFormat(JsonSchemaSpec):
    type: str
    description: str | None = None


class TextFields(Body):
    format: TextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningFields(Body):
    effort: str | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class StreamOptions(Body):
    include_obfuscation: bool | None = None


class ResponsesRequest(SamplingFields):
    input: Annotated[list[InputItem], BeforeValidator(_as_items), Field(min_length=1)]
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    stream_options: StreamOptions | None = None
    include: list[str] | None = None
    max_output_tokens: int | None = None
    top_logprobs: int | None = None
    tools: list[FunctionItem] | None = None
    tool_choice: Literal["none", "auto", "required"] | ChoiceItem | None = None
    parallel_tool_calls: bool | None = None
    text: TextFields | None = None
    reasoning: ReasoningFields | None = None
    chat_template_kwargs: TemplateKwargs | None = None
    metadata: dict[str, str] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    background: bool | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None


class CountRequest(ResponsesRequest):
    """A body of /v1/responses/input_tokens, where a model may be left out."""

    model: str = "default"
