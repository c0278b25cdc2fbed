"""What the engine did for one answer, told by the code that did it: for those who must not take a request's word."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from core.calls.requests import Message, Tool

ASKS = "x-assay-witness"
"""The header by which a client of our own asks for witnesses over HTTP; its value is of no account."""
FIELD = "assay_witness"
"""Where they are then, one for each choice: in the body, or in an event of this name near a stream's end."""

FINGERPRINT = "assay_fingerprint"
"""Where GET /v1/models/{id} then has a short digest of the model's files."""


@dataclass(frozen=True)
class SeenImage:
    """An image that entered the prompt; `tokens` is None where a processor does not tell them apart."""

    sha256: str
    tokens: int | None


@dataclass(frozen=True)
class Witness:
    """Digests are SHA-256 in hexadecimal; those of tokens are of their ids as little-endian 32-bit numbers.

    `messages` and `tools_sha256` are of the request as it reached the model's thread, and `unread` names the roles of
    messages whose text does not stand in the rendered prompt; `thinking` is the template's switch. `sampling` holds
    every value that was in force, whoever set it, the seed and the greatest number of tokens included. `model` holds a
    digest each of `weights`, `config`, `tokenizer` and `chat_template`: see `core.catalog.fingerprint`.
    `completion_tokens` count the end token, as usage does. `finish` is told from the tokens: "stop", "length" or
    "cancelled". The other digests are of what the engine made of them: the answer's text, its thinking, its calls.
    Times are seconds.
    """

    prompt_sha256: str = ""
    prompt_tokens: int = 0
    messages: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    tools_sha256: str = ""
    thinking: bool | None = None
    images: tuple[SeenImage, ...] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, str] = field(default_factory=dict)
    precision: str = ""
    cached_tokens: int = 0
    batch_size: int = 1
    """The largest number of rows that were decoded together with this one."""
    completion_sha256: str = ""
    completion_tokens: int = 0
    completion: tuple[int, ...] = ()
    """The ids of the answer's tokens: a text can be made of others, so that they cannot be told from it."""
    thinking_tokens: int = 0
    finish: str = ""
    text_sha256: str = ""
    thinking_sha256: str = ""
    calls_sha256: str = ""
    queued_s: float = 0.0
    load_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The witness as a JSON object."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Witness:
        """What `to_json` wrote, keys of a later version aside. Raises KeyError, TypeError or ValueError for others."""
        known = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        known |= {name: tuple(known[name]) for name in ("messages", "unread", "completion") if name in known}
        return cls(**known | {"images": tuple(SeenImage(item["sha256"], item["tokens"]) for item in value["images"])})


def tokens_sha256(tokens: Sequence[int]) -> str:
    """The digest of token ids."""
    return hashlib.sha256(struct.pack(f"<{len(tokens)}i", *tokens)).hexdigest()


def text_sha256(*texts: str) -> str:
    """The digest of texts, each of which is set apart from the next."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def message_sha256(message: Message) -> str:
    """The digest of a message's role and text."""
    return text_sha256(message.role.value, message.plain_text)


def tools_sha256(tools: Iterable[Tool]) -> str:
    """The digest of what tools are called, take and say of themselves, and which hold a model to what they take."""
    return text_sha256(json.dumps(tools_told(tools), sort_keys=True, ensure_ascii=False))


def tools_told(tools: Iterable[Tool]) -> list[list[Any]]:
    """What digests hold of tools; "strict" only where it is set, as before there was such a thing."""
    return [[tool.name, tool.description, tool.parameters, *["strict"] * tool.strict] for tool in tools]


def calls_sha256(calls: Iterable[tuple[str, str]]) -> str:
    """The digest of calls, each a name and its arguments as JSON text."""
    return text_sha256(*(part for call in calls for part in call))
