"""What goes into the engine: plain, frozen values that know of no protocol and no library."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from core.media.images import ImageData


class Role(StrEnum):
    """Who speaks. `TOOL` messages hold `ToolResultPart`s alone."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True)
class TextPart:
    text: str


@dataclass(frozen=True)
class ImagePart:
    """An image that has passed `core.media.images`: right format, within the limits."""

    image: ImageData


@dataclass(frozen=True)
class ThinkingPart:
    """What an assistant turn thought before it answered. Templates may drop it from earlier turns."""

    text: str


@dataclass(frozen=True)
class ToolCallPart:
    """A call that an assistant turn made."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class ToolResultPart:
    """What a tool answered to the call `call_id`. Content may hold images."""

    call_id: str
    content: tuple[TextPart | ImagePart, ...]
    is_error: bool = False


Part = TextPart | ImagePart | ThinkingPart | ToolCallPart | ToolResultPart


@dataclass(frozen=True)
class Message:
    """One turn. Parts keep their order: an image before the text is shown before it."""

    role: Role
    parts: tuple[Part, ...]

    @classmethod
    def text(cls, role: Role | str, text: str, *images: ImageData) -> Message:
        """A turn of plain text, with images before it if there are any."""
        return cls(Role(role), (*(ImagePart(image) for image in images), TextPart(text)))

    @property
    def images(self) -> tuple[ImageData, ...]:
        """Every image of the turn in order, those inside tool results included."""
        found: list[ImageData] = []
        for part in self.parts:
            if isinstance(part, ImagePart):
                found.append(part.image)
            elif isinstance(part, ToolResultPart):
                found.extend(item.image for item in part.content if isinstance(item, ImagePart))
        return tuple(found)

    @property
    def plain_text(self) -> str:
        """The turn's text parts, joined; thinking, calls and results left out."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


@dataclass(frozen=True)
class Tool:
    """A function that the model may call. `parameters` is a JSON schema of type object.

    With `strict`, a call that the model begins by itself follows it, as one that is demanded does in any case.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool = False


def tool_to_json(tool: Tool) -> dict[str, Any]:
    """A tool as an object; `strict` only where it is set."""
    plain = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return plain | ({"strict": True} if tool.strict else {})


class ToolMode(StrEnum):
    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


@dataclass(frozen=True)
class ToolChoice:
    """Whether tools may or must be called; with `name`, that one must be."""

    mode: ToolMode = ToolMode.AUTO
    name: str | None = None

    @property
    def demanding(self) -> bool:
        """Whether there must be a call."""
        return self.mode is ToolMode.REQUIRED or self.name is not None

    @property
    def word(self) -> str | None:
        """It as a golden case says it: the tool's name, or the mode; None for AUTO."""
        return self.name or (None if self.mode is ToolMode.AUTO else self.mode.value)

    def demands(self, tool: str) -> bool:
        """Whether a call is demanded that may be one of this tool."""
        return self.demanding and self.name in (None, tool)


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen. None means: the model's own generation_config, else the library's default.

    `temperature` 0 is greedy, and `top_p` 0 leaves the likeliest token alone. `max_tokens` None means up to the context
    window. `stop` strings end the answer and are not part of it; they are looked for in its text alone, neither in
    thinking nor in tool calls. `logprobs` is how many alternatives to report for each token; None reports nothing.
    Limits: `core.calls.generation_checks`.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Mapping[int, float] | None = None
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None


@dataclass(frozen=True)
class GenerationRequest:
    """One thing to generate. `model` is an id of the catalog, never a path.

    `thinking` True/False sets the template's switch, None leaves the model's default. `json_schema` constrains the
    answer to a JSON value of that schema. `prompt` instead of `messages` skips the chat template (plain completion).
    `source` says who asks ("chat", "golden", "openai", "responses", "anthropic"), for the eyes of a person. With
    `ignore_eos` the answer goes on to `max_tokens` where the model would end its turn, as a benchmark wants it.
    """

    model: str
    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    sampling: Sampling = Sampling()
    thinking: bool | None = None
    json_schema: Mapping[str, Any] | None = None
    source: str = "api"
    ignore_eos: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def images(self) -> tuple[ImageData, ...]:
        """Every image of the conversation, in order."""
        return tuple(image for message in self.messages for image in message.images)

    @property
    def characters(self) -> int:
        """Of the prompt's texts: those of thinking, of tools, of calls and of their results included."""
        parts = [part for message in self.messages for part in message.parts]
        parts += [inner for part in parts if isinstance(part, ToolResultPart) for inner in part.content]
        texts = (part.text for part in parts if isinstance(part, TextPart | ThinkingPart))
        data = [part.arguments for part in parts if isinstance(part, ToolCallPart)]
        data += [tool.parameters for tool in self.tools]
        described = (tool.description for tool in self.tools)
        return len(self.prompt or "") + sum(map(len, (*texts, *described))) + sum(map(_characters, data))


def _characters(value: Any) -> int:
    """Of the strings in JSON, names included."""
    counted, waiting = 0, [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                counted += len(text)
            case Mapping() as members:
                waiting += (*members, *members.values())
            case list() | tuple() as items:
                waiting += items
            case _:
                pass
    return counted


@dataclass(frozen=True)
class EmbeddingRequest:
    """Texts to turn into vectors, one each. `dimensions` keeps that many of each vector's first numbers.

    The texts go to the model as they are: a family that wants a prompt before a query gets it from the caller.

    With a `query` they go to a reranker, and what comes of each is a vector of one number: how well it answers the
    query, 0 to 1. `labels` are what the texts are called where something is wrong with one.
    """

    model: str
    inputs: tuple[str, ...]
    dimensions: int | None = None
    query: str | None = None
    labels: tuple[str, ...] = ()
    source: str = "api"
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def label(self, place: int) -> str:
        """What one of the texts is called."""
        return self.labels[place] if self.labels else f"input[{place}]"

    def field_of(self, place: int) -> str:
        """The field of a body in which one of the texts stands."""
        return self.label(place).partition("[")[0]


@dataclass(frozen=True)
class SpeechRequest:
    """A text to be spoken. `voice` is one of the model's names for its voices, None its default; `speed` 1 is natural.

    `instructions` say how to speak, for models that read such. `sample_rate` is what the audio is brought to, in
    samples a second; None leaves the model's own.
    """

    model: str
    text: str
    voice: str | None = None
    speed: float = 1.0
    instructions: str | None = None
    sample_rate: int | None = None
    source: str = "api"
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class TranscriptionRequest:
    """Speech to be written down. `audio` holds a WAV, MP3 or FLAC file; `language` is an ISO 639-1 code.

    `prompt` is text that may have come before, for spelling and style; `translate` asks for English, whatever is said.
    """

    model: str
    audio: bytes = field(repr=False)
    language: str | None = None
    prompt: str | None = None
    temperature: float | None = None
    translate: bool = False
    source: str = "api"
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
