"""Raw text to events: thinking, tool calls, stop strings and clean-up, whatever way the text was cut into chunks."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from mlx_lm.generate import TextStateMachine

from core.calls.events import Event, TextDelta, ThinkingDelta, TokenLogprob, ToolCallDelta, ToolCallStart
from core.calls.json_schemas import takes_nothing
from core.mlx.decoding.token_ledger import TokenLedger
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
        functions = [tool["function"] for tool in tools]
        self._bare = {function["name"] for function in functions if takes_nothing(function["parameters"])}
        self._stop = tuple(stop)
        self._machine = TextStateMachine(markers.edges(stop, bool(tools), held))
        self._state = self._machine.make_state(initial)
        self._json = _JsonObject() if tools and markers.call_head is not None else None  # of the call being written
        self._name = initial
        self._read = 0  # characters of the answer so far
        self._held, self._held_at = "", 0  # whitespace that may turn out to belong to a marker, and where it stands
        self._at_start = initial == "reasoning"  # leading whitespace of this block is the marker's
        self._call: _Call | None = _Call(self, "", 0) if initial == "tool" else None
        self._ledger = TokenLedger()
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
        """The events that `text`, the next piece of the answer, settles. `logprob` is of the token that brought it."""
        if self.stopped:
            return []
        if logprob is not None:
            self._ledger.add(logprob)
        self._ledger.write(text)
        events: list[Event] = []
        for name, piece, start, marker in self._pieces(text):
            self._enter(name, marker, start, events)
            self._emit(piece, start, events)
            if self.stopped:
                self._ledger.close()
                break
        return self._scored(events)

    def finish(self, *, cut: bool = False) -> list[Event]:
        """The events that were held back, at the end of the answer. A call that was `cut` before its arguments is none.

        Its text is not shown either: it is no answer.
        """
        events: list[Event] = []
        if not self.stopped:
            start = self._read - len(self._state[3])
            self._state, rest, _ = TextStateMachine.flush(self._state)
            self._emit(rest, start, events)
            if self._call is not None:
                self._call.close(events, cut)
                self._call = None
            elif self._held and not self.thinking:
                self._say(events, (self._held, self._held_at))
        self._held = ""
        self._ledger.close()
        return self._scored(events)

    def _pieces(self, text: str) -> Iterator[tuple[str, str, int, str]]:
        """What `text` settles: state, text, where that stands in the answer, and the marker before it if any."""
        name, piece, start, marker = self._state[0], "", self._read - len(self._state[3]), ""
        for character in text:  # one by one, since the library does not say how long a marker was
            self._read += 1
            waiting, entered = self._state[3] + character, []
            if self._json is not None and name == "tool" and self._json.quoting:
                settled = character
            else:
                self._state, ((_, settled), *entered) = TextStateMachine.split(self._state, character)
            piece += settled
            if entered:
                yield name, piece, start, marker
                name, piece, start, marker = entered[0][0], "", self._read, waiting[len(settled) :]
            if self._json is not None and entered:
                self._json = _JsonObject()
            elif self._json is not None and name == "tool":
                self._json.take(character)
        yield name, piece, start, marker

    def _enter(self, name: str, marker: str, start: int, events: list[Event]) -> None:
        if name == self._name:
            return
        if name.startswith("stop:"):
            if self._held:
                self._say(events, (self._held, self._held_at))
            self._held = ""
            self.stop_sequence = self._stop[int(name[5:])]
            return
        if self._call is not None:
            self._call.close(events)
            self._call = None
        self._held = ""
        self._at_start = True
        self._name = name
        if name == "tool":
            self._call = _Call(self, marker, start - len(marker))

    def _emit(self, piece: str, start: int, events: list[Event]) -> None:
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
        kept = piece.rstrip()
        if kept:
            self._say(events, (self._held, self._held_at), (kept, start))
            self._held = ""
        if not self._held:
            self._held_at = start
        self._held += piece[len(kept) :]

    def _say(self, events: list[Event], *pieces: tuple[str, int]) -> None:
        """Show text that stands in the answer at a position, in several pieces perhaps."""
        for text, start in pieces:
            self._ledger.show(text, start, self.thinking)
        said = "".join(text for text, _ in pieces)
        events.append(ThinkingDelta(said) if self.thinking else TextDelta(said))

    def _scored(self, events: list[Event]) -> list[Event]:
        """`events` with the tokens of whose text they settle the last."""
        for kind in (TextDelta, ThinkingDelta):
            if not (tokens := self._ledger.settled(kind is ThinkingDelta)):
                continue
            places = [place for place, event in enumerate(events) if isinstance(event, kind)]
            if not places:  # what was left out after them has settled them
                events.insert(0, kind("", tokens))
                continue
            said = cast("TextDelta | ThinkingDelta", events[places[-1]])
            events[places[-1]] = replace(said, logprobs=tokens)
        return events


class _Call:
    """One tool call as its text grows: JSON arguments are passed on as they come, other formats when they end.

    A tool without parameters is called with none, whatever the model writes there.
    """

    def __init__(self, parser: OutputParser, opening: str, start: int) -> None:
        self._parser = parser
        self._text = ""
        self._opening, self._opened_at = opening, start
        self._index: int | None = None
        self._settled = False  # its arguments are known, whatever follows
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

    def close(self, events: list[Event], cut: bool = False) -> None:
        """The call's text is complete, or as complete as it will be. What is no call is shown, unless it was `cut`."""
        if self._index is not None:
            return
        parse = self._parser._markers.tool_parser
        try:
            parsed = parse(self._text, self._parser._tools) if parse else None
            calls: list[Any] = parsed if isinstance(parsed, list) else [parsed]
            checked = [
                (name := str(call["name"]), "" if name in self._parser._bare else call["arguments"], call.get("id"))
                for call in calls
            ]
        except Exception:  # the library's parsers raise what they like on malformed text
            text = clean(self._opening + self._text)
            if text.strip() and not cut:
                self._parser._say(events, (text, self._opened_at))
            return
        for name, arguments, identity in checked:
            self._index = self._start(name, identity, events)
            text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
            self._arguments(text, events)

    def _start(self, name: str, identity: str | None, events: list[Event]) -> int:
        index = self._parser.calls
        self._parser.calls += 1
        events.append(ToolCallStart(index, identity or f"call_{uuid.uuid4().hex[:24]}", clean(name)))
        self._settled = name in self._parser._bare
        if self._settled:
            events.append(ToolCallDelta(index, "{}"))
        return index

    def _arguments(self, text: str, events: list[Event]) -> None:
        if text and self._index is not None and not self._settled:
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
