"""A chat as the pane holds it: turns, how they become a request, and what counts as said."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from core.calls.events import GenerationResult, ToolCall
from core.calls.requests import (
    GenerationRequest,
    ImagePart,
    Message,
    Part,
    Role,
    Sampling,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)
from core.chats.history import Draft
from core.chats.settings import ChatSettings
from core.chats.tree import Place, Tree, Turn
from core.media.images import ImageData


class Conversation(Tree):
    """What was said, and what becomes of it. A refused question is never among the turns."""

    def __init__(self, *turns: Turn) -> None:
        super().__init__(*turns)
        self.own_drafts: list[Draft] = []
        """What is written in it and not sent, as this program has read it from the file or written it there."""
        self.began_new = False
        """Whether what was written for a new chat is still in the file though it has become this one."""

    @property
    def title(self) -> str:
        """The beginning of the first question, on one line."""
        for turn in self.turns:
            if turn.message.role is Role.USER:
                return title_of(turn.message.plain_text)
        return "new chat"

    def so_far(self, place: Place | None = None) -> list[Turn]:
        """The turns up to a place; those that are shown when none is named."""
        return self.turns if place is None else [node.turn for node in self.above(place)]

    def pending_calls(self, place: Place | None = None) -> list[ToolCallPart]:
        """The calls of the last answer up to a place: what is typed next there is their result."""
        turns = self.so_far(place)
        if not turns or turns[-1].message.role is not Role.ASSISTANT:
            return []
        return [part for part in turns[-1].message.parts if isinstance(part, ToolCallPart)]

    def has_images(self, place: Place | None = None) -> bool:
        """Whether anything that was said up to a place, or that is shown, has an image."""
        return any(turn.message.images for turn in self.so_far(place))

    def question(self, text: str, images: Sequence[ImageData] = (), place: Place | None = None) -> Message:
        """The message that `text` and `images` make behind a place, or at the end of what is shown.

        It is a tool's result after a call, else the person's turn.
        """
        calls = self.pending_calls(place)
        if not calls:
            return Message.text(Role.USER, text, *images)
        shown = tuple(ImagePart(image) for image in images)  # once is enough
        first, *others = (call.id for call in calls)
        results = (ToolResultPart(other, (TextPart(text),)) for other in others)
        return Message(Role.TOOL, (ToolResultPart(first, (*shown, TextPart(text))), *results))

    def request(self, model: str, settings: ChatSettings, place: Place | None = None) -> GenerationRequest:
        """Everything said up to a place, or all that is shown, for `model` to answer.

        An answer to the person that holds nothing but thinking is left out: templates would make an empty one of it.
        """
        system = (Message.text(Role.SYSTEM, settings.system),) if settings.system.strip() else ()
        return GenerationRequest(
            model=model,
            messages=(*system, *_that_say_something(turn.message for turn in self.so_far(place))),
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


def _that_say_something(messages: Iterable[Message]) -> Iterator[Message]:
    """Without answers of thinking alone. Behind a tool's result one stays: there a person's turn may not follow."""
    before: Role | None = None
    for message in messages:
        only_thought = message.role is Role.ASSISTANT and not _said(message)
        if not (only_thought and before is Role.USER):
            yield message
            before = message.role


def _said(message: Message) -> bool:
    return bool(message.plain_text.strip()) or any(isinstance(part, ToolCallPart) for part in message.parts)


def title_of(text: str) -> str:
    """The beginning of a message, on one line."""
    line = " ".join(text.split())
    return (line[:59] + "…" if len(line) > 60 else line) or "an image"


def answer_message(result: GenerationResult) -> Message | None:
    """What a generation said as a turn of the chat, or None if nothing came."""
    parts: list[Part] = []
    if result.thinking:
        parts.append(ThinkingPart(result.thinking))
    if result.text:
        parts.append(TextPart(result.text))
    parts += [ToolCallPart(call.id, call.name, call.parsed or {}) for call in result.tool_calls]
    return Message(Role.ASSISTANT, tuple(parts)) if parts else None


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
