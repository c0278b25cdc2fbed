"""A case of several turns: what is sent next, after an answer has come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.calls.events import GenerationResult, ToolCall
from core.calls.requests import Message, Part, Role, TextPart, ToolCallPart, ToolResultPart
from core.golden.suite import Turn
from core.media.images import ImageData


@dataclass(frozen=True)
class Conversation:
    """What was sent last, and every answer that came: one of each turn that was reached."""

    messages: tuple[Message, ...]
    results: tuple[GenerationResult, ...]

    @classmethod
    def of(cls, messages: tuple[Message, ...], result: GenerationResult) -> Conversation:
        """One question and its answer."""
        return cls(messages, (result,))


def stuck(turn: Turn, called: Iterable[str]) -> str:
    """Why a turn cannot follow an answer that called these tools, as a phrase; "" if it can."""
    names = list(called)
    wanted = ", ".join(turn.results)
    if turn.results and not names:
        return f"no tool was called, and the next turn tells what {wanted} returns: the conversation ended there"
    if turn.results and (unknown := [name for name in names if name not in turn.results]):
        return (
            f"{unknown[0]} was called, and the next turn tells only what {wanted} returns: the conversation ended there"
        )
    if names and not turn.results:
        return f"{names[0]} was called, and the next turn tells no result: the conversation ended there"
    return ""


def following(turn: Turn, answer: GenerationResult, images: Sequence[ImageData]) -> tuple[Message, ...]:
    """The answer as the model's own turn, without its thinking, and what follows it. The turn can follow it."""
    calls = [_call(call, place) for place, call in enumerate(answer.tool_calls)]
    said: list[Part] = [TextPart(answer.text)] if answer.text or not calls else []
    own = Message(Role.ASSISTANT, (*said, *calls))
    if turn.user is not None:
        return own, Message.text(Role.USER, turn.user, *images)
    results = (ToolResultPart(call.id, (TextPart(turn.results[call.name]),)) for call in calls)
    return own, Message(Role.TOOL, tuple(results))


def _call(call: ToolCall, place: int) -> ToolCallPart:
    return ToolCallPart(call.id or f"call_{place}", call.name, call.whole)


def call_arguments(part: ToolCallPart) -> str:
    """The arguments as JSON text, as the protocols of OpenAI want them."""
    return json.dumps(dict(part.arguments), ensure_ascii=False)
