"""What the engine did for one answer, told by the code that did it: for those who must not take a request's word."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

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

    `sampling` holds every value that was in force, whoever set it, the seed and the greatest number of tokens
    included. `model` holds a digest each of `weights`, `config`, `tokenizer` and `chat_template`: see
    `core.catalog.fingerprint`. `completion_tokens` count the end token, as usage does.
    """

    prompt_sha256: str = ""
    prompt_tokens: int = 0
    images: tuple[SeenImage, ...] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, str] = field(default_factory=dict)
    precision: str = ""
    cached_tokens: int = 0
    batch_size: int = 1
    """The largest number of rows that were decoded together with this one."""
    completion_sha256: str = ""
    completion_tokens: int = 0

    def to_json(self) -> dict[str, Any]:
        """The witness as a JSON object."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Witness:
        """What `to_json` wrote, keys of a later version aside. Raises KeyError, TypeError or ValueError for others."""
        known = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        return cls(**known | {"images": tuple(SeenImage(item["sha256"], item["tokens"]) for item in value["images"])})


def tokens_sha256(tokens: Sequence[int]) -> str:
    """The digest of token ids."""
    return hashlib.sha256(struct.pack(f"<{len(tokens)}i", *tokens)).hexdigest()
