"""What was said in the requests of the wire record, as text to look through."""

from __future__ import annotations

from core.calls.requests import Message, TextPart, ThinkingPart, ToolCallPart, ToolResultPart
from server.evidence import Evidence, Exchange
from server.wire import WireEntry


class Said:
    """Questions, tools' results and answers in small letters. Those of requests that have ended are kept while
    somebody searches: looking through all of them for each letter that is typed must not take long."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def text(self, evidence: Evidence, entry: WireEntry) -> str:
        """Of one request; "" where nothing of it is kept (any more)."""
        exchange = evidence.get(entry.id)
        if exchange is None:
            self._known.pop(entry.id, None)
            return ""
        if (known := self._known.get(entry.id)) is not None:
            return known
        text = _text(exchange).lower()
        if entry.state.over:
            self._known[entry.id] = text
        return text

    def forget(self) -> None:
        """Nobody searches any more."""
        self._known.clear()


def _text(exchange: Exchange) -> str:
    pieces = [exchange.request.prompt or ""]
    for message in exchange.request.messages:
        pieces += _pieces(message)
    for result in list(exchange.results):
        pieces += [result.thinking, result.text]
        pieces += [f"{call.name} {call.arguments}" for call in list(result.tool_calls)]
    return "\n".join(pieces)


def _pieces(message: Message) -> list[str]:
    pieces: list[str] = []
    for part in message.parts:
        match part:
            case TextPart(text) | ThinkingPart(text):
                pieces.append(text)
            case ToolCallPart(_, name, arguments):
                pieces.append(f"{name} {dict(arguments)}")
            case ToolResultPart(_, content):
                pieces += [item.text for item in content if isinstance(item, TextPart)]
            case _:
                pass
    return pieces
