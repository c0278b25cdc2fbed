"""JSON bodies both ways: written so that any client can read them, and read with a note of what had no effect."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict

MAX_HEADER = 2000
"""Bytes of the warning header; some clients refuse long ones."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

_LINE_BREAKS = {0x2028: "\\u2028", 0x2029: "\\u2029", 0x85: "\\u0085"}


class Body(BaseModel):
    """A request body, or a part of one: fields it does not know are kept aside, for `unknown_fields`."""

    model_config = ConfigDict(extra="allow")


def to_json(value: Any) -> bytes:
    """Compact UTF-8 JSON on one line: lone surrogates become "?", and what some readers split lines at is escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_LINE_BREAKS).encode("utf-8", "replace")


def mended(body: bytes) -> bytes:
    """`body` without escaped halves of surrogate pairs, which are JSON but no text; what is no JSON stays as it is."""
    if _SURROGATE.search(body) is None:
        return body
    try:
        return to_json(json.loads(body))
    except (ValueError, RecursionError):
        return body


def unknown_fields(body: BaseModel) -> list[str]:
    """Paths of the fields of `body` that its schema does not know and that hold something, each path once.

    Items of a list share one path: `messages[].cache_control`.
    """
    return list(dict.fromkeys(_unknown(body, "")))


def _unknown(body: BaseModel, prefix: str) -> Iterator[str]:
    for name, value in (body.model_extra or {}).items():
        if value is not None:
            yield prefix + name
    for name in type(body).model_fields:
        value = getattr(body, name)
        if isinstance(value, BaseModel):
            yield from _unknown(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, BaseModel):
                    yield from _unknown(item, f"{prefix}{name}[].")


def warning_header(warnings: Iterable[str]) -> dict[str, str]:
    """The x-assay-warnings header that reports `warnings`, as printable ASCII; no header when there are none."""
    text = "; ".join(dict.fromkeys(warnings))
    if not text:
        return {}
    safe = text.encode("ascii", "backslashreplace").decode()
    safe = "".join(character if character.isprintable() else "?" for character in safe)
    if len(safe) > MAX_HEADER:
        safe = safe[: MAX_HEADER - 3] + "..."
    return {"x-assay-warnings": safe}
