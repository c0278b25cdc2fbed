"""Raw text to events: thinking, tool calls, stop strings and clean-up, whatever way the text was cut into chunks."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from mlx_lm.generate import TextStateMachine

from core.calls.events import Event, TextDelta, ThinkingDelta, TokenLogprob, ToolCallDelta, ToolCallStart
from core.mlx.models.formats import Markers
from core.text_safety import clean


class OutputParser:
    """Turns the decoded text of one row into events. `initial` is the state in which the prompt leaves the model.

    Whitespace beside thinking blocks and tool calls belongs to the markers and is dropped; a call whose text cannot
    be parsed comes out as text, so that nothing is lost. No marker is looked for inside the strings of a call's JSON,
    and, with `held`, in the answer: a schema holds it, so whatever looks like a marker there is data.
    """

    def __init__(
        self,
        markers: Markers,
        *,
        stop: Sequence[str] = (),
        tools: Sequence[Mapping[str, Any]] = (),
        initial: str = "normal",
        held: bool = False,
    ) -> None:
        self._markers = markers
        self._tools = list(tools)
        self._stop = tuple(stop)
        self._machine = TextStateMachine(markers.edges(stop, bool(tools), held))
        self._state = self._machine.make_state(initial)
        self._json = _JsonObject() if tools and markers.call_head is not None else None  # of the call being written
        self._name = initial
        self._held = ""  # whitespace that may turn out to belong to a marker
        self._at_start = initial == "reasoning"  # leading whitespace of this block is the marker's
        self._call: _Call | None = _Call(self, "") if initial == "tool" else None
        self._logprobs: list[TokenLogprob] = []
        self.calls = 0
        self.stop_sequence: str | None = None

    @property
    def stopped(self) -> bool:
        """True once a stop string came up: whatever follows is to be thrown away."""
        return self.stop_sequence is not None

    @property
    def thinking(self) -> bool:
        """True while the model is inside a thinking block."""
        return self._name == "reasoning"

    def push(self, text: str, logprob: TokenLogprob | None = None) -> list[Event]:
        """The events that `text`, the next piece of the answer, settles."""
        if self.stopped:
            return []
        if logprob is not None:
            self._logprobs.append(logprob)
        events: list[Event] = []
        for name, piece in self._segments(text):
            self._enter(name, events)
            self._emit(piece, events)
            if self.stopped:
                break
        return events

    def _segments(self, text: str) -> list[tuple[str, str]]:
        """(state, text) of each state that the text passes."""
        segments: list[tuple[str, str]]
        if self._json is None:
            self._state, segments = TextStateMachine.split(self._state, text)
            return segments
        joined: list[tuple[str, list[str]]] = [(self._state[0], [])]
        for character in text:
            if self._state[0] == "tool" and self._json.quoting:
                segments = [("tool", character)]
            else:
                self._state, segments = TextStateMachine.split(self._state, character)
            if len(segments) > 1:  # a marker is complete
                self._json = _JsonObject()
            elif self._state[0] == "tool":
                self._json.take(character)
            for name, piece in segments:
                if name != joined[-1][0]:
                    joined.append((name, []))
                joined[-1][1].append(piece)
        return [(name, "".join(pieces)) for name, pieces in joined]

    def finish(self) -> list[Event]:
        """The events that were held back, at the end of the answer."""
        events: list[Event] = []
        if not self.stopped:
            self._state, rest, _ = TextStateMachine.flush(self._state)
            self._emit(rest, events)
            if self._call is not None:
                self._call.close(events)
                self._call = None
                self._logprobs.clear()
            elif self._held and not self.thinking:
                events.append(self._text(self._held))
        self._held = ""
        if self._logprobs:  # of tokens that came to no text, such as whitespace beside a marker
            events.append(self._thought("") if self.thinking else self._text(""))
        return events

    def _enter(self, name: str, events: list[Event]) -> None:
        if name == self._name:
            return
        if name.startswith("stop:"):
            if self._held:
                events.append(self._text(self._held))
            self._held = ""
            self.stop_sequence = self._stop[int(name[5:])]
            return
        if self._call is not None:
            self._call.close(events)
            self._call = None
            self._logprobs.clear()
        elif self.thinking and self._logprobs:  # of the marker that ends it
            events.append(self._thought(""))
        self._held = ""
        self._at_start = True
        self._name = name
        if name == "tool":
            self._call = _Call(self, self._markers.tool_start or "")

    def _emit(self, piece: str, events: list[Event]) -> None:
        if not piece or self.stopped:
            return
        if self._call is not None:
            self._call.push(piece, events)
            return
        if self._name not in ("normal", "reasoning"):
            return
        piece = clean(piece)
        if self._at_start:
            piece = piece.lstrip()
            if not piece:
                return
            self._at_start = False
        piece = self._held + piece
        kept = piece.rstrip()
        self._held = piece[len(kept) :]
        if kept:
            events.append(self._thought(kept) if self.thinking else self._text(kept))

    def _text(self, text: str) -> TextDelta:
        return TextDelta(text, self._taken())

    def _thought(self, text: str) -> ThinkingDelta:
        return ThinkingDelta(text, self._taken())

    def _taken(self) -> tuple[TokenLogprob, ...]:
        logprobs, self._logprobs = tuple(self._logprobs), []
        return logprobs


class _Call:
    """One tool call as its text grows: JSON arguments are passed on as they come, other formats when they end."""

    def __init__(self, parser: OutputParser, opening: str) -> None:
        self._parser = parser
        self._opening = opening
        self._text = ""
        self._index: int | None = None
        self._scanner = _JsonObject()

    def push(self, piece: str, events: list[Event]) -> None:
        self._text += piece
        if self._index is None and (pattern := self._parser._markers.call_head) is not None:
            head = pattern.match(self._text)
            if head is None:
                return
            groups = head.groupdict()
            name = groups["name"] if groups.get("name") else json.loads(groups["json"])
            self._index = self._start(name, None, events)
            piece = self._text[head.end() :]
        if self._index is not None:
            self._arguments(clean(self._scanner.take(piece)), events)

    def close(self, events: list[Event]) -> None:
        """The call's text is complete, or as complete as it will be."""
        if self._index is not None:
            return
        parse = self._parser._markers.tool_parser
        try:
            parsed = parse(self._text, self._parser._tools) if parse else None
            calls: list[Any] = parsed if isinstance(parsed, list) else [parsed]
            checked = [(str(call["name"]), call["arguments"], call.get("id")) for call in calls]
        except Exception:  # the library's parsers raise what they like on malformed text
            text = clean(self._opening + self._text)
            if text.strip():
                events.append(self._parser._text(text))
            return
        for name, arguments, identity in checked:
            self._index = self._start(name, identity, events)
            text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
            self._arguments(text, events)

    def _start(self, name: str, identity: str | None, events: list[Event]) -> int:
        index = self._parser.calls
        self._parser.calls += 1
        events.append(ToolCallStart(index, identity or f"call_{uuid.uuid4().hex[:24]}", clean(name)))
        return index

    def _arguments(self, text: str, events: list[Event]) -> None:
        if text and self._index is not None:
            events.append(ToolCallDelta(self._index, text))


class _JsonObject:
    """Finds where a JSON object that begins at the first character ends."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._one_line = True
        self._escaped = False
        self._closed = False

    @property
    def quoting(self) -> bool:
        """True inside a string. Strings of JSON are one line: where one is not, nobody knows whether it ever ends."""
        return self._in_string and self._one_line and not self._closed

    def take(self, text: str) -> str:
        """The part of `text` that still belongs to the object."""
        if self._closed:
            return ""
        for position, character in enumerate(text):
            if self._in_string:
                if self._escaped:
                    self._escaped = False
                elif character == "\\":
                    self._escaped = True
                elif character == '"':
                    self._in_string = False
                elif character == "\n":
                    self._one_line = False
            elif character == '"':
                self._in_string = self._one_line = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if self._depth == 0:
                    self._closed = True
                    return text[: position + 1]
        return text
