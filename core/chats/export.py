"""A chat as a file for people (Markdown) or for programs (JSON)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.atomic import write_atomically
from core.calls.requests import ImagePart, Part, TextPart, ThinkingPart, ToolCallPart, ToolResultPart
from core.chats.history import Chat, Turn
from core.chats.parts import parts_to_json
from core.errors import HistoryError
from core.media.images import ImageData
from core.text_safety import clean

FORMAT = "assay-chat"
VERSION = 1


def to_json(chat: Chat, turns: Sequence[Turn]) -> str:
    """A chat as one JSON object, images inside it as base64; nothing is left out."""
    value = {
        "format": FORMAT,
        "version": VERSION,
        "title": chat.title,
        "model": chat.model,
        "created": _iso(chat.created),
        "updated": _iso(chat.updated),
        "turns": [
            {
                "role": turn.message.role,
                "model": turn.model,
                "created": _iso(turn.created),
                "details": dict(turn.details),
                "parts": parts_to_json(turn.message.parts, _image_json),
            }
            for turn in turns
        ],
    }
    return json.dumps(value, indent=2, ensure_ascii=True) + "\n"


def to_markdown(chat: Chat, turns: Sequence[Turn], images: str = "images") -> str:
    """A chat to read: a heading a turn, thinking folded away, calls and results as code.

    Images are links to `images`/<name>, where <name> is `image_name`'s.
    """
    blocks = [f"# {chat.title}", f"{chat.model}, {_iso(chat.created)}"]
    for turn in turns:
        who = turn.message.role.capitalize()
        blocks.append(f"## {who} ({turn.model})" if turn.model else f"## {who}")
        blocks.extend(_markdown(part, images) for part in turn.message.parts)
    return clean("\n\n".join(block for block in blocks if block)) + "\n"


def export(chat: Chat, turns: Sequence[Turn], path: Path) -> Path:
    """Write a chat to `path`: JSON if it ends in .json, else Markdown, with its images in a folder beside it.

    An existing file is replaced whole or not at all. Raises HistoryError when it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".json":
            write_atomically(path, to_json(chat, turns).encode())
            return path
        folder = path.with_name(f"{path.stem}-images")
        pictures = {image_name(image): image.data for turn in turns for image in turn.message.images}
        if pictures:
            folder.mkdir(exist_ok=True)
        for name, data in pictures.items():
            write_atomically(folder / name, data)
        write_atomically(path, to_markdown(chat, turns, folder.name).encode())
    except OSError as error:
        raise HistoryError(f"The chat cannot be exported to {path}: {error.strerror or error}.") from error
    return path


def image_name(image: ImageData) -> str:
    """A file name that is the same for the same picture and owes nothing to what a client called it."""
    return f"{image.sha256[:16]}.{image.media_type.rsplit('/', 1)[-1].replace('jpeg', 'jpg')}"


def _markdown(part: Part, images: str) -> str:
    match part:
        case TextPart(text):
            return text
        case ThinkingPart(text):
            return f"<details><summary>Thinking</summary>\n\n{text}\n\n</details>"
        case ImagePart(image):
            label = re.sub(r"[\[\]\\\n]", "", image.name) or "image"
            return f"![{label}](<{images}/{image_name(image)}>)"
        case ToolCallPart(_, name, arguments):
            return f"Calls `{name}`:\n\n{_fenced(json.dumps(dict(arguments), indent=2, ensure_ascii=False), 'json')}"
        case ToolResultPart(_, content, is_error):
            shown = "\n\n".join(
                _fenced(item.text) if isinstance(item, TextPart) else _markdown(item, images) for item in content
            )
            return f"{'Error' if is_error else 'Result'}:\n\n{shown}"


def _fenced(text: str, language: str = "") -> str:
    """A code block whose fence is longer than any run of backticks inside it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _image_json(image: ImageData) -> dict[str, Any]:
    return {
        "name": image.name,
        "media_type": image.media_type,
        "sha256": image.sha256,
        "data": base64.b64encode(image.data).decode(),
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
