"""Request bodies of the Anthropic protocol, as far as they have an effect here; all else is reported.

Field names follow Anthropic's API reference and what Claude Code was seen to send; ranges are the engine's to check.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from server.body import MAX_MESSAGES, MAX_PARTS, MAX_TOOLS, Body, Items, Name


def _as_blocks(content: Any) -> Any:
    """The short forms of content: a string is one text block, null is none."""
    if content is None:
        return []
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class Source(Body):
    """Of an image or a document."""

    type: Name
    media_type: Name | None = None
    data: str | None = None
    url: str | None = None


class Block(Body):
    """A content block of any type; `decode` says which fields a type needs."""

    type: Name
    text: str | None = None
    source: Source | str | None = None
    title: str | None = None
    thinking: str | None = None
    signature: str | None = None
    id: Name | None = None
    name: Name | None = None
    input: dict[str, Any] | None = None
    tool_use_id: Name | None = None
    tool_name: Name | None = None
    is_error: bool | None = None
    content: Annotated[Items[Block], Field(max_length=MAX_PARTS), BeforeValidator(_as_blocks)] = Field(default=[])


class MessageItem(Body):
    role: Name
    content: Annotated[Items[Block], Field(max_length=MAX_PARTS), BeforeValidator(_as_blocks)]


class ToolItem(Body):
    """A tool of the client's own; those that Anthropic runs or defines have a `type` and no `input_schema`."""

    name: Name = ""
    type: Name | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None

    @property
    def foreign(self) -> bool:
        """Whether Anthropic runs or defines it."""
        return self.input_schema is None and self.type not in (None, "custom")


class ToolChoiceItem(Body):
    type: Literal["auto", "any", "tool", "none"]
    name: Name | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(Body):
    type: Name
    display: Name | None = None


class OutputFormat(Body):
    type: Name
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")


class OutputConfig(Body):
    format: OutputFormat | None = None


class CountRequest(Body):
    """What decides how many tokens a prompt takes: the body of count_tokens, and the heart of a message's."""

    model: Name
    messages: Items[MessageItem] = Field(min_length=1, max_length=MAX_MESSAGES)
    system: Annotated[Items[Block], Field(max_length=MAX_PARTS), BeforeValidator(_as_blocks)] = Field(default=[])
    tools: Annotated[Items[ToolItem], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: ToolChoiceItem | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None


class MessagesRequest(CountRequest):
    max_tokens: int
    stream: bool | None = None
    stop_sequences: Items[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    """Not of the protocol: local servers take it, and golden prompts repeat with it."""
