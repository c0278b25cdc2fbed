"""A request of the wire record as a chat of one's own: its turns, and what went with them."""

from __future__ import annotations

from core.calls.requests import Message, Role
from core.chats.settings import ChatSettings
from core.chats.tree import Turn
from server.evidence import Exchange
from tui.chat.conversation import answer_message


def as_chat(exchange: Exchange) -> tuple[list[Turn], ChatSettings]:
    """The turns, the first answer last if there is one, and the settings; system prompts go there.

    What a chat cannot be set to (stop strings, schemas, demanded tools) is left out.
    """
    request = exchange.request
    messages = list(request.messages)
    if request.prompt is not None:
        messages.append(Message.text(Role.USER, request.prompt))
    system = "\n\n".join(message.plain_text for message in messages if message.role is Role.SYSTEM)
    settings = ChatSettings(
        system=system,
        temperature=request.sampling.temperature,
        top_p=request.sampling.top_p,
        seed=request.sampling.seed,
        max_tokens=request.sampling.max_tokens,
        thinking=request.thinking,
        tools=request.tools,
    )
    turns = [
        Turn(message, model=request.model if message.role is Role.ASSISTANT else "", settings=settings)
        for message in messages
        if message.role is not Role.SYSTEM
    ]
    result = exchange.results[0]
    answer = answer_message(result)
    if answer is not None:
        turns.append(Turn(answer, request.model, result.finished, settings))
    return turns, settings
