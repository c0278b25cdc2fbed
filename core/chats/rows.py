"""How turns, settings and images lie in the history's rows, and how what a search found is marked."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from core.calls.events import Finished, FinishReason, Timing, Usage
from core.calls.requests import ImagePart, Part, TextPart, ThinkingPart, ToolResultPart
from core.calls.witness import Witness
from core.chats.parts import parts_from_json, parts_to_json
from core.chats.settings import ChatSettings
from core.chats.tree import Turn
from core.media.images import ImageData

BEGINS, ENDS = "\x02", "\x03"
"""Round what was found; text that is searched holds no control characters."""


def write_parts(parts: Sequence[Part]) -> str:
    return json.dumps(parts_to_json(parts, lambda image: {"sha": image.sha256, "name": image.name}))


def read_parts(parts: str, image: Callable[[str, str], ImageData]) -> tuple[Part, ...]:
    return parts_from_json(json.loads(parts), lambda value: image(value["sha"], value.get("name", "")))


def write_settings(settings: ChatSettings | None) -> str | None:
    return None if settings is None else json.dumps(settings.to_json())


def read_settings(text: str | None) -> ChatSettings | None:
    return None if text is None else ChatSettings.from_json(json.loads(text))


def write_details(turn: Turn) -> str:
    """What else is known of an answer, as JSON; the ids of its tokens would outweigh its text."""
    end = turn.finished
    if end is not None and end.witness is not None:
        end = replace(end, witness=replace(end.witness, completion=()))
    finished = {"finished": asdict(end)} if end else {}
    return json.dumps(finished | ({"tier": turn.tier} if turn.tier else {}))


def read_finished(details: Mapping[str, Any]) -> Finished | None:
    """How an answer ended, from its details; None where an older or foreign program wrote other ones."""
    record = details.get("finished")
    if not isinstance(record, dict):
        return None
    try:
        usage, timing, witness = Usage(**record["usage"]), Timing(**record["timing"]), record.get("witness")
        return Finished(
            FinishReason(record["reason"]),
            usage,
            timing,
            record["stop_sequence"],
            Witness.from_json(witness) if witness else None,
            record.get("said", ""),
        )
    except (KeyError, TypeError, ValueError):
        return None


def words_of(parts: tuple[Part, ...]) -> str:
    """What a search looks through: text, thinking, tool results and the names of images; not the calls' JSON."""
    found: list[str] = []
    for part in parts:
        if isinstance(part, TextPart | ThinkingPart):
            found.append(part.text)
        elif isinstance(part, ImagePart):
            found.append(part.image.name)
        elif isinstance(part, ToolResultPart):
            found.append(words_of(part.content))
    return "\n".join(found)


def snippet_of(body: str, part: str, around: int = 40) -> str:
    at = max(body.lower().find(part.lower()), 0)
    end = at + len(part)
    before, after = body[max(at - around, 0) : at], body[end : end + around]
    cut = "…" if end + around < len(body) else ""
    return f"{'…' if at > around else ''}{before}{BEGINS}{body[at:end]}{ENDS}{after}{cut}"


def marked(snippet: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A snippet on one line, and what in it was between BEGINS and ENDS."""
    text, marks = "", []
    for number, piece in enumerate(re.split(f"[{BEGINS}{ENDS}]", re.sub(r"\s", " ", snippet))):
        if number % 2:
            marks.append((len(text), len(text) + len(piece)))
        text += piece
    return text, tuple(marks)


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def keep_images(db: sqlite3.Connection, images: Sequence[ImageData], table: str, owner: int) -> None:
    for image in images:
        db.execute(
            "INSERT OR IGNORE INTO images VALUES (?, ?, ?, ?, ?)",
            (image.sha256, image.data, image.media_type, image.width, image.height),
        )
        db.execute(f"INSERT OR IGNORE INTO {table} VALUES (?, ?)", (owner, image.sha256))


def forget_images(db: sqlite3.Connection) -> None:
    db.execute(
        "DELETE FROM images WHERE sha NOT IN (SELECT sha FROM message_images UNION SELECT sha FROM draft_images)"
    )
