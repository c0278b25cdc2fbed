"""What comes out of the engine while it works on one request. Times are seconds of `time.monotonic()`."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from core.calls.witness import Witness

RATE_TOKENS = 16
"""Answers of fewer tokens have no rate: the few steps say more of the moment than of the model."""


class FinishReason(StrEnum):
    """Why a generation ended. A request that fails raises its `EngineError` instead."""

    STOP = "stop"  # the model ended its turn, or a stop string came up
    LENGTH = "length"  # max_tokens or the context window was reached
    TOOL_CALLS = "tool_calls"  # the turn ended with calls for the caller to make
    CANCELLED = "cancelled"  # the caller asked for it; what came before is kept
    OTHER = "other"  # a server elsewhere gave a reason that is none of these


@dataclass(frozen=True)
class Usage:
    """Tokens, counted with the model's tokenizer.

    prompt_tokens include image tokens and the cached ones; completion_tokens include thinking_tokens and the end token.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    image_tokens: int = 0
    thinking_tokens: int = 0


@dataclass(frozen=True)
class PromptCount:
    """Tokens that a request's prompt would take, and what would be done in another way than it is asked for."""

    tokens: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PromptTokens:
    """A prompt as its model reads it: the numbers of its tokens, each one's own bytes (a character's may be spread over
    several), which of them are the model's markup, and the most tokens that the model reads."""

    tokens: tuple[int, ...]
    pieces: tuple[bytes, ...]
    special: tuple[bool, ...]
    window: int


@dataclass(frozen=True)
class Timing:
    """Seconds, taken on the MLX thread. `ttft_s` runs from submission to the first token, loading included."""

    queued_s: float = 0.0
    load_s: float = 0.0
    prefill_s: float = 0.0
    ttft_s: float = 0.0
    decode_s: float = 0.0
    total_s: float = 0.0
    batch_size: int = 1
    """The largest number of rows that were decoded together with this one: it can change greedy output."""
    prefill_tps: float = 0.0
    decode_tps: float = 0.0


@dataclass(frozen=True)
class TokenLogprob:
    """A token's natural-log probability, and the most likely alternatives, best first.

    `text` and `raw` are what it adds to the text that is shown: those of all tokens join to it. A character that
    several tokens make up is in the text of the last of them, and each has its own bytes; None means the text's UTF-8.
    """

    token_id: int
    text: str
    logprob: float
    top: tuple[TokenLogprob, ...] = ()
    raw: bytes | None = None


@dataclass(frozen=True)
class Queued:
    """Waiting; `position` 1 is next."""

    position: int


@dataclass(frozen=True)
class Loading:
    """The model is being loaded for this request."""

    model: str


@dataclass(frozen=True)
class Prefill:
    """Prompt tokens processed so far, out of `total`; `cached` of them came from the prefix cache."""

    done: int
    total: int
    cached: int = 0


@dataclass(frozen=True)
class TextDelta:
    """Text of the answer; never half a character, never part of a stop string or of a marker.

    `logprobs` are of tokens all of whose text is settled: one that ends in a space may come with the next text.
    """

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    at: float = field(default_factory=time.monotonic, compare=False, repr=False)
    """When the engine made it: live rates are told from this, not from when a reader got to it."""


@dataclass(frozen=True)
class ThinkingDelta:
    """Text of a thinking block."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    at: float = field(default_factory=time.monotonic, compare=False, repr=False)


@dataclass(frozen=True)
class ToolCallStart:
    """A call begins; `index` counts the calls of this answer from 0."""

    index: int
    id: str
    name: str


@dataclass(frozen=True)
class ToolCallDelta:
    """A fragment of the call's arguments, a JSON text when joined."""

    index: int
    arguments: str
    at: float = field(default_factory=time.monotonic, compare=False, repr=False)


@dataclass(frozen=True)
class Footprint:
    """What an answer took of the machine. `memory` is how many bytes more MLX held meanwhile than before, at most.

    `rows` is the largest number of requests that were worked on together with it in its model, itself among them;
    `alone` says that no other model was at work or being loaded meanwhile.
    """

    memory: int
    rows: int
    alone: bool


@dataclass(frozen=True)
class Finished:
    """The last event. `stop_sequence` is the caller's stop string that ended it, if one did."""

    reason: FinishReason
    usage: Usage
    timing: Timing
    stop_sequence: str | None = None
    witness: Witness | None = None
    """What was done for it; None for what is no answer of a model here, or ended before its prompt was read."""
    said: str = ""
    """The reason in a server's own words, with `FinishReason.OTHER`."""
    footprint: Footprint | None = field(default=None, compare=False)
    """None for what is no answer of a model here, or ended before its prompt was read."""


Event = Queued | Loading | Prefill | TextDelta | ThinkingDelta | ToolCallStart | ToolCallDelta | Finished


_CUT_NUMBER = re.compile(r"[-+.\deE]+\Z")


@dataclass
class ToolCall:
    """A finished call; `arguments` is JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str = ""

    @property
    def parsed(self) -> dict[str, Any] | None:
        """The arguments as an object, or None if they are not a JSON object."""
        try:
            value = json.loads(self.arguments or "{}")
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    @property
    def whole(self) -> dict[str, Any]:
        """The arguments as an object; of those that break off, the members that are whole, and of no object none."""
        if (parsed := self.parsed) is not None:
            return parsed
        from pydantic_core import from_json

        try:
            value = from_json(_CUT_NUMBER.sub("", self.arguments), allow_partial=True)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


@dataclass
class GenerationResult:
    """Everything that a generation said, folded from its events with `add`."""

    text: str = ""
    thinking: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    """Of the text."""
    thinking_logprobs: list[TokenLogprob] = field(default_factory=list)
    finished: Finished | None = None

    def add(self, event: Event) -> None:
        """Fold one event in; events must come in the order of the stream."""
        match event:
            case TextDelta():
                self.text += event.text
                self.logprobs.extend(event.logprobs)
            case ThinkingDelta():
                self.thinking += event.text
                self.thinking_logprobs.extend(event.logprobs)
            case ToolCallStart():
                self.tool_calls.append(ToolCall(event.id, event.name))
            case ToolCallDelta():
                self.tool_calls[event.index].arguments += event.arguments
            case Finished():
                self.finished = event
            case _:
                pass
