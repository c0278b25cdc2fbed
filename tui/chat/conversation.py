"""A chat as the pane holds it: turns, how they become a request, and what counts as said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.calls.events import Finished, GenerationResult, ToolCall
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
    ToolResultPart,
)
from core.media.images import ImageData

DEFAULT_MAX_TOKENS = 1024


@dataclass(frozen=True)
class ChatSettings:
    """What is sent beside the messages. None leaves the choice to the model's own defaults."""

    system: str = ""
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    max_tokens: int | None = DEFAULT_MAX_TOKENS
    thinking: bool | None = None
    tools: tuple[Tool, ...] = ()


@dataclass(frozen=True)
class Turn:
    """One message with, for an answer, who gave it and how it ended."""

    message: Message
    model: str = ""
    finished: Finished | None = None


@dataclass
class Conversation:
    """The turns that were said. A refused question is never among them."""

    turns: list[Turn] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The beginning of the first question, on one line."""
        for turn in self.turns:
            if turn.message.role is Role.USER:
                text = " ".join(turn.message.plain_text.split())
                return (text[:59] + "…" if len(text) > 60 else text) or "an image"
        return "new chat"

    def pending_calls(self) -> list[ToolCallPart]:
        """The calls of the last answer: what is typed next is their result."""
        if not self.turns or self.turns[-1].message.role is not Role.ASSISTANT:
            return []
        return [part for part in self.turns[-1].message.parts if isinstance(part, ToolCallPart)]

    def question(self, text: str, images: Sequence[ImageData] = ()) -> Message:
        """The message that `text` and `images` make here: a tool's result after a call, else the person's turn."""
        calls = self.pending_calls()
        if not calls:
            return Message.text(Role.USER, text, *images)
        shown = tuple(ImagePart(image) for image in images)  # once is enough
        first, *others = (call.id for call in calls)
        results = (ToolResultPart(other, (TextPart(text),)) for other in others)
        return Message(Role.TOOL, (ToolResultPart(first, (*shown, TextPart(text))), *results))

    def request(self, model: str, settings: ChatSettings) -> GenerationRequest:
        """Everything said so far, for `model` to answer."""
        system = (Message.text(Role.SYSTEM, settings.system),) if settings.system.strip() else ()
        return GenerationRequest(
            model=model,
            messages=(*system, *(turn.message for turn in self.turns)),
            tools=settings.tools,
            sampling=Sampling(
                temperature=settings.temperature,
                top_p=settings.top_p,
                seed=settings.seed,
                max_tokens=settings.max_tokens,
            ),
            thinking=settings.thinking,
            source="chat",
        )

    def take_back_answer(self) -> bool:
        """Drop the answers after the last question; False if there is no question to answer again."""
        kept = list(self.turns)
        while kept and kept[-1].message.role is Role.ASSISTANT:
            kept.pop()
        if not kept:
            return False
        self.turns = kept
        return True


def answer_message(result: GenerationResult) -> Message | None:
    """What a generation said as a turn of the chat, or None if it said nothing."""
    parts: list[Part] = []
    if result.thinking:
        parts.append(ThinkingPart(result.thinking))
    if result.text:
        parts.append(TextPart(result.text))
    parts += [ToolCallPart(call.id, call.name, call.parsed or {}) for call in result.tool_calls]
    return Message(Role.ASSISTANT, tuple(parts)) if result.text or result.tool_calls else None


def result_of(turn: Turn) -> GenerationResult:
    """A stored answer as the result that it was."""
    parts = turn.message.parts
    return GenerationResult(
        text=turn.message.plain_text,
        thinking="".join(part.text for part in parts if isinstance(part, ThinkingPart)),
        tool_calls=[
            ToolCall(part.id, part.name, json.dumps(dict(part.arguments), ensure_ascii=False))
            for part in parts
            if isinstance(part, ToolCallPart)
        ],
        finished=turn.finished,
    )


def _named(part: ImagePart) -> str:
    return f"*image: {part.image.name or part.image.sha256[:12]}*"


def as_markdown(conversation: Conversation, settings: ChatSettings) -> str:
    """The whole chat as a Markdown document, for export."""
    lines = [f"# {conversation.title}", ""]
    if settings.system.strip():
        lines += ["## System", "", settings.system.strip(), ""]
    for turn in conversation.turns:
        name = {Role.USER: "You", Role.TOOL: "Tool result", Role.ASSISTANT: turn.model or "Assistant"}
        lines += [f"## {name.get(turn.message.role, turn.message.role.value)}", ""]
        for part in turn.message.parts:
            match part:
                case TextPart(text):
                    lines += [text, ""]
                case ThinkingPart(text):
                    lines += ["<details><summary>Thinking</summary>", "", text, "", "</details>", ""]
                case ToolCallPart(_, call, arguments):
                    lines += ["```json", json.dumps({"call": call, "arguments": dict(arguments)}), "```", ""]
                case ToolResultPart(_, content):
                    lines += [_named(item) for item in content if isinstance(item, ImagePart)]
                    lines += ["".join(item.text for item in content if isinstance(item, TextPart)), ""]
                case _:
                    lines += [_named(part), ""]
        if turn.finished is not None:
            timing, usage = turn.finished.timing, turn.finished.usage
            lines += [
                f"*{usage.completion_tokens} tokens, first after {timing.ttft_s:.2f} s, {timing.decode_tps:.1f} tok/s*",
                "",
            ]
    return "\n".join(lines).rstrip() + "\n"
