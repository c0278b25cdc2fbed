"""JSON bodies both ways: written so that any client can read them, and read with a note of what had no effect."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Any, TypeVar

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field

from server.invalid import cut

MAX_HEADER = 2000
"""Bytes of the warning header; some clients refuse long ones."""

MAX_MESSAGES = 10_000
MAX_PARTS = 10_000
"""Of one message, or of a system prompt."""
MAX_TOOLS = 1_024
MAX_NAME = 512
"""Characters of a model's name, a role, a type, an id: what is repeated in errors and answers."""
MAX_NOTES = 100
"""Sentences, and unknown fields, that are reported; the header has room for fewer."""

_LINE_BREAK = re.compile(rb"\xe2\x80[\xa8\xa9]|\xc2\x85")

_LEVELS = 5
"""Lists and objects in one another in which the many things of an answer lie: choices[].logprobs.content[]."""

Name = Annotated[str, Field(max_length=MAX_NAME)]

Item = TypeVar("Item")
Items = Annotated[list[Item], Field(fail_fast=True)]
"""A list that is refused with its first fault: a million of them would be a million errors."""


class Body(BaseModel):
    """A request body, or a part of one: fields it does not know are kept aside, for `unknown_fields`."""

    model_config = ConfigDict(extra="allow")


def to_json(value: Any) -> bytes:
    """Compact UTF-8 JSON on one line: lone surrogates become "?", and what some readers split lines at is escaped."""
    try:
        text = pydantic_core.to_json(value)
    except ValueError:  # a lone surrogate, or hundreds of lists in one another
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return _LINE_BREAK.sub(lambda found: b"\\u%04x" % ord(found[0].decode()), text)


def to_json_by_pieces(value: Any) -> bytes:
    """The same for what may be large, as logprobs and vectors are, made on a thread: others run between the pieces."""
    pieces: list[bytes] = []

    def write(value: Any, levels: int) -> None:
        if not levels or not isinstance(value, dict | list):
            pieces.append(to_json(value))
            return
        begin, end = (b"{", b"}") if isinstance(value, dict) else (b"[", b"]")
        pieces.append(begin)
        for place, item in enumerate(value):
            if place:
                pieces.append(b",")
            if isinstance(value, dict):
                pieces.append(to_json(item) + b":")
                item = value[item]
            write(item, levels - 1)
        pieces.append(end)

    write(value, _LEVELS)
    return b"".join(pieces)


def unknown_fields(body: BaseModel) -> list[str]:
    """Paths of the fields of `body` that its schema does not know and that hold something, each path once.

    Items of a list share one path: `messages[].cache_control`.
    """
    found: dict[str, None] = {}
    for path in _unknown(body, ""):
        if path not in found and len(found) == MAX_NOTES:
            return [*found, "..."]
        found[path] = None
    return list(found)


def _unknown(body: BaseModel, prefix: str) -> Iterator[str]:
    for name, value in (body.model_extra or {}).items():
        if value is not None:
            yield prefix + cut(name)
    for name, value in vars(body).items():
        if isinstance(value, BaseModel):
            yield from _unknown(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value:
            inner = f"{prefix}{name}[]."
            for item in value:
                if isinstance(item, BaseModel):
                    yield from _unknown(item, inner)


def warning_header(warnings: Iterable[str]) -> dict[str, str]:
    """The x-assay-warnings header that reports `warnings`, as printable ASCII; no header when there are none."""
    text = "; ".join(islice(dict.fromkeys(warnings), MAX_NOTES))[: 2 * MAX_HEADER]
    if not text:
        return {}
    safe = text.encode("ascii", "backslashreplace").decode()
    safe = "".join(character if character.isprintable() else "?" for character in safe)
    if len(safe) > MAX_HEADER:
        safe = safe[: MAX_HEADER - 3] + "..."
    return {"x-assay-warnings": safe}
